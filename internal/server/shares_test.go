// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"testing"
)

// waiters wait for a processor, one after the other, and say in order who gets it.
type waiters struct {
	t      *testing.T
	shares *shares
	got    chan string
}

func (w *waiters) join(ctx context.Context, environment string) {
	w.t.Helper()
	before := w.waiting()
	go func() {
		if err := w.shares.take(ctx, environment); err != nil {
			w.got <- err.Error()
			return
		}
		w.got <- environment
	}()
	for w.waiting() == before {
		runtime.Gosched()
	}
}

func (w *waiters) waiting() int {
	w.shares.mu.Lock()
	defer w.shares.mu.Unlock()
	all := 0
	for _, queue := range w.shares.waiting {
		all += len(queue)
	}
	return all
}

// An environment with many costly requests makes another one wait for one of them, not for all.
func TestEnvironmentsTakeTurns(t *testing.T) {
	s := newShares(1)
	if err := s.take(t.Context(), "busy"); err != nil {
		t.Fatal(err)
	}
	w := &waiters{t: t, shares: s, got: make(chan string, 100)}
	for range 5 {
		w.join(t.Context(), "busy")
	}
	w.join(t.Context(), "quiet")
	w.join(t.Context(), "other")
	var order []string
	for range 7 {
		s.give()
		order = append(order, <-w.got)
	}
	if want := []string{"busy", "quiet", "other", "busy", "busy", "busy", "busy"}; !slices.Equal(order, want) {
		t.Errorf("one environment has the processors to itself: %v", order)
	}
	s.give()
	if s.free != 1 || len(s.order) != 0 {
		t.Errorf("%d processors are free at the end, and %v wait", s.free, s.order)
	}
}

// Who has gone does not get a turn, and who comes when many wait is told to come again.
func TestWaitingEnds(t *testing.T) {
	s := newShares(1)
	if err := s.take(t.Context(), "e"); err != nil {
		t.Fatal(err)
	}
	w := &waiters{t: t, shares: s, got: make(chan string, 100)}
	ctx, leave := context.WithCancel(t.Context())
	w.join(ctx, "e")
	leave()
	if got := <-w.got; got != context.Canceled.Error() || w.waiting() != 0 {
		t.Errorf("a client that has gone still waits: %s", got)
	}
	for range maxWaiting {
		w.join(t.Context(), "e")
	}
	refused := (*Error)(nil)
	if err := s.take(t.Context(), "e"); !errors.As(err, &refused) ||
		refused.Status != http.StatusServiceUnavailable || refused.RetryAfter == 0 {
		t.Errorf("waiting has no end: %v", err)
	}
	for range maxWaiting {
		s.give()
		<-w.got
	}
	s.give()
	if err := s.take(t.Context(), "e"); err != nil || s.free != 0 {
		t.Errorf("a processor was lost: %v", err)
	}
}
