// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/internal/gitops"
)

func TestManagerOf(t *testing.T) {
	applied := func(manager string, operation metav1.ManagedFieldsOperationType) metav1.ObjectMeta {
		return metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: manager, Operation: operation}}}
	}
	for name, tc := range map[string]struct {
		metadata metav1.ObjectMeta
		want     string
	}{
		"nobody":            {metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/instance": "release"}}, ""},
		"Argo CD":           {metav1.ObjectMeta{Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:flags.jackstaff.dev/FeatureFlag:shop/a"}}, "Argo CD (shop)"},
		"a Kustomization":   {metav1.ObjectMeta{Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "flags", "kustomize.toolkit.fluxcd.io/namespace": "flux"}}, "Flux (flux/flags)"},
		"a HelmRelease":     {metav1.ObjectMeta{Labels: map[string]string{"helm.toolkit.fluxcd.io/name": "flags"}}, "Flux (flags)"},
		"a field manager":   {applied("kustomize-controller", metav1.ManagedFieldsOperationApply), "Flux"},
		"a status update":   {applied("kustomize-controller", metav1.ManagedFieldsOperationUpdate), ""},
		"kubectl's manager": {applied("kubectl", metav1.ManagedFieldsOperationApply), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if manager := gitops.ManagerOf(&tc.metadata); manager != nil {
				got = manager.String()
			}
			if got != tc.want {
				t.Errorf("the manager is %q, want %q", got, tc.want)
			}
		})
	}
}
