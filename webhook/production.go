// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// recentFor is how long an admitted environment is looked up by name. The manager's cache knows of it within
// milliseconds.
const recentFor = time.Minute

// recentNames are the production environments that this process has admitted lately. It is safe for concurrent use.
type recentNames struct {
	mu    sync.Mutex
	names map[types.NamespacedName]time.Time
}

// add remembers an environment, and forgets those that were admitted long ago.
func (r *recentNames) add(name types.NamespacedName, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names = map[types.NamespacedName]time.Time{}
	}
	maps.DeleteFunc(r.names, func(_ types.NamespacedName, at time.Time) bool { return now.Sub(at) > recentFor })
	r.names[name] = now
}

// in returns the names of the environments of a namespace.
func (r *recentNames) in(namespace string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.names {
		if name.Namespace == namespace {
			names = append(names, name.Name)
		}
	}
	return names
}

// guardedProduction returns the production environments of a namespace for which the user of the request that ctx holds
// may lack the permission: none for whoever has it on all environments of the namespace. One question tells that, whose
// answer is remembered, while each environment takes a read of its own.
func (o *objects) guardedProduction(
	ctx context.Context,
	namespace string,
	named ...string,
) ([]*v1alpha1.FlagEnvironment, error) {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the request: %w", err)
	}
	if allowed, err := o.permission.allows(ctx, &request, ""); allowed || err != nil {
		return nil, err
	}
	return o.production(ctx, namespace, named...)
}

// production returns the production environments of a namespace, by name. Each is read live, so that one that has just
// become production is not missed. Their names come from the manager's cache, for a consistent list waits up to 100 ms
// for the API server's own cache to be told of progress; an environment that the cache may not know yet was admitted by
// this process a moment ago, or is among those that the caller names.
func (o *objects) production(
	ctx context.Context,
	namespace string,
	named ...string,
) ([]*v1alpha1.FlagEnvironment, error) {
	list := &v1alpha1.FlagEnvironmentList{}
	if err := o.cached.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	names := append(o.recent.in(namespace), named...)
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)

	found := make([]*v1alpha1.FlagEnvironment, len(names))
	errs := make([]error, len(names))
	var reading sync.WaitGroup
	slots := make(chan struct{}, parallelReads)
	for i, name := range names {
		slots <- struct{}{}
		reading.Go(func() {
			defer func() { <-slots }()
			environment := &v1alpha1.FlagEnvironment{}
			err := o.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, environment)
			switch {
			case err == nil && environment.Spec.Production:
				found[i] = environment
			case err != nil && !apierrors.IsNotFound(err):
				errs[i] = fmt.Errorf("read environment %q: %w", name, err)
			}
		})
	}
	reading.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(found, func(e *v1alpha1.FlagEnvironment) bool { return e == nil }), nil
}

// parallelReads is how many environments are read at the same time.
const parallelReads = 8

// environmentsNamedBy are the environments that flags name in their specs.
func environmentsNamedBy(flags ...*v1alpha1.FeatureFlag) []string {
	var names []string
	for _, flag := range flags {
		if flag == nil {
			continue
		}
		for i := range flag.Spec.Environments {
			names = append(names, flag.Spec.Environments[i].Name)
		}
	}
	return names
}
