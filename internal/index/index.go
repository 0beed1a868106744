// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package index holds the field indexes of the manager's cache, by which controllers and webhooks find the objects that
// an object concerns without looking at all of them.
package index

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
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

	// UID finds the objects of the four Kinds, and namespaces, by their UID.
	UID = "metadata.uid"

	// EnvironmentDelivers finds, by the value "true", the FlagEnvironments that select namespaces to deliver to.
	EnvironmentDelivers = "spec.delivery.namespaceSelector"

	// SDKKeyHash finds FlagEnvironments by the hashes of their confirmed SDK keys.
	SDKKeyHash = "status.sdkKeys.hash"

	// CopyOrigin finds the metadata of copies of datafiles by namespace and name of their FlagEnvironment, separated by a
	// slash.
	CopyOrigin = "origin"

	// HistoryOf finds the metadata of FlagChanges by HistoryKey.
	HistoryOf = "history"

	// Brings finds the metadata of datafiles of the history by HistoryKey of the objects whose changes the revision
	// brings.
	Brings = "brings"

	// HistoryFolded finds, by the value "true", the metadata of FlagChanges that stand for many older changes.
	HistoryFolded = "folded"
)

// HistoryKey is the value by which HistoryOf finds the history of the object of that kind and name.
func HistoryKey(kind, name string) string { return kind + "/" + name }

// Setup adds the indexes to indexer. It is called once for each cache, before that starts. It fails where an index
// exists already.
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
		{&v1alpha1.FlagEnvironment{}, SDKKeyHash, func(object client.Object) []string {
			environment, ok := object.(*v1alpha1.FlagEnvironment)
			if !ok {
				return nil
			}
			var hashes []string
			for _, key := range environment.Status.SDKKeys {
				if key.Confirmed {
					hashes = append(hashes, key.ServerHash, key.ClientHash)
				}
			}
			return hashes
		}},
		{&v1alpha1.FlagEnvironment{}, EnvironmentDelivers, func(object client.Object) []string {
			environment, ok := object.(*v1alpha1.FlagEnvironment)
			if !ok || environment.Spec.Delivery.NamespaceSelector == nil {
				return nil
			}
			return []string{"true"}
		}},
		{configMapMetadata(), CopyOrigin, func(object client.Object) []string {
			environment, kind, found := ownership.Origin(object)
			if !found || kind != v1alpha1.DatafileCopy {
				return nil
			}
			return []string{environment.String()}
		}},
		{history.Metadata(), HistoryOf, func(object client.Object) []string {
			kind, name, is := history.Subject(object)
			if !is {
				return nil
			}
			return []string{HistoryKey(kind, name)}
		}},
		{history.Metadata(), HistoryFolded, func(object client.Object) []string {
			if object.GetLabels()[v1alpha1.HistoryLabel] != v1alpha1.HistoryFolded {
				return nil
			}
			return []string{"true"}
		}},
		{configMapMetadata(), Brings, func(object client.Object) []string {
			if object.GetLabels()[v1alpha1.DatafileLabel] != v1alpha1.DatafileHistory {
				return nil
			}
			return slices.Collect(maps.Keys(history.DecodeBrought(object.GetAnnotations()[v1alpha1.BroughtAnnotation])))
		}},
		{&v1alpha1.FeatureFlag{}, UID, uid},
		{&v1alpha1.FlagEnvironment{}, UID, uid},
		{&v1alpha1.FlagAudience{}, UID, uid},
		{&v1alpha1.FlagEvent{}, UID, uid},
		{namespaceMetadata(), UID, uid},
	} {
		if err := indexer.IndexField(ctx, index.object, index.name, index.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", index.object, index.name, err)
		}
	}
	return nil
}

func configMapMetadata() client.Object {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return object
}

// namespaceMetadata stands for namespaces, of which nothing but metadata is cached.
func namespaceMetadata() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

func uid(object client.Object) []string { return []string{string(object.GetUID())} }

func ofFlag(values func(*v1alpha1.FeatureFlag) []string) client.IndexerFunc {
	return func(object client.Object) []string {
		flag, ok := object.(*v1alpha1.FeatureFlag)
		if !ok {
			return nil
		}
		return values(flag)
	}
}

// Audiences returns the names of the audiences that an unarchived flag's rules name in any environment, sorted and once
// each.
func Audiences(flag *v1alpha1.FeatureFlag) []string {
	return collect(flag, func(environment *v1alpha1.EnvironmentConfig, add func(...string)) {
		for i := range environment.Rules {
			add(environment.Rules[i].Audiences...)
		}
	})
}

// Events returns the keys of the events that an unarchived flag's rules measure in any environment, sorted and once
// each.
func Events(flag *v1alpha1.FeatureFlag) []string {
	return collect(flag, func(environment *v1alpha1.EnvironmentConfig, add func(...string)) {
		for i := range environment.Rules {
			add(environment.Rules[i].Metrics...)
		}
	})
}

// Prerequisites returns the keys of the flags that an unarchived flag requires in any environment, sorted and once
// each.
func Prerequisites(flag *v1alpha1.FeatureFlag) []string {
	return collect(flag, func(environment *v1alpha1.EnvironmentConfig, add func(...string)) {
		for i := range environment.Prerequisites {
			add(environment.Prerequisites[i].Flag)
		}
	})
}

func collect(
	flag *v1alpha1.FeatureFlag,
	from func(environment *v1alpha1.EnvironmentConfig, add func(...string)),
) []string {
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
