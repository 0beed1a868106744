// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
)

// source is the Kind of an object that goes into datafiles.
type source int

const (
	flagSource source = iota
	audienceSource
	eventSource
)

// change names an object of a namespace that was created, updated or deleted.
type change struct {
	source source
	name   string
}

// changes remembers, for each environment, which objects changed since it was last compiled, so that a reconcile looks
// at these alone. An environment that is not followed yet compiles everything anyway.
type changes struct {
	mu       sync.Mutex
	followed map[types.NamespacedName]map[change]struct{}
	// seen are the newest resource versions that events have shown to each followed environment.
	seen map[types.NamespacedName]map[source]string
}

func newChanges() *changes {
	return &changes{
		followed: map[types.NamespacedName]map[change]struct{}{},
		seen:     map[types.NamespacedName]map[source]string{},
	}
}

// follow begins to remember changes for an environment.
func (c *changes) follow(environment types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followed[environment] = map[change]struct{}{}
	c.seen[environment] = map[source]string{}
}

// saw notes the resource version of an object that an environment knows.
func (c *changes) saw(environment types.NamespacedName, from source, resourceVersion string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(environment, from, resourceVersion)
}

// note is saw for callers that hold the lock.
func (c *changes) note(environment types.NamespacedName, from source, resourceVersion string) {
	if seen := c.seen[environment]; seen != nil && isNewer(resourceVersion, seen[from]) {
		seen[from] = resourceVersion
	}
}

// event notes the resource version of an event's object for every followed environment of the namespace.
func (c *changes) event(from source, object client.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for environment := range c.followed {
		if environment.Namespace == object.GetNamespace() {
			c.note(environment, from, object.GetResourceVersion())
		}
	}
}

// newest is the newest resource version of a source that an environment knows, and empty where it knows none.
func (c *changes) newest(environment types.NamespacedName, from source) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[environment][from]
}

// isNewer compares resource versions. One that is none is newer than nothing.
func isNewer(resourceVersion, than string) bool {
	if than == "" {
		return resourceVersion != ""
	}
	order, err := resourceversion.CompareResourceVersion(resourceVersion, than)
	return err == nil && order > 0
}

// followedIn returns the followed environments of a namespace.
func (c *changes) followedIn(namespace string) []types.NamespacedName {
	c.mu.Lock()
	defer c.mu.Unlock()
	var environments []types.NamespacedName
	for environment := range c.followed {
		if environment.Namespace == namespace {
			environments = append(environments, environment)
		}
	}
	return environments
}

// all returns every followed environment.
func (c *changes) all() []types.NamespacedName {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.followed))
}

// forget ends what follow began. It reports whether no environment of the namespace is followed any more.
func (c *changes) forget(environment types.NamespacedName) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.followed, environment)
	delete(c.seen, environment)
	for other := range c.followed {
		if other.Namespace == environment.Namespace {
			return false
		}
	}
	return true
}

// add remembers a change for every followed environment of the namespace and returns these.
func (c *changes) add(namespace string, changed change) []types.NamespacedName {
	c.mu.Lock()
	defer c.mu.Unlock()
	var environments []types.NamespacedName
	for environment, set := range c.followed {
		if environment.Namespace == namespace {
			set[changed] = struct{}{}
			environments = append(environments, environment)
		}
	}
	return environments
}

// drain returns the changes of an environment and remembers none of them any more.
func (c *changes) drain(environment types.NamespacedName) map[change]struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	drained := c.followed[environment]
	if drained != nil {
		c.followed[environment] = map[change]struct{}{}
	}
	return drained
}

// requeue remembers changes again that were drained and could not be compiled.
func (c *changes) requeue(environment types.NamespacedName, drained map[change]struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if set, ok := c.followed[environment]; ok {
		for changed := range drained {
			set[changed] = struct{}{}
		}
	}
}

// handler remembers each event that can change a datafile and enqueues the environments of its namespace. Refresh is
// called for an object whose change cannot.
func (c *changes) handler(from source, refresh func(client.Object)) handler.EventHandler {
	enqueue := func(object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, environment := range c.add(object.GetNamespace(), change{source: from, name: object.GetName()}) {
			queue.Add(reconcile.Request{NamespacedName: environment})
		}
	}
	brake := func(object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, environment := range c.add(object.GetNamespace(), change{source: from, name: object.GetName()}) {
			fairqueue.AddBrake(queue, reconcile.Request{NamespacedName: environment})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(e.Object, queue)
			c.event(from, e.Object)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, after := e.ObjectOld.GetAnnotations()[v1alpha1.ForceDisabledAnnotation], e.ObjectNew.GetAnnotations()[v1alpha1.ForceDisabledAnnotation]
			switch {
			case before != after && after != "":
				brake(e.ObjectNew, queue)
			case before != after,
				e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration(),
				e.ObjectOld.GetUID() != e.ObjectNew.GetUID():
				enqueue(e.ObjectNew, queue)
			default:
				refresh(e.ObjectNew)
			}
			c.event(from, e.ObjectNew) // After its change is remembered, which a publish request waits for.
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(e.Object, queue)
		},
	}
}
