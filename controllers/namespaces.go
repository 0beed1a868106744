// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// namespacesInterval is how often an operator that is confined to some namespaces looks at them.
const namespacesInterval = 10 * time.Second

// ConfinedCacheOptions is CacheOptions for an operator that has rights in some namespaces only. Of Namespaces the cache
// holds these, which are read one by one: a Role can give the right to get its own namespace, and not one to list or
// watch any.
func ConfinedCacheOptions(config *rest.Config, names []string) (cache.Options, error) {
	reader, err := metadata.NewForConfig(config)
	if err != nil {
		return cache.Options{}, fmt.Errorf("set up the cache: %w", err)
	}
	confined := &namespaces{
		reader: reader.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")), names: names, clock: clock.RealClock{},
	}
	options := CacheOptions()
	options.DefaultNamespaces = map[string]cache.Config{}
	for _, name := range names {
		options.DefaultNamespaces[name] = cache.Config{}
	}
	options.NewInformer = func(
		source toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	) toolscache.SharedIndexInformer {
		if _, isMetadata := object.(*metav1.PartialObjectMetadata); isMetadata &&
			object.GetObjectKind().GroupVersionKind().Kind == "Namespace" {
			source = toolscache.ToListWatcherWithWatchListSemantics(&toolscache.ListWatch{
				ListWithContextFunc: confined.list, WatchFuncWithContext: confined.watch,
			}, confined)
		}
		return toolscache.NewSharedIndexInformer(source, object, resync, indexers)
	}
	return options, nil
}

// namespaces lists and watches namespaces by getting them.
type namespaces struct {
	reader metadata.ResourceInterface
	names  []string
	clock  clock.WithTicker

	mu sync.Mutex
	// listed is what the informer was given last.
	listed *metav1.PartialObjectMetadataList
}

// IsWatchListSemanticsUnSupported is true: a watch does not begin with what there is.
func (*namespaces) IsWatchListSemanticsUnSupported() bool { return true }

func (n *namespaces) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	found, err := n.get(ctx)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listed = found
	return found.DeepCopy(), nil
}

// get returns the namespaces that are there, but for those that no Role lets the operator see.
func (n *namespaces) get(ctx context.Context) (*metav1.PartialObjectMetadataList, error) {
	found := &metav1.PartialObjectMetadataList{}
	for _, name := range n.names {
		namespace, err := n.reader.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("get namespace %q: %w", name, err)
		}
		found.Items = append(found.Items, *namespace)
	}
	return found, nil
}

// watch tells what has changed since the list, each time that it looks.
func (n *namespaces) watch(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
	events := make(chan watch.Event)
	watcher := watch.NewProxyWatcher(events)
	go func() {
		defer close(events)
		ticker := n.clock.NewTicker(namespacesInterval)
		defer ticker.Stop()
		for {
			select {
			case <-watcher.StopChan():
				return
			case <-ctx.Done():
				return
			case <-ticker.C():
			}
			found, err := n.get(ctx)
			if err != nil {
				return // The informer watches anew.
			}
			for _, event := range n.changes(found) {
				select {
				case <-watcher.StopChan():
					return
				case events <- event:
				}
			}
		}
	}()
	return watcher, nil
}

// changes are the events that lead from what the informer has to what was found.
func (n *namespaces) changes(found *metav1.PartialObjectMetadataList) []watch.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	was, is := byName(n.listed), byName(found)
	n.listed = found
	var events []watch.Event
	for name, namespace := range is {
		switch former, existed := was[name]; {
		case existed && former.UID != namespace.UID:
			events = append(
				events,
				watch.Event{Type: watch.Deleted, Object: former},
				watch.Event{Type: watch.Added, Object: namespace},
			)
		case !existed:
			events = append(events, watch.Event{Type: watch.Added, Object: namespace})
		case former.ResourceVersion != namespace.ResourceVersion:
			events = append(events, watch.Event{Type: watch.Modified, Object: namespace})
		}
	}
	for name, namespace := range was {
		if is[name] == nil {
			events = append(events, watch.Event{Type: watch.Deleted, Object: namespace})
		}
	}
	return events
}

func byName(list *metav1.PartialObjectMetadataList) map[string]*metav1.PartialObjectMetadata {
	objects := map[string]*metav1.PartialObjectMetadata{}
	for i := range list.Items {
		objects[list.Items[i].Name] = list.Items[i].DeepCopy()
	}
	return objects
}
