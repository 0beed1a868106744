// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// request reads "namespace/name".
func request(text string) reconcile.Request {
	namespace, name, _ := strings.Cut(text, "/")
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func TestScheduler(t *testing.T) {
	for name, tc := range map[string]struct {
		bound int
		// steps are requests that become ready, "!" before a brake, "~" before what a start finds, "done namespace/name",
		// "one" where one may run, or "run" where all may.
		steps []string
		want  []string // What runs, in order, until none may.
	}{
		"a namespace by itself is first in, first out": {
			bound: 9, steps: []string{"a/1", "a/2", "a/3"}, want: []string{"a/1", "a/2", "a/3"},
		},
		"a neighbour has its turn before the second of a crowd": {
			bound: 9, steps: []string{"a/1", "a/2", "a/3", "b/1"}, want: []string{"a/1", "b/1", "a/2", "a/3"},
		},
		"a namespace runs no more than its bound": {
			bound: 2, steps: []string{"a/1", "a/2", "a/3", "b/1"}, want: []string{"a/1", "b/1", "a/2"},
		},
		"what has run makes place for what waits": {
			bound: 1, steps: []string{"a/1", "a/2", "run", "done a/1"}, want: []string{"a/1", "a/2"},
		},
		"a brake goes first, in its namespace and before others": {
			bound: 9, steps: []string{"a/1", "b/1", "b/2", "!b/3"}, want: []string{"b/3", "a/1", "b/1", "b/2"},
		},
		"a brake of what already waits goes first": {
			bound: 9, steps: []string{"a/1", "b/1", "b/2", "!b/2"}, want: []string{"b/2", "a/1", "b/1"},
		},
		"an edit goes before what a start finds": {
			bound: 9, steps: []string{"~a/1", "~a/2", "b/1"}, want: []string{"b/1", "a/1", "a/2"},
		},
		"who had nothing to do comes after those that have waited since": {
			bound: 9,
			steps: []string{"a/1", "a/2", "b/1", "b/2", "one", "done a/1", "one", "done b/1", "c/1", "one", "done a/2", "one", "done b/2"},
			want:  []string{"a/1", "b/1", "a/2", "b/2", "c/1"},
		},
		"brakes without end do not keep an edit waiting for ever": {
			bound: 9, steps: []string{"a/1", "!b/1", "!b/2", "!b/3", "!b/4", "!b/5"},
			want: []string{"b/1", "b/2", "b/3", "a/1", "b/4", "b/5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScheduler(tc.bound, time.Now)
			var ran []string
			run := func() {
				for _, _, may := s.next(); may; _, _, may = s.next() {
					ran = append(ran, s.Pop().String())
				}
			}
			waiting := map[reconcile.Request]bool{}
			for _, step := range tc.steps {
				priority := map[byte]int{'!': BrakePriority, '~': handler.LowPriority}[step[0]]
				ready := request(strings.TrimLeft(step, "!~"))
				finished, isDone := strings.CutPrefix(step, "done ")
				switch {
				case step == "run":
					run()
				case step == "one":
					ran = append(ran, s.Pop().String())
				case isDone:
					s.done(request(finished))
				case waiting[ready]:
					s.raise(ready, priority)
					s.Touch(ready)
				default:
					waiting[ready] = true
					s.raise(ready, priority)
					s.Push(ready)
				}
			}
			run()
			if diff := cmp.Diff(tc.want, ran); diff != "" {
				t.Errorf("requests do not have their turns (-want +got):\n%s", diff)
			}
		})
	}
}

// What a scheduler remembers of a namespace goes with its last request: namespaces come and go for years.
func TestSchedulerForgetsNamespaces(t *testing.T) {
	now := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	s := newScheduler(2, func() time.Time { return now })
	for i := range dropEvery {
		ready := request(fmt.Sprintf("n%d/1", i))
		s.Push(ready)
		s.Pop()
		now = now.Add(time.Second)
		s.done(ready)
	}
	if left := len(s.namespaces) + len(s.running) + len(s.began) + len(s.served) + s.Len(); left != 0 {
		t.Errorf("%d entries are left of namespaces that have nothing to do", left)
	}
	if left := len(s.allowances); left > 10 {
		t.Errorf("%d allowances are left of namespaces that have used theirs long ago", left)
	}
}

func newQueue(bound int) *Queue {
	queue, _ := New(bound)(
		"", workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, time.Second),
	).(*Queue)
	return queue
}

func TestQueueGivesARequestToOneWorkerAtATime(t *testing.T) {
	q := newQueue(2)
	defer q.ShutDown()
	q.Add(request("a/1"))
	first, _ := q.Get()
	q.Add(request("a/1")) // While it runs.
	q.Add(request("b/1"))
	if second, _ := q.Get(); second != request("b/1") {
		t.Errorf("%s runs twice at a time", second)
	}
	q.Done(first)
	if again, _ := q.Get(); again != first {
		t.Errorf("a change during the run is lost: %s runs", again)
	}
}

func TestQueueWakesAWorkerThatWaitsForTheBound(t *testing.T) {
	q := newQueue(1)
	defer q.ShutDown()
	q.Add(request("a/1"))
	q.Add(request("a/2"))
	first, _ := q.Get()
	second := make(chan reconcile.Request)
	go func() {
		next, _ := q.Get()
		second <- next
	}()
	q.Done(first)
	if next := <-second; next != request("a/2") {
		t.Errorf("%s runs, want a/2", next)
	}
}

func TestQueueKeepsTheEarliestTimeAndTheHighestPriority(t *testing.T) {
	q := newQueue(1)
	defer q.ShutDown()
	q.AddAfter(request("a/1"), time.Hour)
	q.AddWithOpts(priorityqueue.AddOpts{After: time.Millisecond, Priority: new(BrakePriority)}, request("a/1"))
	q.AddAfter(request("a/1"), time.Hour)
	if got, priority, _ := q.GetWithPriority(); got != request("a/1") || priority != BrakePriority {
		t.Errorf("%s has its turn with priority %d, want a/1 with %d", got, priority, BrakePriority)
	}
	if len(q.delayed) != 0 {
		t.Error("the request comes a second time for the delay that a later call asked for")
	}
}

func TestQueueRetriesLaterAndLater(t *testing.T) {
	q := newQueue(1)
	defer q.ShutDown()
	for range 3 {
		q.AddRateLimited(request("a/1"))
		got, _ := q.Get()
		q.Done(got)
	}
	if retries := q.NumRequeues(request("a/1")); retries != 3 {
		t.Errorf("%d retries are counted, want 3", retries)
	}
	q.Forget(request("a/1"))
	if retries := q.NumRequeues(request("a/1")); retries != 0 {
		t.Errorf("%d retries are counted after a success", retries)
	}
}

func TestQueueLetsWorkersGoWhenItIsShutDown(t *testing.T) {
	q := newQueue(1)
	q.AddAfter(request("a/1"), time.Hour)
	gone := make(chan bool)
	go func() {
		_, shutdown := q.Get()
		gone <- shutdown
	}()
	q.ShutDown()
	if !<-gone {
		t.Error("a worker waits on after the end")
	}
	q.Add(request("a/2"))
	if q.Len() != 0 {
		t.Error("a queue that was shut down takes requests")
	}
}

// An environment that looks again by itself every minute is braked once. It must not go before all others for ever.
func TestABrakeDoesNotStick(t *testing.T) {
	for name, tc := range map[string]struct {
		again priorityqueue.AddOpts
		want  int
	}{
		"a look again in a while":  {again: priorityqueue.AddOpts{After: time.Minute}},
		"a conflict":               {again: priorityqueue.AddOpts{After: time.Millisecond}, want: BrakePriority},
		"a failure":                {again: priorityqueue.AddOpts{RateLimited: true}, want: BrakePriority},
		"what waits since a start": {again: priorityqueue.AddOpts{After: time.Minute, Priority: new(handler.LowPriority)}, want: handler.LowPriority},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(1)
			defer q.ShutDown()
			AddBrake(q, request("a/1"))
			got, priority, _ := q.GetWithPriority()
			if tc.again.Priority == nil {
				tc.again.Priority = &priority // As a controller does.
			}
			q.AddWithOpts(tc.again, got)
			q.Done(got)
			q.mu.Lock()
			defer q.mu.Unlock()
			if waiting := q.delayed[got]; waiting != nil && waiting.priority != tc.want {
				t.Errorf("it waits with priority %d, want %d", waiting.priority, tc.want)
			} else if waiting == nil && tc.want != BrakePriority {
				t.Error("it does not wait")
			}
		})
	}
}
