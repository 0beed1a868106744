// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package hostile_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var _ = Describe("What the shipped roles read", func() {
	It(
		"is one project's flags and their history, and nothing of its workloads or of other projects",
		func(ctx SpecContext) {
			project, other := newNamespace(ctx), newNamespace(ctx)
			isForbidden := MatchError(apierrors.IsForbidden, "IsForbidden")
			for role, readsConfigMaps := range map[string]bool{
				"jackstaff-viewer": false, "jackstaff-editor": false, "jackstaff-publisher": true,
			} {
				as := account(ctx, project, role, "list", "featureflags")
				Expect(as.List(ctx, &v1alpha1.FeatureFlagList{}, client.InNamespace(project))).To(Succeed(), role)
				Expect(as.List(ctx, &v1alpha1.FlagChangeList{}, client.InNamespace(project))).To(Succeed(), role)

				// What Deployments and DaemonSets were may hold what nobody is to read. The history of flags is in FlagChanges.
				Expect(as.List(ctx, &appsv1.ControllerRevisionList{}, client.InNamespace(project))).To(isForbidden, role)
				Expect(as.List(ctx, &corev1.SecretList{}, client.InNamespace(project))).To(isForbidden, role)
				configMaps := as.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(project))
				if readsConfigMaps {
					Expect(configMaps).To(Succeed(), "whoever publishes looks at the history of %s", role)
				} else {
					Expect(configMaps).To(isForbidden, role)
				}
				for _, list := range []client.ObjectList{&v1alpha1.FeatureFlagList{}, &v1alpha1.FlagChangeList{}} {
					Expect(as.List(ctx, list, client.InNamespace(other))).To(isForbidden, role)
					Expect(as.List(ctx, list)).To(isForbidden, role)
				}
			}
		},
	)
})
