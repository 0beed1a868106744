// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// isDraft reports whether a change is one of a draft, which is an editor's work: the flag is off in the environment
// before and after, was never enabled there, and no flag that is or was enabled there requires it. Old is nil on
// creation, flag on deletion. It reads the environment's history where a flag is created, and so is asked only about
// users who lack the permission.
func (r *featureFlags) isDraft(
	ctx context.Context,
	old, flag *v1alpha1.FeatureFlag,
	environment *v1alpha1.FlagEnvironment,
) (bool, error) {
	name := environment.Name
	if !isOff(old, name) || !isOff(flag, name) || old != nil && !wasNeverEnabled(old, name) {
		return false, nil
	}
	changed := cmp.Or(flag, old)
	sameKey, err := r.namespace(changed).FlagsWithKey(ctx, changed.Key())
	if err != nil {
		return false, fmt.Errorf("find flags with key %q: %w", changed.Key(), err)
	}
	if slices.ContainsFunc(sameKey, func(other *v1alpha1.FeatureFlag) bool { return other.Name != changed.Name }) {
		return false, nil
	}
	requiring, err := r.namespace(changed).FlagsRequiring(ctx, changed.Key())
	if err != nil {
		return false, fmt.Errorf("find flags that require %q: %w", changed.Key(), err)
	}
	for _, other := range requiring {
		if requires(other, changed.Key(), name) && (!isOff(other, name) || !wasNeverEnabled(other, name)) {
			return false, nil
		}
	}
	if old != nil {
		return true, nil
	}
	held, err := r.wasEnabled(ctx, environment, changed.Key())
	return !held, err
}

// isOff reports whether a flag is not switched on in an environment by its spec. What does not exist is off.
func isOff(flag *v1alpha1.FeatureFlag, environment string) bool {
	if flag == nil {
		return true
	}
	config := flag.In(environment)
	return config == nil || !config.Enabled
}

// wasNeverEnabled reports whether the operator says so in the flag's status, and no change record that it may not have
// seen yet says otherwise. Users write neither.
func wasNeverEnabled(flag *v1alpha1.FeatureFlag, environment string) bool {
	records, err := history.Decode(flag.Annotations[v1alpha1.ChangesAnnotation])
	return err == nil && slices.Contains(flag.Status.NeverEnabledIn, environment) &&
		!slices.ContainsFunc(records, func(record history.Record) bool { return record.EnablesIn(environment) })
}

// requires reports whether a flag requires the flag of that key in an environment.
func requires(flag *v1alpha1.FeatureFlag, key, environment string) bool {
	config := flag.In(environment)
	return config != nil && slices.ContainsFunc(config.Prerequisites, func(p v1alpha1.Prerequisite) bool {
		return p.Flag == key
	})
}

// wasEnabled reports whether a flag of that key is on in what the environment serves, or was in any revision that its
// history holds. A file that cannot be read may have held one.
func (o *objects) wasEnabled(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	key string,
) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := o.live.List(ctx, list, client.InNamespace(environment.Namespace), client.MatchingLabels{
		v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
		v1alpha1.ProjectLabel:     environment.Namespace,
		v1alpha1.EnvironmentLabel: environment.Name,
		v1alpha1.DatafileLabel:    v1alpha1.DatafileHistory,
	}); err != nil {
		return false, fmt.Errorf("list the history of environment %q: %w", environment.Name, err)
	}
	for i := range list.Items {
		revision := &corev1.ConfigMap{}
		err := o.live.Get(ctx, client.ObjectKeyFromObject(&list.Items[i]), revision)
		if number := ownership.RevisionOf(&list.Items[i]); number > 0 && apierrors.IsNotFound(err) {
			revision, err = ownership.GetHistory(ctx, o.live, environment, number) // It was compressed meanwhile.
		}
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read ConfigMap %q: %w", list.Items[i].Name, err)
		}
		document, err := documentOf(revision)
		if err != nil {
			return true, nil //nolint:nilerr // Nobody knows what it held.
		}
		if form := document.Flags[key]; form != nil && form.Enabled {
			return true, nil
		}
	}
	return false, nil
}

// documentOf reads the native document of a datafile.
func documentOf(configMap *corev1.ConfigMap) (*datafile.Document, error) {
	native, err := publish.Files{Text: configMap.Data, Binary: configMap.BinaryData}.Native()
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %q: %w", configMap.Name, err)
	}
	document, err := datafile.Read(native)
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %q: %w", configMap.Name, err)
	}
	return document, nil
}
