// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package indexes holds the field indexes of the manager's cache, by which controllers and webhooks find the objects that an
// object concerns without looking at all of them.
package indexes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// The names of the indexes, to be used in client.MatchingFields.
const (
	// FlagKey finds FeatureFlags by their key.
	FlagKey = "spec.key"

	// FlagAudiences finds unarchived FeatureFlags by the names of the audiences that their rules name.
	FlagAudiences = "spec.environments.rules.audiences"

	// FlagEvents finds unarchived FeatureFlags by the keys of the events that their rules measure.
	FlagEvents = "spec.environments.rules.metrics"

	// FlagPrerequisites finds unarchived FeatureFlags by the keys of the flags that they require.
	FlagPrerequisites = "spec.environments.prerequisites.flag"

	// EventKey finds FlagEvents by their key.
	EventKey = "spec.key"
)

// Setup adds the indexes to indexer. It is called once for each cache, before that starts. It fails where an index exists already.
func Setup(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		object client.Object
		name   string
		values func(client.Object) []string
	}{
		{&v1alpha1.FeatureFlag{}, FlagKey, ofFlag(func(flag *v1alpha1.FeatureFlag) []string { return []string{cmp.Or(flag.Spec.Key, flag.Name)} })},
		{&v1alpha1.FeatureFlag{}, FlagAudiences, ofFlag(Audiences)},
		{&v1alpha1.FeatureFlag{}, FlagEvents, ofFlag(Events)},
		{&v1alpha1.FeatureFlag{}, FlagPrerequisites, ofFlag(Prerequisites)},
		{&v1alpha1.FlagEvent{}, EventKey, func(object client.Object) []string {
			event, ok := object.(*v1alpha1.FlagEvent)
			if !ok {
				return nil
			}
			return []string{cmp.Or(event.Spec.Key, event.Name)}
		}},
	} {
		if err := indexer.IndexField(ctx, index.object, index.name, index.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", index.object, index.name, err)
		}
	}
	return nil
}

func ofFlag(values func(*v1alpha1.FeatureFlag) []string) client.IndexerFunc {
	return func(object client.Object) []string {
		flag, ok := object.(*v1alpha1.FeatureFlag)
		if !ok {
			return nil
		}
		return values(flag)
	}
}

// Audiences returns the names of the audiences that an unarchived flag's rules name in any environment, sorted and once each.
func Audiences(flag *v1alpha1.FeatureFlag) []string {
	return collect(flag, func(environment *v1alpha1.EnvironmentConfig, add func(...string)) {
		for i := range environment.Rules {
			add(environment.Rules[i].Audiences...)
		}
	})
}

// Events returns the keys of the events that an unarchived flag's rules measure in any environment, sorted and once each.
func Events(flag *v1alpha1.FeatureFlag) []string {
	return collect(flag, func(environment *v1alpha1.EnvironmentConfig, add func(...string)) {
		for i := range environment.Rules {
			add(environment.Rules[i].Metrics...)
		}
	})
}

// Prerequisites returns the keys of the flags that an unarchived flag requires in any environment, sorted and once each.
func Prerequisites(flag *v1alpha1.FeatureFlag) []string {
	return collect(flag, func(environment *v1alpha1.EnvironmentConfig, add func(...string)) {
		for i := range environment.Prerequisites {
			add(environment.Prerequisites[i].Flag)
		}
	})
}

func collect(flag *v1alpha1.FeatureFlag, from func(environment *v1alpha1.EnvironmentConfig, add func(...string))) []string {
	if flag.Spec.Archived {
		return nil
	}
	names := map[string]struct{}{}
	for i := range flag.Spec.Environments {
		from(&flag.Spec.Environments[i], func(values ...string) {
			for _, value := range values {
				names[value] = struct{}{}
			}
		})
	}
	return slices.Sorted(maps.Keys(names))
}
