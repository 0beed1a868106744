// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

const (
	// watchPatience is how long a watch may fail before it counts as not alive.
	watchPatience = time.Minute
	// watchRetried is how long after its last failure a watch still counts as failing. It is tried again at least every
	// half minute.
	watchRetried = 90 * time.Second
)

// watches knows which watches the API server refuses. What a cache holds of them is old.
type watches struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	failing map[string]failure
}

// failure is one watch that fails.
type failure struct {
	first, last time.Time
	why         string
}

func newWatches(passive clock.PassiveClock) *watches {
	return &watches{clock: passive, failing: map[string]failure{}}
}

// handle is told of each list or watch that fails.
func (w *watches) handle(ctx context.Context, reflector *toolscache.Reflector, err error) {
	toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
	w.record(reflector.TypeDescription(), err)
}

// record notes a failure. While the API server does not answer at all, replicas go on with what they have; so they do
// without a Kind, whose objects are missed then.
func (w *watches) record(of string, err error) {
	if isAway(err) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	known, failing := w.failing[of]
	if !failing || now.Sub(known.last) > watchRetried {
		known.first = now
	}
	known.last, known.why = now, err.Error()
	w.failing[of] = known
}

// isAway reports whether an error says that the API server is not there, is busy, or has no such Kind.
func isAway(err error) bool {
	var network net.Error
	return errors.As(err, &network) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsProbableEOF(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsNotFound(err) ||
		errors.Is(err, context.Canceled)
}

// Problem says which watches are not alive, and is empty where all are.
func (w *watches) Problem() string {
	dead := w.dead()
	if len(dead) == 0 {
		return ""
	}
	return "the API server refuses these watches, so that changes are not seen: " + strings.Join(dead, "; ")
}

// dead says of each watch that is not alive since when, and why.
func (w *watches) dead() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	var dead []string
	for _, of := range slices.Sorted(maps.Keys(w.failing)) {
		known := w.failing[of]
		switch {
		case now.Sub(known.last) > watchRetried:
			delete(w.failing, of)
		case known.last.Sub(known.first) >= watchPatience:
			dead = append(dead, fmt.Sprintf("%s since %s (%s)", of, known.first.UTC().Format(time.RFC3339), known.why))
		}
	}
	return dead
}

// ready fails while a watch is not alive.
func (w *watches) ready(*http.Request) error {
	if problem := w.Problem(); problem != "" {
		return errors.New(problem)
	}
	return nil
}
