// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// crowd runs a namespace that always has something to do for so long, each run taking took, and returns how long its
// runs have taken together, and how long it waited at most.
func crowd(bound int, lasting, took time.Duration) (worked, waited time.Duration) {
	var used allowance
	begin := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	for now := begin; now.Sub(begin) < lasting; {
		wait := used.wait(now, bound)
		if wait == 0 {
			now = now.Add(took)
			worked += took
			used.spend(took, now, bound)
		}
		waited = max(waited, wait)
		now = now.Add(wait)
	}
	return worked, waited
}

func TestAllowance(t *testing.T) {
	for name, tc := range map[string]struct {
		bound                  int
		lasting, took          time.Duration
		atLeast, atMost, waits time.Duration
	}{
		"a start, or an apply of many flags, goes on at full speed": {
			bound: 1, lasting: 5 * time.Second, took: 5 * time.Millisecond, atLeast: 5 * time.Second, atMost: 5 * time.Second,
		},
		"work without end goes on with a quarter of a worker": {
			bound: 1, lasting: time.Minute, took: 5 * time.Millisecond,
			atLeast: 19 * time.Second, atMost: 21 * time.Second, waits: 30 * time.Millisecond,
		},
		"whoever may occupy two workers has twice as much": {
			bound: 2, lasting: time.Minute, took: 5 * time.Millisecond,
			atLeast: 38 * time.Second, atMost: 41 * time.Second, waits: 30 * time.Millisecond,
		},
		"after an API server that was away nobody waits for long": {
			bound: 1, lasting: 10 * time.Minute, took: 30 * time.Second, atLeast: 8 * time.Minute, atMost: 11 * time.Minute,
			waits: 4 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			worked, waited := crowd(tc.bound, tc.lasting, tc.took)
			if worked < tc.atLeast || worked > tc.atMost {
				t.Errorf("it works %s of %s, want %s to %s", worked, tc.lasting, tc.atLeast, tc.atMost)
			}
			if waited > tc.waits {
				t.Errorf("it waits for %s, want at most %s", waited, tc.waits)
			}
		})
	}
}

// A namespace is written without a pause. Its neighbour, and its own brakes, have their turn at once.
func TestACrowdIsHeldBackAndNobodyElse(t *testing.T) {
	now := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	s := newScheduler(1, func() time.Time { return now })
	run := func(took time.Duration) reconcile.Request {
		popped := s.Pop()
		now = now.Add(took)
		s.done(popped)
		return popped
	}
	for ran := 0; ; ran++ {
		s.Push(request("crowd/1"))
		if _, wait, may := s.next(); !may {
			if wait <= 0 {
				t.Fatal("nobody says how long the crowd is held back")
			}
			break
		}
		if run(longest); ran > 100 {
			t.Fatal("the crowd is not held back")
		}
	}
	s.Push(request("neighbour/1"))
	if popped := run(time.Millisecond); popped != request("neighbour/1") {
		t.Errorf("%s runs, want the neighbour", popped)
	}
	s.raise(request("crowd/2"), BrakePriority)
	s.Push(request("crowd/2"))
	if popped := run(time.Millisecond); popped != request("crowd/2") {
		t.Errorf("%s runs, want the brake", popped)
	}
	_, wait, may := s.next()
	if may {
		t.Fatal("the brake lets the rest of the crowd pass")
	}
	now = now.Add(wait)
	if popped := run(time.Millisecond); popped != request("crowd/1") {
		t.Errorf("%s runs after %s, want what was held back", popped, wait)
	}
}

// A hundred environments that a start finds are read at full speed, and the first edit after that is published at once.
func TestAStartIsNotHeldBack(t *testing.T) {
	now := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	s := newScheduler(1, func() time.Time { return now })
	for range 100 {
		found := request("crowd/1")
		s.raise(found, handler.LowPriority)
		s.Push(found)
		if _, _, may := s.next(); !may {
			t.Fatal("what a start finds is held back")
		}
		popped := s.Pop()
		delete(s.priorities, popped) // As the queue does.
		now = now.Add(longest)
		s.done(popped)
	}
	s.Push(request("crowd/2"))
	if _, wait, may := s.next(); !may {
		t.Errorf("an edit after the start waits for %s", wait)
	}
}

func TestQueueWakesAWorkerWhenANamespaceMayGoOn(t *testing.T) {
	q := newQueue(1)
	defer q.ShutDown()
	q.scheduler.allowances["a"] = &allowance{used: burst + 10*time.Millisecond, at: time.Now()}
	q.Add(request("a/1"))
	if got, shutdown := q.Get(); shutdown || got != request("a/1") {
		t.Errorf("%s has its turn, shut down: %t", got, shutdown)
	}
}
