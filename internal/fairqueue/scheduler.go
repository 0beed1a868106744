// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"container/heap"
	"maps"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// anyPriority is how often a pick passes over priorities between namespaces, so that a namespace that brakes or edits
// without end keeps no other from its turn for ever.
const anyPriority = 4

// dropEvery is after how many picks the allowances are looked through.
const dropEvery = 1024

// scheduler chooses what is reconciled next among the requests that are ready. It is a workqueue.Queue and is not safe
// for concurrent use.
type scheduler struct {
	// bound is how many requests of one namespace run at a time.
	bound int
	now   func() time.Time
	// priorities are those of requests that wait or are to wait. The default is 0.
	priorities map[reconcile.Request]int
	// namespaces are those with requests that are ready.
	namespaces map[string]*waitingRequests
	// running counts the requests of each namespace that run.
	running map[string]int
	// began tells when each request that runs, and counts, began.
	began map[reconcile.Request]time.Time
	// allowances are those of the namespaces that have asked for work of late.
	allowances map[string]*allowance
	// served tells for each namespace with requests, ready or running, when it last had its turn.
	served map[string]uint64

	size         int
	added, picks uint64
}

func newScheduler(bound int, now func() time.Time) *scheduler {
	return &scheduler{
		bound: bound, now: now, priorities: map[reconcile.Request]int{}, namespaces: map[string]*waitingRequests{},
		running: map[string]int{}, began: map[reconcile.Request]time.Time{}, allowances: map[string]*allowance{},
		served: map[string]uint64{},
	}
}

// raise gives a request a priority that is at least the given one.
func (s *scheduler) raise(request reconcile.Request, priority int) {
	if known, ok := s.priorities[request]; !ok || priority > known {
		s.priorities[request] = priority
	}
}

// Push makes a request ready.
func (s *scheduler) Push(request reconcile.Request) {
	waiting, ok := s.namespaces[request.Namespace]
	if !ok {
		waiting = &waitingRequests{index: map[reconcile.Request]int{}}
		s.namespaces[request.Namespace] = waiting
		// A namespace that had nothing to do comes after those that have waited since.
		if _, hasTurns := s.served[request.Namespace]; !hasTurns {
			s.served[request.Namespace] = s.picks
		}
	}
	s.added++
	s.size++
	heap.Push(waiting, waitingRequest{request: request, priority: s.priorities[request], added: s.added})
}

// Touch takes up the priority of a request that is ready and was asked for again.
func (s *scheduler) Touch(request reconcile.Request) {
	waiting, ok := s.namespaces[request.Namespace]
	if !ok {
		return
	}
	if i, ok := waiting.index[request]; ok && s.priorities[request] > waiting.requests[i].priority {
		waiting.requests[i].priority = s.priorities[request]
		heap.Fix(waiting, i)
	}
}

// Len is how many requests are ready.
func (s *scheduler) Len() int { return s.size }

// Pop starts the request whose turn it is: that of the highest priority, of the namespace that has had no turn for the
// longest time. A namespace has its turn only while fewer of its requests run than the bound, and while it has not used
// up its allowance. It returns the zero request where none may run.
func (s *scheduler) Pop() reconcile.Request {
	namespace, _, ok := s.next()
	if !ok {
		return reconcile.Request{}
	}
	waiting := s.namespaces[namespace]
	popped, _ := heap.Pop(waiting).(waitingRequest)
	if waiting.Len() == 0 {
		delete(s.namespaces, namespace)
	}
	s.size--
	s.picks++
	s.served[namespace] = s.picks
	s.running[namespace]++
	if isPaced(popped.priority) {
		s.began[popped.request] = s.now()
	}
	return popped.request
}

// next is the namespace whose turn it is, and whether any has. Where none has, it says how long it is until a namespace
// that has used up its allowance may go on, and 0 where there is none.
func (s *scheduler) next() (next string, wait time.Duration, found bool) {
	byPriority, now := (s.picks+1)%anyPriority != 0, s.now()
	for namespace, waiting := range s.namespaces {
		if s.running[namespace] >= s.bound {
			continue
		}
		if held := s.held(namespace, now); held > 0 && isPaced(waiting.requests[0].priority) {
			if wait == 0 || held < wait {
				wait = held
			}
			continue
		}
		if !found || s.precedes(waiting.requests[0], s.namespaces[next].requests[0], byPriority) {
			next, found = namespace, true
		}
	}
	return next, wait, found
}

// isPaced reports whether requests of a priority count, and wait for the allowance. Brakes do not, nor does what a start
// finds: a replica is not ready before it has read everything, and nobody can make it start.
func isPaced(priority int) bool { return priority >= 0 && priority < BrakePriority }

// held is how long a namespace has to wait for its allowance.
func (s *scheduler) held(namespace string, now time.Time) time.Duration {
	if used, ok := s.allowances[namespace]; ok {
		return used.wait(now, s.bound)
	}
	return 0
}

// spend counts a run that ends. Now and then it drops the allowances of which nothing is used any more.
func (s *scheduler) spend(request reconcile.Request) {
	began, ran := s.began[request]
	if !ran {
		return
	}
	delete(s.began, request)
	now := s.now()
	used, ok := s.allowances[request.Namespace]
	if !ok {
		used = &allowance{}
		s.allowances[request.Namespace] = used
	}
	used.spend(now.Sub(began), now, s.bound)
	if s.picks%dropEvery == 0 {
		maps.DeleteFunc(s.allowances, func(_ string, a *allowance) bool { return a.left(now, s.bound) == 0 })
	}
}

// precedes reports whether request a has its turn before b, of another namespace.
func (s *scheduler) precedes(a, b waitingRequest, byPriority bool) bool {
	ofA, ofB := a.request.Namespace, b.request.Namespace
	switch {
	case byPriority && a.priority != b.priority:
		return a.priority > b.priority
	case s.running[ofA] != s.running[ofB]:
		return s.running[ofA] < s.running[ofB]
	case s.served[ofA] != s.served[ofB]:
		return s.served[ofA] < s.served[ofB]
	}
	return a.added < b.added
}

// done ends the run of a request.
func (s *scheduler) done(request reconcile.Request) {
	s.spend(request)
	namespace := request.Namespace
	if s.running[namespace] == 0 {
		return
	}
	if s.running[namespace]--; s.running[namespace] > 0 {
		return
	}
	delete(s.running, namespace)
	if s.namespaces[namespace] == nil {
		delete(s.served, namespace)
	}
}

type waitingRequest struct {
	request  reconcile.Request
	priority int
	added    uint64
}

// waitingRequests is a heap of the requests of one namespace: the highest priority first, then the oldest.
type waitingRequests struct {
	requests []waitingRequest
	index    map[reconcile.Request]int
}

func (w *waitingRequests) Len() int { return len(w.requests) }

func (w *waitingRequests) Less(i, j int) bool {
	if w.requests[i].priority != w.requests[j].priority {
		return w.requests[i].priority > w.requests[j].priority
	}
	return w.requests[i].added < w.requests[j].added
}

func (w *waitingRequests) Swap(i, j int) {
	w.requests[i], w.requests[j] = w.requests[j], w.requests[i]
	w.index[w.requests[i].request], w.index[w.requests[j].request] = i, j
}

// Push is heap.Interface's.
func (w *waitingRequests) Push(added any) {
	request, _ := added.(waitingRequest)
	w.index[request.request] = len(w.requests)
	w.requests = append(w.requests, request)
}

// Pop is heap.Interface's.
func (w *waitingRequests) Pop() any {
	last := w.requests[len(w.requests)-1]
	w.requests = w.requests[:len(w.requests)-1]
	delete(w.index, last.request)
	return last
}
