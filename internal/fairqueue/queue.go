// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fairqueue is the queue of controllers of which one namespace cannot keep another waiting. Requests have their
// turn by namespace, round robin, brakes first. Of one namespace only some run at a time, which bounds its API calls in
// flight. A namespace that asks for work without end goes on with a part of a worker's time, which leaves the API server
// to the others; its brakes do not wait.
package fairqueue

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// BrakePriority is the priority of what switches a flag off. What a controller finds when it starts has
// handler.LowPriority, and everything else has 0.
const BrakePriority = 100

// Queue is a priorityqueue.PriorityQueue. It is safe for concurrent use.
type Queue struct {
	limiter workqueue.TypedRateLimiter[reconcile.Request]
	now     func() time.Time

	mu        sync.Mutex
	changed   *sync.Cond
	scheduler *scheduler
	// inner knows which requests are asked for or run, and has the metrics of a workqueue. It is never asked while nothing
	// may run, so that it does not block.
	inner workqueue.TypedInterface[reconcile.Request]
	// delayed are requests that become ready later.
	delayed map[reconcile.Request]*delay
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = &Queue{}

// EditPriority is the priority of what somebody has just edited, before what the edits of others bring to it.
const EditPriority = 10

// AddBrake asks a controller's queue for a request that switches a flag off.
func AddBrake(to workqueue.TypedRateLimitingInterface[reconcile.Request], request reconcile.Request) {
	Add(to, BrakePriority, request)
}

// Add asks a controller's queue for a request of that priority.
func Add(to workqueue.TypedRateLimitingInterface[reconcile.Request], priority int, request reconcile.Request) {
	if queue, ok := to.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(priority)}, request)
		return
	}
	to.Add(request)
}

type delay struct {
	at       time.Time
	priority int
	timer    *time.Timer
}

// Options are those of a controller with that many workers, of which at most perNamespace work for one namespace. What
// only reports has one: a report may wait, and each costs the API server the more, the more environments there are.
func Options(workers, perNamespace int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: New(perNamespace)}
}

// New returns a function for controller.Options.NewQueue whose queues run at most bound requests of a namespace at a
// time.
func New(bound int) func(
	name string, limiter workqueue.TypedRateLimiter[reconcile.Request],
) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return func(
		name string, limiter workqueue.TypedRateLimiter[reconcile.Request],
	) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		now := clock.RealClock{}.Now
		q := &Queue{
			limiter: limiter, now: now, scheduler: newScheduler(bound, now), delayed: map[reconcile.Request]*delay{},
		}
		q.changed = sync.NewCond(&q.mu)
		q.inner = workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: q.scheduler})
		return q
	}
}

// AddWithOpts asks for requests.
func (q *Queue) AddWithOpts(options priorityqueue.AddOpts, requests ...reconcile.Request) {
	priority := 0
	if options.Priority != nil {
		priority = *options.Priority
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, request := range requests {
		after := options.After
		if options.RateLimited {
			if limited := q.limiter.When(request); after == 0 || limited < after {
				after = limited
			}
		}
		if after > 0 {
			q.addAfter(request, after, laterPriority(options, priority))
		} else {
			q.add(request, priority)
		}
	}
}

// soon is how long a request that comes again may wait without losing its priority.
const soon = time.Second

// laterPriority is the priority of a request that waits. One that a controller asks for itself, to look again in a
// while, is no brake any more; one that failed is tried again as what it was.
func laterPriority(options priorityqueue.AddOpts, priority int) int {
	if options.RateLimited || options.After <= soon {
		return priority
	}
	return min(priority, 0)
}

func (q *Queue) add(request reconcile.Request, priority int) {
	if q.inner.ShuttingDown() {
		return
	}
	if waiting, ok := q.delayed[request]; ok {
		waiting.timer.Stop()
		delete(q.delayed, request)
		priority = max(priority, waiting.priority)
	}
	q.scheduler.raise(request, priority)
	q.inner.Add(request)
	q.changed.Broadcast()
}

// addAfter asks for a request later. Of several times, the first counts.
func (q *Queue) addAfter(request reconcile.Request, after time.Duration, priority int) {
	if q.inner.ShuttingDown() {
		return
	}
	at := q.now().Add(after)
	if waiting, ok := q.delayed[request]; ok {
		waiting.priority = max(waiting.priority, priority)
		if at.Before(waiting.at) {
			waiting.at = at
			waiting.timer.Reset(after)
		}
		return
	}
	waiting := &delay{at: at, priority: priority}
	waiting.timer = time.AfterFunc(after, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.delayed[request] == waiting {
			q.add(request, waiting.priority)
		}
	})
	q.delayed[request] = waiting
}

// GetWithPriority waits for the request whose turn it is.
func (q *Queue) GetWithPriority() (request reconcile.Request, priority int, shutdown bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.inner.ShuttingDown() {
			return reconcile.Request{}, 0, true
		}
		_, held, found := q.scheduler.next()
		if found {
			break
		}
		q.wait(held)
	}
	request, shutdown = q.inner.Get()
	priority = q.scheduler.priorities[request]
	delete(q.scheduler.priorities, request)
	return request, priority, shutdown
}

// wait waits until something has changed, or for that long where a namespace is held back. The lock is held.
func (q *Queue) wait(held time.Duration) {
	if held > 0 {
		timer := time.AfterFunc(held, func() {
			q.mu.Lock() // So that it does not wake before the wait begins.
			defer q.mu.Unlock()
			q.changed.Broadcast()
		})
		defer timer.Stop()
	}
	q.changed.Wait()
}

// Get is GetWithPriority without the priority.
func (q *Queue) Get() (reconcile.Request, bool) {
	request, _, shutdown := q.GetWithPriority()
	return request, shutdown
}

// Done ends the run of a request.
func (q *Queue) Done(request reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.scheduler.done(request)
	q.inner.Done(request)
	q.changed.Broadcast()
}

// Add asks for a request.
func (q *Queue) Add(request reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, request) }

// AddAfter asks for a request later.
func (q *Queue) AddAfter(request reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, request)
}

// AddRateLimited asks for a request as soon as the rate limiter allows it.
func (q *Queue) AddRateLimited(request reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, request)
}

// Forget ends the rate limiter's delays of a request.
func (q *Queue) Forget(request reconcile.Request) { q.limiter.Forget(request) }

// NumRequeues is how often a request was rate limited.
func (q *Queue) NumRequeues(request reconcile.Request) int { return q.limiter.NumRequeues(request) }

// Len is how many requests are ready.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inner.Len()
}

// ShutDown ends the queue. Whoever waits for a request is told so.
func (q *Queue) ShutDown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, waiting := range q.delayed {
		waiting.timer.Stop()
	}
	clear(q.delayed)
	q.inner.ShutDown()
	q.changed.Broadcast()
}

// ShutDownWithDrain is ShutDown: controllers do not drain.
func (q *Queue) ShutDownWithDrain() { q.ShutDown() }

// ShuttingDown reports whether the queue was shut down.
func (q *Queue) ShuttingDown() bool { return q.inner.ShuttingDown() }
