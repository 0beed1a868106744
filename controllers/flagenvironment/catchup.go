// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// catchUpPoll is how often a publish request that is newer than the watches is looked at again.
	catchUpPoll = 50 * time.Millisecond

	// catchUpLimit is how long a publish request waits for the watches. After it, what they have shown is published.
	catchUpLimit = 5 * time.Second

	catchUpPage = 500
)

// sourceKinds are the Kinds of what goes into datafiles.
var sourceKinds = map[source]string{flagSource: flagKind, audienceSource: audienceKind, eventSource: eventKind}

// catchingUp is what the API server held when a publish request was seen first.
type catchingUp struct {
	request string
	since   time.Time
	// newest are the newest resource versions, and names the names of all objects.
	newest map[source]string
	names  map[source]sets.Set[string]
	// horizon are the resource versions of the lists: what is newer was stored after them.
	horizon map[source]string
	// isDone is true once the watches have shown all of that.
	isDone bool
}

// catchUp finds out whether the watches have shown everything that was stored before a publish was asked for. Each Kind
// has a watch of its own: that of the environment can show the request before that of the flags shows the edit that is
// to be published.
func (r *Reconciler) catchUp(ctx context.Context, s *scope) error {
	request := unansweredRequest(s.environment, s.state.handledRequest)
	if request == "" || waitsAlready(s, request) {
		s.state.catchingUp = nil
		return nil
	}
	if s.state.catchingUp == nil || s.state.catchingUp.request != request {
		begun, err := r.stored(ctx, s.environment.Namespace)
		if err != nil { // Such as while a CRD is gone: brakes and restores must not wait for its return.
			log.FromContext(ctx).Error(err, "Answering a publish request by what the watches have shown")
			begun = &catchingUp{isDone: true}
		}
		begun.request, begun.since = request, s.now
		s.state.catchingUp = begun
	}
	wanted := s.state.catchingUp
	if wanted.isDone {
		return nil
	}
	isBehind, err := r.isBehind(ctx, client.ObjectKeyFromObject(s.environment), wanted)
	if err != nil {
		return err
	}
	elapsed := s.now.Sub(wanted.since)
	s.isBehind = isBehind && elapsed >= 0 && elapsed < catchUpLimit
	wanted.isDone = !s.isBehind
	return nil
}

// waitsAlready reports whether a request was seen before and has to wait, so that what it asks for is known.
func waitsAlready(s *scope, request string) bool {
	waiting := s.state.waiting
	if waiting == nil {
		waiting = s.environment.Status.WaitingPublish
	}
	return waiting != nil && waiting.RequestedAt == request
}

// stored reads what the API server holds of the objects that go into datafiles.
func (r *Reconciler) stored(ctx context.Context, namespace string) (*catchingUp, error) {
	found := &catchingUp{
		newest: map[source]string{}, horizon: map[source]string{}, names: map[source]sets.Set[string]{},
	}
	for from, kind := range sourceKinds {
		names := sets.New[string]()
		page := &metav1.PartialObjectMetadataList{}
		for {
			page.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
			if err := r.Live.List(ctx, page, client.InNamespace(namespace), client.Limit(catchUpPage),
				client.Continue(page.Continue)); err != nil {
				return nil, fmt.Errorf("list what is to be published: %w", err)
			}
			found.horizon[from] = page.ResourceVersion
			for i := range page.Items {
				names.Insert(page.Items[i].Name)
				if isNewer(page.Items[i].ResourceVersion, found.newest[from]) {
					found.newest[from] = page.Items[i].ResourceVersion
				}
			}
			if page.Continue == "" {
				break
			}
		}
		found.names[from] = names
	}
	return found, nil
}

// isBehind reports whether an environment has not been shown something that was stored or deleted.
func (r *Reconciler) isBehind(ctx context.Context, key client.ObjectKey, wanted *catchingUp) (bool, error) {
	for _, kind := range v1alpha1.Kinds {
		for from, name := range sourceKinds {
			if name != kind.Name {
				continue
			}
			if newest := wanted.newest[from]; newest != "" && isNewer(newest, r.changes.newest(key, from)) {
				return true, nil
			}
			cached := kind.NewList()
			if err := r.Client.List(ctx, cached, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy); err != nil {
				return false, fmt.Errorf("list: %w", err)
			}
			isGone := false
			err := meta.EachListItem(cached, func(item runtime.Object) error {
				if object, is := item.(client.Object); is && !wanted.names[from].Has(object.GetName()) &&
					!isNewer(object.GetResourceVersion(), wanted.horizon[from]) {
					isGone = true
				}
				return nil
			})
			if err != nil || isGone {
				return isGone, err
			}
		}
	}
	return false, nil
}
