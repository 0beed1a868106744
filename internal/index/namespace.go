// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Namespace gives the objects of one namespace to the rules of package validation that go across objects.
type Namespace struct {
	// Reader reads from a cache with the indexes of Setup.
	Reader client.Reader
	// Name is the name of the namespace.
	Name string
}

// FlagsWithKey returns all flags with that key.
func (n Namespace) FlagsWithKey(ctx context.Context, key string) ([]*v1alpha1.FeatureFlag, error) {
	return n.flags(ctx, FlagKey, key)
}

// FlagsRequiring returns the unarchived flags that require the flag of that key in any environment.
func (n Namespace) FlagsRequiring(ctx context.Context, key string) ([]*v1alpha1.FeatureFlag, error) {
	return n.flags(ctx, FlagPrerequisites, key)
}

// FlagsUsingAudience returns the unarchived flags that name the audience in any environment.
func (n Namespace) FlagsUsingAudience(ctx context.Context, name string) ([]*v1alpha1.FeatureFlag, error) {
	return n.flags(ctx, FlagAudiences, name)
}

// FlagsMeasuring returns the unarchived flags that measure the event of that key in any environment.
func (n Namespace) FlagsMeasuring(ctx context.Context, key string) ([]*v1alpha1.FeatureFlag, error) {
	return n.flags(ctx, FlagEvents, key)
}

func (n Namespace) flags(ctx context.Context, index, value string) ([]*v1alpha1.FeatureFlag, error) {
	list := &v1alpha1.FeatureFlagList{}
	err := n.list(ctx, list, client.MatchingFields{index: value})
	return pointers(list.Items), err
}

// Environments returns all environments.
func (n Namespace) Environments(ctx context.Context) ([]*v1alpha1.FlagEnvironment, error) {
	list := &v1alpha1.FlagEnvironmentList{}
	err := n.list(ctx, list)
	return pointers(list.Items), err
}

// HasAudience reports whether there is an audience of that name.
func (n Namespace) HasAudience(ctx context.Context, name string) (bool, error) {
	err := n.Reader.Get(
		ctx,
		types.NamespacedName{Namespace: n.Name, Name: name},
		&v1alpha1.FlagAudience{},
		client.UnsafeDisableDeepCopy,
	)
	return err == nil, client.IgnoreNotFound(err)
}

// EventsWithKey returns all events with that key.
func (n Namespace) EventsWithKey(ctx context.Context, key string) ([]*v1alpha1.FlagEvent, error) {
	list := &v1alpha1.FlagEventList{}
	err := n.list(ctx, list, client.MatchingFields{EventKey: key})
	return pointers(list.Items), err
}

// Audiences returns the names of all audiences.
func (n Namespace) Audiences(ctx context.Context) ([]string, error) {
	list := &v1alpha1.FlagAudienceList{}
	err := n.list(ctx, list)
	return each(list.Items, func(audience *v1alpha1.FlagAudience) string { return audience.Name }), err
}

// FlagKeys returns the keys of all flags.
func (n Namespace) FlagKeys(ctx context.Context) ([]string, error) {
	list := &v1alpha1.FeatureFlagList{}
	err := n.list(ctx, list)
	return each(list.Items, (*v1alpha1.FeatureFlag).Key), err
}

// EventKeys returns the keys of all events.
func (n Namespace) EventKeys(ctx context.Context) ([]string, error) {
	list := &v1alpha1.FlagEventList{}
	err := n.list(ctx, list)
	return each(list.Items, (*v1alpha1.FlagEvent).Key), err
}

// each returns what a function makes of each item, in order and once.
func each[T any](items []T, text func(*T) string) []string {
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = text(&items[i])
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// list reads objects without copying them, because nobody changes what a Namespace gives.
func (n Namespace) list(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return n.Reader.List(ctx, list, append(options, client.InNamespace(n.Name), client.UnsafeDisableDeepCopy)...)
}

func pointers[T any](items []T) []*T {
	result := make([]*T, len(items))
	for i := range items {
		result[i] = &items[i]
	}
	return result
}
