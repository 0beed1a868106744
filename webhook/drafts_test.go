// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

var _ = Describe("Drafts", func() {
	var (
		namespace         string
		editor, publisher client.Client
		isForbidden       = MatchError(apierrors.IsForbidden, "IsForbidden")
	)
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		editor = actAs(ctx, namespace, "eve@example.com", "editor")
		publisher = actAs(ctx, namespace, "pat@example.com", "publisher")
		create(ctx, builders.MakeEnvironment("production", namespace).Production().Obj(),
			builders.MakeEnvironment("staging", namespace).Obj())
	})

	// settled is what the operator does: it says in which environments the flag was never enabled.
	settled := func(ctx SpecContext, flag *v1alpha1.FeatureFlag, neverEnabledIn ...string) {
		GinkgoHelper()
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(Succeed())
		flag.Status.NeverEnabledIn = neverEnabledIn
		Expect(cluster.Status().Update(ctx, flag)).To(Succeed())
		Eventually(func(g Gomega) {
			seen := &v1alpha1.FeatureFlag{}
			g.Expect(cached.Get(ctx, client.ObjectKeyFromObject(flag), seen)).To(Succeed())
			g.Expect(seen.Status.NeverEnabledIn).To(Equal(neverEnabledIn))
		}).Should(Succeed())
	}
	off := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, namespace).Boolean().Environment("production").Disabled()
	}

	It("are created, changed, archived and deleted by an editor", func(ctx SpecContext) {
		flag := off("draft").Obj()
		Expect(editor.Create(ctx, flag)).To(Succeed())
		settled(ctx, flag, "production", "staging")
		flag.Spec.Variations[1].Payload = &v1alpha1.JSON{Raw: []byte(`{"a":1}`)}
		Expect(editor.Update(ctx, flag)).To(Succeed())
		flag.Spec.Archived = true
		Expect(editor.Update(ctx, flag)).To(Succeed())
		flag.Spec.Archived = false
		Expect(editor.Update(ctx, flag)).To(Succeed())
		Expect(editor.Delete(ctx, flag)).To(Or(Succeed(), MatchError(ContainSubstring("confirm-delete"))))
	})

	It("end where somebody switches them on, which needs the permission", func(ctx SpecContext) {
		flag := off("draft").Obj()
		Expect(editor.Create(ctx, flag)).To(Succeed())
		settled(ctx, flag, "production", "staging")
		flag.Spec.Environments[0].Enabled = true
		Expect(editor.Update(ctx, flag)).To(isForbidden)
		Expect(publisher.Update(ctx, flag)).To(Succeed())
		flag.Spec.Environments[0].Enabled = false
		Expect(editor.Update(ctx, flag)).To(isForbidden, "it is on before")
		Expect(publisher.Update(ctx, flag)).To(Succeed())
		flag.Spec.Metadata = map[string]string{"a": "b"}
		Expect(editor.Update(ctx, flag)).To(isForbidden, "it was on, although the operator has not said so yet")
	})

	It("are none where the operator does not say so", func(ctx SpecContext) {
		flag := off("unknown").Obj()
		Expect(editor.Create(ctx, flag)).To(Succeed())
		flag.Spec.Metadata = map[string]string{"a": "b"}
		Expect(editor.Update(ctx, flag.DeepCopy())).To(isForbidden)
		settled(ctx, flag, "staging")
		flag.Spec.Metadata = map[string]string{"a": "b"}
		Expect(editor.Update(ctx, flag)).To(isForbidden)
	})

	It("are none where a flag that is or was on requires them", func(ctx SpecContext) {
		required := off("required").Obj()
		Expect(editor.Create(ctx, required)).To(Succeed())
		requiring := off("requiring").Prerequisite("required", "on").Obj()
		Expect(editor.Create(ctx, requiring)).To(Succeed())
		settled(ctx, required, "production", "staging")
		settled(ctx, requiring, "production", "staging")
		required.Spec.Metadata = map[string]string{"a": "b"}
		Expect(editor.Update(ctx, required)).To(Succeed(), "a draft may require a draft")
		settled(ctx, requiring, "staging")
		required.Spec.Metadata = nil
		Expect(editor.Update(ctx, required)).To(isForbidden)
	})

	It("take no key that another flag holds or held in production", func(ctx SpecContext) {
		holder := off("holder").Key("k").Environment("staging").Obj()
		create(ctx, holder)
		Expect(editor.Create(ctx, off("rival").Key("k").Obj())).To(isForbidden)
		Expect(cluster.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flags-production-r1", Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.DatafileLabel: v1alpha1.DatafileHistory,
				v1alpha1.ProjectLabel: namespace, v1alpha1.EnvironmentLabel: "production", v1alpha1.ProductionLabel: "true",
			}},
			Data: map[string]string{"datafile.json": datafileWith(namespace, "gone", true)},
		})).To(Succeed())
		Expect(editor.Create(ctx, off("gone").Obj())).To(isForbidden)
		Expect(editor.Create(ctx, off("another").Key("gone").Obj())).To(isForbidden)
		Expect(editor.Create(ctx, off("new").Obj())).To(Succeed())
	})

	It("keep the brake of a flag, in mode Manual too, and whatever verb removes it", func(ctx SpecContext) {
		create(ctx, builders.MakeEnvironment("reviewed", namespace).Production().Manual().Obj())
		flag := builders.MakeFlag("braked", namespace).Boolean().Environment("reviewed").
			Annotation(v1alpha1.ForceDisabledAnnotation, "reviewed").
			Annotation(v1alpha1.ConfirmDeleteAnnotation, "braked").Obj()
		create(ctx, flag)
		err := editor.Delete(ctx, flag)
		Expect(err).To(isForbidden)
		Expect(err).To(MatchError(ContainSubstring("flagenvironments/reviewed (the flag is force-disabled in it")))
		Expect(editor.DeleteAllOf(ctx, &v1alpha1.FeatureFlag{}, client.InNamespace(namespace))).To(isForbidden)
		Expect(publisher.Delete(ctx, flag)).To(Succeed())
	})
})

// datafileWith is a native document with one flag.
func datafileWith(namespace, key string, enabled bool) string {
	GinkgoHelper()
	flag := builders.MakeFlag(key, namespace).Boolean().Environment("production").Defaulted().Obj()
	flag.Spec.Environments[0].Enabled = enabled
	compiled, err := compile.Flag(flag, "production")
	Expect(err).NotTo(HaveOccurred())
	part, err := datafile.NewPart(key, compiled)
	Expect(err).NotTo(HaveOccurred())
	contents := &datafile.Contents{}
	contents.Flags.Put(part)
	return string(contents.Encode(datafile.Header{Project: namespace, Environment: "production", Revision: 1}))
}
