// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// leftByProduction returns the name of a ConfigMap that a production environment of environment's name has left, and
// nothing where there is none. An environment of that name takes up its files, its history and its SDK keys, which the
// served file mirrors. A file that does not say what it was left by is older than that label and counts.
func (o *objects) leftByProduction(ctx context.Context, environment *v1alpha1.FlagEnvironment) (string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	err := o.live.List(ctx, list, client.InNamespace(environment.Namespace), client.MatchingLabels{
		v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
		v1alpha1.ProjectLabel:     environment.Namespace,
		v1alpha1.EnvironmentLabel: environment.Name,
	})
	if err != nil {
		return "", fmt.Errorf("list what environment %q left: %w", environment.Name, err)
	}
	slices.SortFunc(list.Items, func(a, b metav1.PartialObjectMetadata) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list.Items {
		if list.Items[i].Labels[v1alpha1.ProductionLabel] != "false" {
			return list.Items[i].Name, nil
		}
	}
	return "", nil
}
