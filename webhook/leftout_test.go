// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	applyv1alpha1 "github.com/jackstaff-dev/jackstaff/api/applyconfiguration/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// What admission writes for an author who says nothing must not stand in the way of the tool that says something later.
var _ = Describe("An environment whose author leaves production out", func() {
	It("becomes production once a tool says so, and no more once another one does", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		environment := builders.MakeEnvironment("staging", namespace).Obj()
		apply := func(owner, spec string) error {
			applied := fmt.Sprintf(
				`{"apiVersion":%q,"kind":"FlagEnvironment","metadata":{"name":"staging","namespace":%q},"spec":%s}`,
				v1alpha1.GroupVersion, namespace, spec)
			return cluster.Patch(
				ctx,
				environment,
				client.RawPatch(types.ApplyYAMLPatchType, []byte(applied)),
				client.FieldOwner(owner),
			)
		}
		Expect(apply("argocd-controller", `{"order":1}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeFalse())
		Expect(apply("argocd-controller", `{"order":2}`)).To(Succeed())
		Expect(apply("argocd-controller", `{"order":2,"production":true}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeTrue())
		warned.take()
		Expect(apply("argocd-controller", `{"order":2}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeFalse())
		Expect(warned.take()).To(ContainElement(ContainSubstring("production no more")))
		Expect(apply("kubectl", `{"production":true}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeTrue())
	})

	It("is no production environment where a Go program says so by its apply configuration", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		Expect(cluster.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "flags-live", Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.DatafileLabel: v1alpha1.DatafileServed,
				v1alpha1.ProjectLabel: namespace, v1alpha1.EnvironmentLabel: "live", v1alpha1.ProductionLabel: "true",
			},
		}})).To(Succeed())
		live := applyv1alpha1.FlagEnvironment("live", namespace)
		spec := applyv1alpha1.FlagEnvironmentSpec().WithOrder(1)
		apply := func() bool {
			GinkgoHelper()
			Expect(cluster.Apply(ctx, live.WithSpec(spec), client.FieldOwner("release-tool"))).To(Succeed())
			stored := builders.MakeEnvironment("live", namespace).Obj()
			Expect(cluster.Get(ctx, client.ObjectKeyFromObject(stored), stored)).To(Succeed())
			return stored.Spec.Production
		}
		Expect(apply()).To(BeTrue(), "it takes up what a production environment left, and says nothing")
		spec.WithProduction(false)
		Expect(apply()).To(BeFalse())
		spec.WithProduction(true)
		Expect(apply()).To(BeTrue())
	})
})

var _ = Describe("A freeze whose author leaves suspend out", func() {
	It("freezes nothing, and says so", func(ctx SpecContext) {
		environment := builders.MakeEnvironment("staging", newNamespace(ctx)).Obj()
		create(ctx, environment)
		patch := `{"spec":{"publish":{"suspendUntil":"2099-03-01T12:00:00Z","suspendReason":"black friday"}}}`
		Expect(cluster.Patch(ctx, environment, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
		Expect(environment.Spec.Publish.SuspendReason).To(BeEmpty())
		Expect(warned.take()).To(ConsistOf(ContainSubstring("nothing is frozen; write suspend: true")))
	})
})
