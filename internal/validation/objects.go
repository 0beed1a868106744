// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"maps"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Objects is a Namespace of objects in memory, such as those of manifest files. It is made by NewObjects.
type Objects struct {
	flags        map[string][]*v1alpha1.FeatureFlag
	requiring    map[string][]*v1alpha1.FeatureFlag
	environments []*v1alpha1.FlagEnvironment
	audiences    map[string]struct{}
	events       map[string][]*v1alpha1.FlagEvent
}

var _ Namespace = &Objects{}

// NewObjects makes a Namespace of objects that are all of one namespace.
func NewObjects(flags []*v1alpha1.FeatureFlag, environments []*v1alpha1.FlagEnvironment,
	audiences []*v1alpha1.FlagAudience, events []*v1alpha1.FlagEvent,
) *Objects {
	objects := &Objects{
		flags:        map[string][]*v1alpha1.FeatureFlag{},
		requiring:    map[string][]*v1alpha1.FeatureFlag{},
		environments: environments,
		audiences:    map[string]struct{}{},
		events:       map[string][]*v1alpha1.FlagEvent{},
	}
	for _, flag := range flags {
		objects.flags[flag.Key()] = append(objects.flags[flag.Key()], flag)
		required := map[string]struct{}{}
		for i := range flag.Spec.Environments {
			for _, key := range requirements(flag, flag.Spec.Environments[i].Name) {
				required[key] = struct{}{}
			}
		}
		for key := range required {
			objects.requiring[key] = append(objects.requiring[key], flag)
		}
	}
	for _, audience := range audiences {
		objects.audiences[audience.Name] = struct{}{}
	}
	for _, event := range events {
		objects.events[event.Key()] = append(objects.events[event.Key()], event)
	}
	return objects
}

// FlagsWithKey returns all flags with that key.
func (o *Objects) FlagsWithKey(_ context.Context, key string) ([]*v1alpha1.FeatureFlag, error) {
	return o.flags[key], nil
}

// FlagsRequiring returns the unarchived flags that require the flag of that key in any environment.
func (o *Objects) FlagsRequiring(_ context.Context, key string) ([]*v1alpha1.FeatureFlag, error) {
	return o.requiring[key], nil
}

// Environments returns all environments.
func (o *Objects) Environments(context.Context) ([]*v1alpha1.FlagEnvironment, error) {
	return o.environments, nil
}

// HasAudience reports whether there is an audience of that name.
func (o *Objects) HasAudience(_ context.Context, name string) (bool, error) {
	_, found := o.audiences[name]
	return found, nil
}

// EventsWithKey returns all events with that key.
func (o *Objects) EventsWithKey(_ context.Context, key string) ([]*v1alpha1.FlagEvent, error) {
	return o.events[key], nil
}

// Audiences returns the names of all audiences.
func (o *Objects) Audiences(context.Context) ([]string, error) {
	return slices.Collect(maps.Keys(o.audiences)), nil
}

// FlagKeys returns the keys of all flags.
func (o *Objects) FlagKeys(context.Context) ([]string, error) {
	return slices.Collect(maps.Keys(o.flags)), nil
}

// EventKeys returns the keys of all events.
func (o *Objects) EventKeys(context.Context) ([]string, error) {
	return slices.Collect(maps.Keys(o.events)), nil
}
