// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// maxWaiting is how many evaluations of one environment wait for a processor. Further ones are refused.
const maxWaiting = 64

// shares let environments share the processors: of those that wait, each in turn gets one.
type shares struct {
	mu   sync.Mutex
	free int
	// waiting are those that wait, by environment, first come first.
	waiting map[string][]chan struct{}
	// order are the environments that have somebody waiting; the first one is next.
	order []string
}

func newShares(processors int) *shares {
	return &shares{free: processors, waiting: map[string][]chan struct{}{}}
}

// take waits for a processor. Give gives it back. It fails with an *Error of status 503 where too many of the
// environment wait already, and with the context's error where that ends first.
func (s *shares) take(ctx context.Context, environment string) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	if len(s.waiting[environment]) >= maxWaiting {
		s.mu.Unlock()
		return &Error{
			Status:     http.StatusServiceUnavailable,
			Message:    "too many costly evaluations of this environment wait",
			RetryAfter: time.Second,
		}
	}
	turn := make(chan struct{}, 1)
	if len(s.waiting[environment]) == 0 {
		s.order = append(s.order, environment)
	}
	s.waiting[environment] = append(s.waiting[environment], turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		s.leave(environment, turn)
		return ctx.Err()
	}
}

// leave gives up waiting.
func (s *shares) leave(environment string, turn chan struct{}) {
	s.mu.Lock()
	queue := s.waiting[environment]
	for i := range queue {
		if queue[i] == turn {
			s.set(environment, append(queue[:i:i], queue[i+1:]...))
			s.mu.Unlock()
			return
		}
	}
	s.mu.Unlock()
	s.give() // The turn has come meanwhile.
}

// set replaces the queue of an environment.
func (s *shares) set(environment string, queue []chan struct{}) {
	if len(queue) > 0 {
		s.waiting[environment] = queue
		return
	}
	delete(s.waiting, environment)
	for i := range s.order {
		if s.order[i] == environment {
			s.order = append(s.order[:i:i], s.order[i+1:]...)
			return
		}
	}
}

// give lets the next environment have the processor.
func (s *shares) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) == 0 {
		s.free++
		return
	}
	next := s.order[0]
	queue := s.waiting[next]
	queue[0] <- struct{}{}
	s.order = append(s.order[1:], next) // The others come before it again.
	s.set(next, queue[1:])
}
