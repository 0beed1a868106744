// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// actAs returns a client that acts as a user who has a role in a namespace.
func actAs(ctx SpecContext, namespace, user, role string) client.Client {
	GinkgoHelper()
	bind(ctx, namespace, user, "jackstaff-"+role)
	waitUntilMay(ctx, namespace, user, "update", "featureflags", "")
	if role == "publisher" {
		waitUntilMay(ctx, namespace, user, "publish", "flagenvironments", "production")
	}
	acting, err := client.New(impersonation(user, "system:authenticated"), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return acting
}

var _ = Describe("The guard of deletions", func() {
	var (
		namespace         string
		editor, publisher client.Client
		flag              *v1alpha1.FeatureFlag
		environments      []client.Object
		isForbidden       = MatchError(apierrors.IsForbidden, "IsForbidden")
		owner             = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: "0-0-0-0"}}
	)
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		editor = actAs(ctx, namespace, "eve@example.com", "editor")
		publisher = actAs(ctx, namespace, "pat@example.com", "publisher")
		environments = []client.Object{
			builders.MakeEnvironment("production", namespace).Production().Obj(),
			builders.MakeEnvironment("reviewed", namespace).Production().Manual().Obj(),
		}
		flag = builders.MakeFlag("checkout", namespace).Boolean().Environment("reviewed").Obj()
		create(ctx, append(environments, flag)...)
	})

	It(
		"needs the permission for whatever makes the garbage collector delete, or keeps from deleting",
		func(ctx SpecContext) {
			objects := append(
				[]client.Object{
					flag, builders.MakeAudience("beta", namespace).Obj(), builders.MakeEvent("purchase", namespace).Obj(),
					builders.MakeFlag("old", namespace).Boolean().Archived().Obj(),
				}, environments...)
			create(ctx, objects[1:4]...)
			for _, object := range objects {
				for field, change := range map[string]func(){
					"ownerReferences": func() { object.SetOwnerReferences(owner) },
					"finalizers":      func() { object.SetFinalizers([]string{"example.com/hold"}) },
				} {
					Expect(cluster.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
					change()
					err := editor.Update(ctx, object)
					Expect(err).To(isForbidden, "%T %s: %s", object, object.GetName(), field)
					Expect(err).To(MatchError(ContainSubstring("metadata." + field + " changes")))
					Expect(editor.Update(ctx, object, client.DryRunAll)).To(isForbidden)
				}
				object.SetOwnerReferences(owner)
				object.SetFinalizers([]string{"example.com/hold"})
				Expect(publisher.Update(ctx, object)).To(Succeed())
				object.SetFinalizers(nil)
				Expect(editor.Update(ctx, object)).To(isForbidden, "the finalizer may be there to protect the object")
				Expect(publisher.Update(ctx, object)).To(Succeed())
			}
			By("creating what an owner takes with it once it is served")
			draft := builders.MakeFlag("draft", namespace).Boolean().Archived().Obj()
			draft.OwnerReferences = owner
			Expect(editor.Create(ctx, draft)).To(isForbidden)
		},
	)

	It("leaves to an editor what no production environment can come to serve", func(ctx SpecContext) {
		elsewhere := newNamespace(ctx)
		other := actAs(ctx, elsewhere, "eve@example.com", "editor")
		staging := builders.MakeEnvironment("staging", elsewhere).Obj()
		owned := builders.MakeFlag("owned", elsewhere).Boolean().Obj()
		owned.OwnerReferences, staging.OwnerReferences = owner, owner
		Expect(other.Create(ctx, staging)).To(Succeed())
		Expect(other.Create(ctx, owned)).To(Succeed())
	})

	It("bears the marks of a GitOps tool, for which REST refuses edits, where the tool or whoever may publish sets them",
		func(ctx SpecContext) {
			for _, change := range []func(client.Object){
				func(o client.Object) {
					o.SetAnnotations(map[string]string{"argocd.argoproj.io/tracking-id": "shop:x/FeatureFlag:shop/checkout"})
				},
				func(o client.Object) { o.SetLabels(map[string]string{"kustomize.toolkit.fluxcd.io/name": "flags"}) },
				func(o client.Object) { o.SetLabels(map[string]string{"helm.toolkit.fluxcd.io/name": "flags"}) },
			} {
				marked := readFlag(ctx, namespace, "checkout")
				change(marked)
				err := editor.Update(ctx, marked.DeepCopy())
				Expect(err).To(isForbidden)
				Expect(err).To(MatchError(ContainSubstring("the marks of a GitOps tool change")))
				Expect(editor.Update(ctx, marked.DeepCopy(), client.FieldOwner("kustomize-controller"))).To(Succeed())

				unmarked := readFlag(ctx, namespace, "checkout")
				unmarked.Labels = nil
				delete(unmarked.Annotations, "argocd.argoproj.io/tracking-id")
				Expect(editor.Update(ctx, unmarked.DeepCopy())).To(isForbidden, "REST would let through what the tool undoes")
				Expect(publisher.Update(ctx, unmarked)).To(Succeed())
			}
			By("leaving other labels to editors")
			labelled := readFlag(ctx, namespace, "checkout")
			labelled.Labels = map[string]string{"team": "payments"}
			Expect(editor.Update(ctx, labelled)).To(Succeed())
		},
	)

	It("lets the garbage collector finish what was admitted", func(ctx SpecContext) {
		audience := builders.MakeAudience("beta", namespace).Obj()
		create(ctx, audience)
		Expect(publisher.Delete(ctx, audience, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(audience), audience)).To(Succeed())
		const account = "system:serviceaccount:kube-system:generic-garbage-collector"
		collector, err := client.New(impersonation(account, "system:masters"), client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		audience.Finalizers = nil
		Expect(collector.Update(ctx, audience)).To(Succeed())
		flag.OwnerReferences = owner
		Expect(publisher.Update(ctx, flag)).To(Succeed())
		flag.OwnerReferences = nil
		Expect(collector.Update(ctx, flag)).To(Succeed())
	})

	It("is recorded, with who did it", func(ctx SpecContext) {
		flag.OwnerReferences, flag.Finalizers = owner, []string{"example.com/hold"}
		Expect(publisher.Update(ctx, flag)).To(Succeed())
		records, err := history.Decode(readFlag(ctx, namespace, "checkout").Annotations[v1alpha1.ChangesAnnotation])
		Expect(err).NotTo(HaveOccurred())
		last := records[len(records)-1]
		Expect(last.Actor.Name).To(Equal("pat@example.com"))
		var paths []string
		for _, change := range last.Changes {
			paths = append(paths, change.Path)
		}
		Expect(paths).To(ConsistOf("metadata.finalizers[example.com/hold]", "metadata.ownerReferences[0-0-0-0]"))
	})

	It("warns of an owner that deletes a production environment", func(ctx SpecContext) {
		environments[0].SetOwnerReferences(owner)
		warned.take()
		Expect(cluster.Update(ctx, environments[0])).To(Succeed())
		Expect(
			warned.take(),
		).To(
			ContainElement(ContainSubstring(`whoever deletes ConfigMap "gone" deletes this production environment`)),
		)
	})

	DescribeTable("keeps what a production environment left from whoever creates one of its name",
		func(ctx SpecContext, kind string, labels map[string]string, guarded bool) {
			left := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: "flags-live-" + kind, Labels: map[string]string{
					v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.DatafileLabel: kind,
					v1alpha1.ProjectLabel: namespace, v1alpha1.EnvironmentLabel: "live",
				},
			}}
			maps.Copy(left.Labels, labels)
			Expect(cluster.Create(ctx, left)).To(Succeed())
			attempt := builders.MakeEnvironment("live", namespace).Obj
			if !guarded {
				Expect(editor.Create(ctx, attempt())).To(Succeed())
				stored := &unstructured.Unstructured{}
				stored.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagEnvironment"))
				Expect(cluster.Get(ctx, client.ObjectKeyFromObject(attempt()), stored)).To(Succeed())
				Expect(stored.Object["spec"]).To(HaveKeyWithValue("production", false), "kubectl shows what holds")
				return
			}
			err := editor.Create(ctx, attempt())
			Expect(err).To(isForbidden)
			Expect(err).To(MatchError(ContainSubstring(`it takes up ConfigMap "` + left.Name + `"`)))
			Expect(editor.Create(ctx, attempt(), client.DryRunAll)).To(isForbidden)
			By("keeping it production where whoever has the right says nothing")
			warned.take()
			kept := attempt()
			Expect(cluster.Create(ctx, kept)).To(Succeed())
			Expect(kept.Spec.Production).To(BeTrue())
			Expect(warned.take()).To(ContainElement(ContainSubstring("so that it stays production; write production: false")))
			Expect(cluster.Delete(ctx, kept)).NotTo(Succeed())
			metav1.SetMetaDataAnnotation(&kept.ObjectMeta, v1alpha1.ConfirmDeleteAnnotation, kept.Name)
			Expect(cluster.Update(ctx, kept)).To(Succeed())
			Expect(cluster.Delete(ctx, kept)).To(Succeed())
			By("leaving the choice to whoever has the right, with a warning")
			warned.take()
			said, err := runtime.DefaultUnstructuredConverter.ToUnstructured(attempt())
			Expect(err).NotTo(HaveOccurred())
			ended := &unstructured.Unstructured{Object: said}
			ended.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagEnvironment"))
			Expect(unstructured.SetNestedField(ended.Object, false, "spec", "production")).To(Succeed())
			Expect(cluster.Create(ctx, ended)).To(Succeed())
			Expect(warned.take()).To(ContainElement(ContainSubstring("without production: true, editors change what it serves")))
		},
		Entry("its served file", v1alpha1.DatafileServed, map[string]string{v1alpha1.ProductionLabel: "true"}, true),
		Entry("its history", v1alpha1.DatafileHistory, map[string]string{v1alpha1.ProductionLabel: "true"}, true),
		Entry("a file of an older operator", v1alpha1.DatafileServed, nil, true),
		Entry("a file of staging", v1alpha1.DatafileServed, map[string]string{v1alpha1.ProductionLabel: "false"}, false),
		Entry("a file of another project", v1alpha1.DatafileServed, map[string]string{v1alpha1.ProjectLabel: "x"}, false),
	)

	It("knows of an environment at once, whether or not it is in a cache", func(ctx SpecContext) {
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			Expect(cluster.Create(ctx, builders.MakeEnvironment("live-"+name, namespace).Production().Obj())).To(Succeed())
			err := editor.Create(ctx, builders.MakeFlag("new-"+name, namespace).Boolean().Environment("live-"+name).Obj())
			Expect(err).To(MatchError(ContainSubstring("flagenvironments/live-" + name)))
		}
	})
})
