// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package hostile_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("A project with production", func() {
	var (
		namespace                              string
		viewer, editor, publisher, edit, owner client.Client
		production, reviewed, staging          *v1alpha1.FlagEnvironment
		flag, braked                           *v1alpha1.FeatureFlag
		audience                               *v1alpha1.FlagAudience
		event                                  *v1alpha1.FlagEvent
		isForbidden                            = MatchError(apierrors.IsForbidden, "IsForbidden")
		nobody                                 = []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: "none", UID: "0-0-0-0"},
		}
		changed func(SpecContext, client.Object, func(client.Object)) client.Object
	)
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		viewer = account(ctx, namespace, "jackstaff-viewer", "list", "featureflags")
		editor = account(ctx, namespace, "jackstaff-editor", "update", "featureflags")
		publisher = account(ctx, namespace, "jackstaff-publisher", "publish", "flagenvironments")
		// Kubernetes' own roles, into which the controller manager takes ours.
		edit = account(ctx, namespace, "edit", "update", "featureflags")
		owner = account(ctx, namespace, "admin", "publish", "flagenvironments")

		production = builders.MakeEnvironment("production", namespace).Production().Obj()
		reviewed = builders.MakeEnvironment("reviewed", namespace).Production().Manual().Obj()
		staging = builders.MakeEnvironment("staging", namespace).Obj()
		audience = builders.MakeAudience("beta", namespace).Members("alice@example.com").Obj()
		event = builders.MakeEvent("purchase", namespace).Obj()
		flag = builders.MakeFlag("checkout", namespace).Boolean().Environment("staging").
			Environment("production").Rule(builders.MakeRule("r").Audiences("beta").Serve("on")).Obj()
		braked = builders.MakeFlag("braked", namespace).Boolean().Archived().Environment("reviewed").
			Annotation(v1alpha1.ForceDisabledAnnotation, "reviewed").Obj()
		for _, object := range []client.Object{production, reviewed, staging, audience, event, flag, braked} {
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
		changed = func(ctx SpecContext, object client.Object, change func(client.Object)) client.Object {
			GinkgoHelper()
			fresh := object.DeepCopyObject().(client.Object)
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), fresh)).To(Succeed())
			change(fresh)
			return fresh
		}
	})

	everything := func() []client.Object {
		return []client.Object{flag, braked, audience, event, production, reviewed}
	}

	It("is not deleted by the garbage collector on behalf of an editor", func(ctx SpecContext) {
		for _, as := range []client.Client{viewer, editor, edit} {
			for _, object := range everything() {
				Expect(as.Update(ctx, changed(ctx, object, func(o client.Object) { o.SetOwnerReferences(nobody) }))).
					To(isForbidden, "%T %s", object, object.GetName())
				merge := client.RawPatch("application/merge-patch+json", []byte(
					`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"0-0-0-0"}]}}`))
				Expect(as.Patch(ctx, object.DeepCopyObject().(client.Object), merge)).To(isForbidden)
			}
		}
		born := builders.MakeFlag("born", namespace).Boolean().Archived().Obj()
		born.OwnerReferences = nobody
		Expect(editor.Create(ctx, born)).To(isForbidden)

		By("deleting what somebody with the right gives an owner that is gone, which shows that the collector runs")
		Expect(
			publisher.Update(ctx, changed(ctx, event, func(o client.Object) { o.SetOwnerReferences(nobody) })),
		).To(
			Succeed(),
		)
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKeyFromObject(event), &v1alpha1.FlagEvent{})
		}).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
		for _, object := range []client.Object{flag, production, audience} {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		}
	})

	It("is not held by an editor's finalizer", func(ctx SpecContext) {
		for _, object := range everything() {
			Expect(editor.Update(ctx, changed(ctx, object, func(o client.Object) {
				o.SetFinalizers([]string{"example.com/hold"})
			}))).To(isForbidden, "%T %s", object, object.GetName())
		}
	})

	It("is deleted in the foreground by whoever may, through the collector's own finalizer", func(ctx SpecContext) {
		foreground := client.PropagationPolicy(metav1.DeletePropagationForeground)
		Expect(editor.Delete(ctx, event, foreground)).To(isForbidden)
		Expect(publisher.Delete(ctx, event, foreground)).To(Succeed())
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKeyFromObject(event), &v1alpha1.FlagEvent{})
		}).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})

	It("is not taken over by an environment of the same name", func(ctx SpecContext) {
		Expect(admin.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "flags-live", Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.DatafileLabel: v1alpha1.DatafileServed,
				v1alpha1.ProjectLabel: namespace, v1alpha1.EnvironmentLabel: "live", v1alpha1.ProductionLabel: "true",
			},
		}})).To(Succeed())
		live := builders.MakeEnvironment("live", namespace)
		Expect(editor.Create(ctx, live.Obj())).To(isForbidden)
		Expect(edit.Create(ctx, live.Obj())).To(isForbidden)
		kept := live.Obj()
		Expect(publisher.Create(ctx, kept)).To(Succeed())
		Expect(kept.Spec.Production).To(BeTrue(), "its author says nothing of that")
	})

	It("keeps its brakes in mode Manual", func(ctx SpecContext) {
		Expect(editor.Delete(ctx, braked)).To(isForbidden)
		Expect(editor.DeleteAllOf(ctx, &v1alpha1.FeatureFlag{}, client.InNamespace(namespace))).To(isForbidden)
		Expect(editor.Update(ctx, changed(ctx, braked, func(o client.Object) {
			o.SetAnnotations(map[string]string{v1alpha1.ForceDisabledAnnotation: "staging"})
		}))).To(isForbidden)
	})

	It("is changed by nobody without the right", func(ctx SpecContext) {
		attempts := map[string]func(client.Client) error{
			"switching a flag off": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, flag, func(o client.Object) {
					o.(*v1alpha1.FeatureFlag).Spec.Environments[1].Enabled = false
				}))
			},
			"archiving it": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, flag, func(o client.Object) { o.(*v1alpha1.FeatureFlag).Spec.Archived = true }))
			},
			"a member of an audience": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, audience, func(o client.Object) {
					o.(*v1alpha1.FlagAudience).Spec.Members = []string{"eve@example.com"}
				}))
			},
			"deleting an event": func(as client.Client) error { return as.Delete(ctx, event) },
			"production no longer": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, production, func(o client.Object) {
					o.(*v1alpha1.FlagEnvironment).Spec.Production = false
				}))
			},
			"asking for a publish": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, reviewed, func(o client.Object) {
					o.SetAnnotations(map[string]string{v1alpha1.PublishRequestedAtAnnotation: "2026-11-01T12:00:00Z"})
				}))
			},
			"new SDK keys": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, production, func(o client.Object) {
					o.SetAnnotations(map[string]string{v1alpha1.RotateKeysRequestedAtAnnotation: "2026-11-01T12:00:00Z"})
				}))
			},
			"a brake": func(as client.Client) error {
				return as.Update(ctx, changed(ctx, flag, func(o client.Object) {
					o.SetAnnotations(map[string]string{v1alpha1.ForceDisabledAnnotation: "production"})
				}))
			},
			"the status": func(as client.Client) error {
				return as.Status().Update(ctx, changed(ctx, flag, func(o client.Object) {
					o.(*v1alpha1.FeatureFlag).Status.NeverEnabledIn = []string{"production"}
				}))
			},
			"a rival of its key": func(as client.Client) error {
				return as.Create(ctx, builders.MakeFlag("rival", namespace).Key("checkout").Boolean().Obj())
			},
			"the right itself": func(as client.Client) error {
				return as.Create(ctx, roleWithPublish(namespace))
			},
		}
		for name, attempt := range attempts {
			for _, as := range []client.Client{viewer, editor, edit} {
				Expect(attempt(as)).To(isForbidden, name)
			}
		}
		By("letting whoever has the right")
		Expect(attempts["switching a flag off"](publisher)).To(Succeed())
		Expect(attempts["a brake"](owner)).To(Succeed())
		By("leaving staging to editors")
		Expect(editor.Update(ctx, changed(ctx, flag, func(o client.Object) {
			o.(*v1alpha1.FeatureFlag).Spec.Environments[0].Enabled = false
		}))).To(Succeed())
	})

	It("is changed by no other kind of write either", func(ctx SpecContext) {
		const off = `"environments":[{"name":"staging","enabled":true},{"name":"production","enabled":false}]`
		apply := func(as client.Client, owner string, options ...client.PatchOption) error {
			document := `{"apiVersion":"flags.jackstaff.dev/v1alpha1","kind":"FeatureFlag",` +
				`"metadata":{"name":"checkout"},"spec":{` + off + `}}`
			options = append(options, client.ForceOwnership, client.FieldOwner(owner))
			return as.Patch(ctx, flag.DeepCopy(), client.RawPatch(types.ApplyPatchType, []byte(document)), options...)
		}
		attempts := map[string]func(client.Client) error{
			"an apply by force": func(as client.Client) error { return apply(as, "eve") },
			"an apply in the name of a tool": func(as client.Client) error {
				return apply(as, "argocd-controller")
			},
			"an apply in the operator's name": func(as client.Client) error { return apply(as, "jackstaff") },
			"a trial":                         func(as client.Client) error { return apply(as, "eve", client.DryRunAll) },
			"a merge patch": func(as client.Client) error {
				return as.Patch(ctx, flag.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{`+off+`}}`)))
			},
			"a JSON patch": func(as client.Client) error {
				return as.Patch(ctx, flag.DeepCopy(), client.RawPatch(types.JSONPatchType,
					[]byte(`[{"op":"replace","path":"/spec/environments/1/enabled","value":false}]`)))
			},
			"a patch of the status": func(as client.Client) error {
				return as.Status().Patch(ctx, flag.DeepCopy(), client.RawPatch(types.MergePatchType,
					[]byte(`{"status":{"neverEnabledIn":["production"]}}`)))
			},
			"a rival of its key under a name that the API server makes": func(as client.Client) error {
				rival := builders.MakeFlag("", namespace).Key("checkout").Boolean().Obj()
				rival.GenerateName = "rival-"
				return as.Create(ctx, rival)
			},
			"all flags at once": func(as client.Client) error {
				return as.DeleteAllOf(ctx, &v1alpha1.FeatureFlag{}, client.InNamespace(namespace))
			},
		}
		for name, attempt := range attempts {
			for _, as := range []client.Client{editor, edit} {
				Expect(attempt(as)).To(isForbidden, name)
			}
		}
		after := changed(ctx, flag, func(client.Object) {}).(*v1alpha1.FeatureFlag)
		Expect(after.Spec.Environments[1].Enabled).To(BeTrue())
		Expect(after.Generation).To(BeEquivalentTo(1))
		By("letting whoever has the right")
		Expect(attempts["a JSON patch"](publisher)).To(Succeed())
	})

	It("has its changes recorded under the name of whoever made them, whatever they send", func(ctx SpecContext) {
		Expect(editor.Update(ctx, changed(ctx, flag, func(o client.Object) {
			o.SetAnnotations(map[string]string{v1alpha1.ChangesAnnotation: `[{"id":"x","actor":{"name":"somebody"}}]`})
			o.(*v1alpha1.FeatureFlag).Spec.Description = "changed"
		}))).To(Succeed())
		stored := changed(ctx, flag, func(client.Object) {}).GetAnnotations()[v1alpha1.ChangesAnnotation]
		Expect(stored).To(ContainSubstring("jackstaff-editor@" + namespace))
		Expect(stored).NotTo(ContainSubstring("somebody"))
	})

	It("goes with its namespace, flags, environments and all", func(ctx SpecContext) {
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})
		}).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})
})

// roleWithPublish is a Role that carries the verb publish.
func roleWithPublish(namespace string) *rbacv1.Role {
	return &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine"},
		Rules: []rbacv1.PolicyRule{
			{
				APIGroups: []string{
					v1alpha1.GroupVersion.Group,
				},
				Resources: []string{"flagenvironments"},
				Verbs:     []string{"publish"},
			},
		},
	}
}
