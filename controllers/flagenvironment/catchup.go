// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"errors"
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
	// catchUpPoll is how often what is newer than the watches is looked at again: a publish request, and the end of a break
	// glass.
	catchUpPoll = 50 * time.Millisecond

	// catchUpLimit is how long these wait for the watches. After it, what they have shown is published.
	catchUpLimit = 5 * time.Second

	catchUpPage = 500
)

// sourceKinds are the Kinds of what goes into datafiles.
var sourceKinds = map[source]struct {
	name    string
	newList func() client.ObjectList
}{
	flagSource:     {flagKind, func() client.ObjectList { return &v1alpha1.FeatureFlagList{} }},
	audienceSource: {audienceKind, func() client.ObjectList { return &v1alpha1.FlagAudienceList{} }},
	eventSource:    {eventKind, func() client.ObjectList { return &v1alpha1.FlagEventList{} }},
}

// catchingUp is what the API server held when a publish request, or the end of a break glass, was seen first.
type catchingUp struct {
	// asked tells what was seen from what is seen later.
	asked  string
	since  time.Time
	stored map[source]*stored
	// environment is the resource version of the environment itself, and empty for a publish request, which is a part of
	// the environment.
	environment string
	// isDone is true once the watches have shown all of that.
	isDone bool
}

// stored is what the API server held of one Kind in a namespace.
type stored struct {
	// newest is the newest resource version of an object, and empty where there is none.
	newest string
	names  sets.Set[string]
	// horizon is the resource version of the list: what is newer was stored after it.
	horizon string
}

// catchUp finds out whether the watches have shown everything that was stored before a publish was asked for or a break
// glass was ended. Each Kind has a watch of its own: that of the environment can show the request before that of the
// flags shows the edit that is to be published, and that of ConfigMaps the end of a break glass before a freeze.
func (r *Reconciler) catchUp(ctx context.Context, s *scope) error {
	request := unansweredRequest(s.environment, s.state.handledRequest)
	if request != "" && waitsAlready(s, request) {
		request = ""
	}
	asked := s.state.endedGlass + request
	if asked == "" {
		s.state.catchingUp = nil
		return nil
	}
	if s.state.catchingUp == nil || s.state.catchingUp.asked != asked {
		held, err := r.beginCatchingUp(ctx, s)
		if err != nil { // Such as while a CRD is gone: brakes and restores must not wait for its return.
			log.FromContext(ctx).Error(err, "Publishing what the watches have shown")
		}
		held.asked, held.since, held.isDone = asked, s.now, err != nil
		s.state.catchingUp = held
	}
	wanted := s.state.catchingUp
	if !wanted.isDone {
		isBehind, err := r.isBehind(ctx, s.environment, wanted)
		if err != nil {
			return err
		}
		elapsed := s.now.Sub(wanted.since)
		s.isBehind = isBehind && elapsed >= 0 && elapsed < catchUpLimit
		wanted.isDone = !s.isBehind
	}
	if wanted.isDone {
		s.state.endedGlass = ""
	}
	return nil
}

// beginCatchingUp reads what the API server holds now.
func (r *Reconciler) beginCatchingUp(ctx context.Context, s *scope) (*catchingUp, error) {
	held := &catchingUp{}
	if s.state.endedGlass != "" {
		live := &v1alpha1.FlagEnvironment{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(s.environment), live); err != nil {
			return held, fmt.Errorf("read the environment: %w", err)
		}
		held.environment = live.ResourceVersion
	}
	var err error
	held.stored, err = r.listStored(ctx, s.environment.Namespace)
	return held, err
}

// waitsAlready reports whether a request was seen before and has to wait, so that what it asks for is known.
func waitsAlready(s *scope, request string) bool {
	waiting := s.state.waiting
	if waiting == nil {
		waiting = s.environment.Status.WaitingPublish
	}
	return waiting != nil && waiting.RequestedAt == request
}

// listStored reads what the API server holds of the objects that go into datafiles. A list waits for the API server's own
// cache to be told of progress, which it is for all Kinds at the same time: they are listed together.
func (r *Reconciler) listStored(ctx context.Context, namespace string) (map[source]*stored, error) {
	found, errs := map[source]*stored{}, make(chan error, len(sourceKinds))
	for from, kind := range sourceKinds {
		held := &stored{names: sets.New[string]()}
		found[from] = held
		go func() { errs <- r.list(ctx, namespace, kind.name, held) }()
	}
	var all []error
	for range sourceKinds {
		all = append(all, <-errs)
	}
	return found, errors.Join(all...)
}

// list reads what the API server holds of one Kind.
func (r *Reconciler) list(ctx context.Context, namespace, kind string, held *stored) error {
	page := &metav1.PartialObjectMetadataList{}
	for {
		page.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		if err := r.Live.List(ctx, page, client.InNamespace(namespace), client.Limit(catchUpPage),
			client.Continue(page.Continue)); err != nil {
			return fmt.Errorf("list what is to be published: %w", err)
		}
		held.horizon = page.ResourceVersion
		for i := range page.Items {
			held.names.Insert(page.Items[i].Name)
			if isNewer(page.Items[i].ResourceVersion, held.newest) {
				held.newest = page.Items[i].ResourceVersion
			}
		}
		if page.Continue == "" {
			return nil
		}
	}
}

// isBehind reports whether an environment has not been shown something that was stored or deleted.
func (r *Reconciler) isBehind(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	wanted *catchingUp,
) (bool, error) {
	if wanted.environment != "" && isNewer(wanted.environment, environment.ResourceVersion) {
		return true, nil
	}
	key := client.ObjectKeyFromObject(environment)
	for from, held := range wanted.stored {
		if held.newest != "" && isNewer(held.newest, r.changes.newest(key, from)) {
			return true, nil
		}
		cached := sourceKinds[from].newList()
		if err := r.Client.List(ctx, cached, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("list: %w", err)
		}
		isDeleted := false
		err := meta.EachListItem(cached, func(item runtime.Object) error {
			object, is := item.(client.Object)
			isDeleted = isDeleted || is && !held.names.Has(object.GetName()) &&
				!isNewer(object.GetResourceVersion(), held.horizon)
			return nil
		})
		if err != nil || isDeleted {
			return isDeleted, err
		}
	}
	return false, nil
}
