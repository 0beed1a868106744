// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
)

// loosen lets every form of a Kind be stored, as the schema of another version may, until the test ends.
func loosen(crdName string) {
	GinkgoHelper()
	crd := customResource(crdName)
	Eventually(func(g Gomega) {
		g.Expect(k8s.Get(context.Background(), client.ObjectKeyFromObject(crd), crd)).To(Succeed())
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		g.Expect(err).NotTo(HaveOccurred())
		version, isMap := versions[0].(map[string]any)
		g.Expect(isMap).To(BeTrue())
		version["schema"] = map[string]any{"openAPIV3Schema": map[string]any{
			"type": "object", "x-kubernetes-preserve-unknown-fields": true,
		}}
		delete(version, "selectableFields")
		g.Expect(unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions")).To(Succeed())
		g.Expect(k8s.Update(context.Background(), crd)).To(Succeed())
	}).Should(Succeed())
	DeferCleanup(func() {
		_, err := envtest.InstallCRDs(restConfig, envtest.CRDInstallOptions{Paths: controlPlane.CRDDirectoryPaths})
		Expect(err).NotTo(HaveOccurred())
	})
}

// stored is an object as it is stored, of whatever form.
func stored(kind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// storeAsIs writes a part of an object as it is, as often as it takes until the API server lets it.
func storeAsIs(object *unstructured.Unstructured, patch string) {
	GinkgoHelper()
	Eventually(func() error {
		return k8s.Patch(context.Background(), object, client.RawPatch(types.MergePatchType, []byte(patch)))
	}).Should(Succeed())
}

// One object that nobody can read must not keep others from being published, nor be taken for deleted.
var _ = Describe("Objects of a form that the operator does not know", func() {
	var mine, other string
	var environment, elsewhere *v1alpha1.FlagEnvironment
	condition := func(g Gomega, of *v1alpha1.FlagEnvironment, name string) metav1.Condition {
		return conditionOf(fetch(g, of).Status.Conditions, name)
	}
	tolerant := func() *operator {
		config := rest.CopyConfig(restConfig)
		decode.Tolerate(config)
		return startOperatorWith(config, controllers.Options{})
	}
	BeforeEach(func() {
		mine, other = makeNamespace(), makeNamespace()
		environment, elsewhere = deliveringEnvironment(mine), deliveringEnvironment(other)
		started := tolerant()
		create(environment, onFlag("checkout", mine), onFlag("search", mine), elsewhere, onFlag("checkout", other))
		Eventually(func(g Gomega) {
			isServed(g, mine, "production", "checkout", true)
			isServed(g, mine, "production", "search", true)
			isServed(g, other, "production", "checkout", true)
		}).Should(Succeed())
		started.stop()
	})

	It("keep their last good form, hold up nobody, and can be mended", func(ctx SpecContext) {
		bad := stored("FeatureFlag", mine, "checkout")
		loosen("featureflags.flags.jackstaff.dev")
		storeAsIs(bad, `{"spec":{"variations":"on and off"}}`)

		By("starting the operator")
		tolerant()
		setEnabled("checkout", other, false)
		setEnabled("search", mine, false)
		Eventually(func(g Gomega) {
			isServed(g, other, "production", "checkout", false)
			isServed(g, mine, "production", "search", false)
			compiled := condition(g, environment, v1alpha1.CompiledCondition)
			g.Expect(compiled.Reason).To(Equal(v1alpha1.LastGoodReason))
			g.Expect(compiled.Message).To(ContainSubstring("checkout"))
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(bad), bad)).To(Succeed())
			g.Expect(fmt.Sprint(bad.Object["status"])).To(ContainSubstring("spec.variations"), "the flag says what is wrong")
		}).Should(Succeed())
		isServed(Default, mine, "production", "checkout", true)
		Expect(bad.Object["spec"]).To(HaveKeyWithValue("variations", "on and off"), "nothing is lost of what is stored")

		By("forcing it off while it is watched")
		storeAsIs(bad, `{"metadata":{"annotations":{"`+v1alpha1.ForceDisabledAnnotation+`":"production"}}}`)
		Eventually(func(g Gomega) { isServed(g, mine, "production", "checkout", false) }).Should(Succeed())

		By("mending it")
		storeAsIs(bad, `{"metadata":{"annotations":{"`+v1alpha1.ForceDisabledAnnotation+`":""}},`+
			`"spec":{"variations":[{"key":"off","value":false},{"key":"on","value":true}]}}`)
		Eventually(func(g Gomega) {
			isServed(g, mine, "production", "checkout", true)
			g.Expect(condition(g, environment, v1alpha1.CompiledCondition).Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())

		By("deleting it while nobody can read it")
		storeAsIs(bad, `{"spec":{"variations":{}}}`)
		Eventually(func(g Gomega) {
			g.Expect(condition(g, environment, v1alpha1.CompiledCondition).Status).To(Equal(metav1.ConditionFalse))
		}).Should(Succeed())
		storeAsIs(bad, `{"spec":{"variations":[]}}`) // The test's own record of the deletion needs the Kind's form.
		Expect(k8s.Delete(ctx, onFlag("checkout", mine))).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(flagIn(g, datafileOf(g, mine, "production"), "checkout")).To(BeNil())
		}).Should(Succeed())
	})

	It("stop the publishing of an environment, but no brake and no other environment", func(ctx SpecContext) {
		bad := stored("FlagEnvironment", mine, "production")
		loosen("flagenvironments.flags.jackstaff.dev")
		storeAsIs(bad, `{"spec":{"publish":"at once"}}`)
		tolerant()
		setEnabled("checkout", other, false)
		setEnabled("search", mine, false)
		published := func(g Gomega) string {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(bad), bad)).To(Succeed())
			return fmt.Sprint(bad.Object["status"])
		}
		enabled := func(g Gomega, key string) any {
			return flagIn(g, datafileOf(g, mine, "production"), key)["enabled"]
		}
		Eventually(func(g Gomega) {
			isServed(g, other, "production", "checkout", false)
			g.Expect(published(g)).To(ContainSubstring("spec.publish"))
		}).Should(Succeed())
		Expect(enabled(Default, "search")).To(BeTrue(), "nobody knows what is to be published")

		edit(onFlag("checkout", mine), func(flag *v1alpha1.FeatureFlag) {
			metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, "production")
		})
		Eventually(func(g Gomega) { g.Expect(enabled(g, "checkout")).To(BeFalse()) }).Should(Succeed())
		Expect(enabled(Default, "search")).To(BeTrue())

		storeAsIs(bad, `{"spec":{"publish":{"mode":"Automatic"}}}`)
		Eventually(func(g Gomega) { isServed(g, mine, "production", "search", false) }).Should(Succeed())

		By("losing its status, of which the served file has the keys")
		keys := fetch(Default, environment).Status.SDKKeys
		Expect(keys).NotTo(BeEmpty())
		Expect(k8s.Status().Patch(ctx, bad, client.RawPatch(types.MergePatchType, []byte(`{"status":{"sdkKeys":"none"}}`)))).
			To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.SDKKeys).To(HaveLen(len(keys)))
			g.Expect(fetch(g, environment).Status.SDKKeys[0].ServerHash).To(Equal(keys[0].ServerHash))
		}).Should(Succeed())
	})
})
