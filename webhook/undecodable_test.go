// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"maps"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// loosen lets every form of a Kind be stored, as the schema of another version may, until the test ends.
func loosen(ctx context.Context, crdName string) {
	GinkgoHelper()
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKey{Name: crdName}, crd)).To(Succeed())
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		g.Expect(err).NotTo(HaveOccurred())
		version, isMap := versions[0].(map[string]any)
		g.Expect(isMap).To(BeTrue())
		version["schema"] = map[string]any{"openAPIV3Schema": map[string]any{
			"type": "object", "x-kubernetes-preserve-unknown-fields": true,
		}}
		delete(version, "selectableFields")
		g.Expect(unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions")).To(Succeed())
		g.Expect(cluster.Update(ctx, crd)).To(Succeed())
	}).Should(Succeed())
	DeferCleanup(func() {
		_, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: environment.CRDDirectoryPaths})
		Expect(err).NotTo(HaveOccurred())
	})
}

// exempt has no webhook asked about a namespace, or about none again where it is empty.
func exempt(ctx context.Context, namespace string) {
	GinkgoHelper()
	selector := &metav1.LabelSelector{}
	if namespace != "" {
		selector.MatchExpressions = []metav1.LabelSelectorRequirement{{
			Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{namespace},
		}}
	}
	mutating := &admissionregistrationv1.MutatingWebhookConfigurationList{}
	Expect(cluster.List(ctx, mutating)).To(Succeed())
	for i := range mutating.Items {
		for j := range mutating.Items[i].Webhooks {
			mutating.Items[i].Webhooks[j].NamespaceSelector = selector
		}
		Expect(cluster.Update(ctx, &mutating.Items[i])).To(Succeed())
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
	Expect(cluster.List(ctx, validating)).To(Succeed())
	for i := range validating.Items {
		for j := range validating.Items[i].Webhooks {
			validating.Items[i].Webhooks[j].NamespaceSelector = selector
		}
		Expect(cluster.Update(ctx, &validating.Items[i])).To(Succeed())
	}
}

// An object that nobody can read must not be one that nobody can get rid of, nor a way around the permission.
var _ = Describe("Admission of objects whose stored form it does not know", func() {
	var namespace string
	var editor, publisher client.Client
	patch := func(ctx context.Context, as client.Client, object *unstructured.Unstructured, text string) error {
		return as.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(text)))
	}
	isForbidden := MatchError(apierrors.IsForbidden, "IsForbidden")
	stored := func(kind, name string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
		object.SetNamespace(namespace)
		object.SetName(name)
		return object
	}
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		editor = actAs(ctx, namespace, "eve@example.com", "editor")
		publisher = actAs(ctx, namespace, "pat@example.com", "publisher")
	})

	It("takes out the mark that somebody writes, which no budget counts", func(ctx SpecContext) {
		forged := map[string]string{v1alpha1.UndecodableAnnotation: "status\n" + strings.Repeat("x", 100<<10)}
		for _, object := range []client.Object{
			builders.MakeEnvironment("production", namespace).Obj(),
			builders.MakeFlag("checkout", namespace).Boolean().Environment("production").Obj(),
			builders.MakeAudience("staff", namespace).Obj(),
			builders.MakeEvent("paid", namespace).Obj(),
		} {
			object.SetAnnotations(maps.Clone(forged))
			Expect(cluster.Create(ctx, object)).To(Succeed())
			Expect(object.GetAnnotations()).NotTo(HaveKey(v1alpha1.UndecodableAnnotation))
			Expect(object.GetAnnotations()).To(HaveKey(v1alpha1.ChangesAnnotation), "the rest of the patch")
			before := object.DeepCopyObject().(client.Object)
			object.GetAnnotations()[v1alpha1.UndecodableAnnotation] = forged[v1alpha1.UndecodableAnnotation]
			object.GetAnnotations()["example.com/note"] = "mine"
			Expect(cluster.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			Expect(object.GetAnnotations()).To(And(
				HaveKeyWithValue("example.com/note", "mine"), Not(HaveKey(v1alpha1.UndecodableAnnotation))))
		}
	})

	It("lets them be braked, mended and deleted with the right", func(ctx SpecContext) {
		create(ctx, builders.MakeEnvironment("production", namespace).Production().Obj(),
			builders.MakeFlag("checkout", namespace).Boolean().Environment("production").Obj(),
			builders.MakeFlag("search", namespace).Boolean().Environment("production").Obj())
		loosen(ctx, "featureflags.flags.jackstaff.dev")
		exempt(ctx, namespace)
		flag, another := stored("FeatureFlag", "checkout"), stored("FeatureFlag", "search")
		for _, object := range []*unstructured.Unstructured{flag, another} {
			Eventually(
				func() error { return patch(ctx, cluster, object, `{"spec":{"variations":"on and off"}}`) },
			).Should(
				Succeed(),
			)
		}
		exempt(ctx, "")
		Eventually(func() error {
			return patch(ctx, cluster, flag, `{"spec":{"variations":"off"}}`)
		}).Should(MatchError(ContainSubstring("spec.variations")), "what is written has to fit")

		By("leaving its spec as it is")
		Expect(patch(ctx, editor, flag, `{"metadata":{"labels":{"team":"shop"}}}`)).To(Succeed())
		brake := `{"metadata":{"annotations":{"` + v1alpha1.ForceDisabledAnnotation + `":"production"}}}`
		Expect(patch(ctx, editor, flag, brake)).To(isForbidden)
		Expect(patch(ctx, publisher, flag, brake)).To(Succeed())
		Expect(patch(ctx, editor, flag, `{"metadata":{"finalizers":["example.com/hold"]}}`)).To(isForbidden)
		Expect(flag.GetAnnotations()).NotTo(HaveKey(v1alpha1.UndecodableAnnotation), "the mark is never stored")

		By("mending it")
		mended := `{"spec":{"variations":[{"key":"off","value":false},{"key":"on","value":true}]}}`
		Expect(patch(ctx, editor, flag, mended)).To(isForbidden, "nobody knows what it was before")
		Expect(patch(ctx, publisher, flag, mended)).To(Succeed())

		By("deleting it")
		Expect(editor.Delete(ctx, another)).NotTo(Succeed())
		confirmed := `{"metadata":{"annotations":{"` + v1alpha1.ConfirmDeleteAnnotation + `":"search"}}}`
		Expect(patch(ctx, publisher, another, confirmed)).To(Succeed())
		Expect(editor.Delete(ctx, another)).To(isForbidden)
		Expect(publisher.Delete(ctx, another)).To(Succeed())
	})

	It("takes an environment for production where that was lost, and goes on judging flags", func(ctx SpecContext) {
		create(ctx, builders.MakeEnvironment("production", namespace).Production().Obj(),
			builders.MakeFlag("checkout", namespace).Boolean().Environment("production").Obj())
		loosen(ctx, "flagenvironments.flags.jackstaff.dev")
		exempt(ctx, namespace)
		lost := stored("FlagEnvironment", "production")
		Eventually(func() error {
			return patch(ctx, cluster, lost, `{"spec":{"production":"of course"}}`)
		}).Should(Succeed())
		exempt(ctx, "")
		off := `{"spec":{"environments":[]}}`
		Eventually(func() error {
			return patch(ctx, editor, stored("FeatureFlag", "checkout"), off)
		}).Should(isForbidden)
		Expect(patch(ctx, publisher, stored("FeatureFlag", "checkout"), off)).To(Succeed())
		Expect(patch(ctx, editor, lost, `{"spec":{"production":false}}`)).To(isForbidden)
		Expect(editor.Delete(ctx, lost)).NotTo(Succeed())
		Expect(patch(ctx, publisher, lost, `{"spec":{"production":true}}`)).To(Succeed())
	})
})
