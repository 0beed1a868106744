// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// Kubernetes' own role edit lets its holders write every ConfigMap and Secret of a namespace.
var _ = Describe("The policy on published datafiles", Ordered, ContinueOnFailure, func() {
	var c *controlPlane
	ctx := context.Background()
	production := types.NamespacedName{Namespace: "shop", Name: "production"}

	as := func(user string) client.Client {
		GinkgoHelper()
		config := rest.CopyConfig(c.config)
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
		made, err := client.New(config, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		return made
	}
	served := func(name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, Labels: ownership.DatafileLabels(production, v1alpha1.DatafileServed),
		}}
	}
	plain := func(name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	}
	isRefused := func(err error) {
		GinkgoHelper()
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(And(ContainSubstring("jackstaff-datafiles"), ContainSubstring("the verb publish"))))
	}

	BeforeAll(func() {
		c = startControlPlane()
		c.install(slices.DeleteFunc(kustomize("config/default"), func(object *unstructured.Unstructured) bool {
			return slices.Contains(
				[]string{"Deployment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"},
				object.GetKind(),
			)
		}))
		Expect(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})).To(Succeed())
		edit := rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"configmaps", "secrets"}, Verbs: []string{"*"},
		}
		publish := rbacv1.PolicyRule{
			APIGroups: []string{"flags.jackstaff.dev"}, Resources: []string{"flagenvironments"},
			ResourceNames: []string{"production"}, Verbs: []string{"publish"},
		}
		for user, rules := range map[string][]rbacv1.PolicyRule{
			"editor": {edit}, "publisher": {edit, publish}, "system:serviceaccount:kube-system:namespace-controller": {edit},
		} {
			name := metav1.ObjectMeta{Namespace: "shop", GenerateName: "role-"}
			role := &rbacv1.Role{ObjectMeta: name, Rules: rules}
			Expect(c.admin.Create(ctx, role)).To(Succeed())
			Expect(c.admin.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
				Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
			})).To(Succeed())
		}
		Eventually(func() error { return as("editor").Create(ctx, served("probe"), client.DryRunAll) }).
			Should(MatchError(ContainSubstring("jackstaff-datafiles")))
	})

	It("keeps an editor of ConfigMaps from what is published, before and after the write", func() {
		editor := as("editor")
		published := served("flags-production")
		Expect(c.admin.Create(ctx, published)).To(Succeed())
		isRefused(editor.Create(ctx, served("flags-other")))
		for _, change := range []func(*corev1.ConfigMap){
			func(m *corev1.ConfigMap) { m.Data = map[string]string{"datafile.json": "{}"} },
			func(m *corev1.ConfigMap) { m.Labels = nil },
			func(m *corev1.ConfigMap) { m.Labels[v1alpha1.EnvironmentLabel] = "staging" },
			func(m *corev1.ConfigMap) {
				m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "u"}}
			},
		} {
			changed := published.DeepCopy()
			change(changed)
			isRefused(editor.Update(ctx, changed))
			isRefused(editor.Patch(ctx, changed, client.MergeFrom(published)))
		}
		isRefused(editor.Delete(ctx, published))
		isRefused(editor.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace("shop"),
			client.MatchingLabels{v1alpha1.EnvironmentLabel: "production"}))

		By("taking a name before it is needed")
		isRefused(editor.Create(ctx, plain("flags-production-r9223372036854775807")))
		isRefused(editor.Create(ctx, plain("flags-production-r1.gz")))
		isRefused(editor.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "flags-production-sdk-key-abcdefghij"},
		}))

		By("taking it as what it may publish")
		Expect(as("publisher").Create(ctx, served("flags-production-r7"))).To(Succeed())
		isRefused(as("publisher").Create(ctx, served("flags-staging-r7")))
		isRefused(as("publisher").Create(ctx, served("flags-staging-r7.gz")))
		elsewhere := served("flags-staging-r7")
		elsewhere.Labels = ownership.DatafileLabels(
			types.NamespacedName{Namespace: "web", Name: "production"}, v1alpha1.DatafileCopy)
		isRefused(as("publisher").Create(ctx, elsewhere))
		Expect(as("publisher").Delete(ctx, served("flags-production-r7"))).To(Succeed())

		By("marking what is its own")
		mine := plain("mine")
		Expect(editor.Create(ctx, mine)).To(Succeed())
		mine.Labels = ownership.DatafileLabels(production, v1alpha1.DatafileServed)
		isRefused(editor.Update(ctx, mine))
		Expect(editor.Delete(ctx, plain("mine"))).To(Succeed())
	})

	It("lets whoever may publish write without the operator, in their own name", func() {
		publisher := as("publisher")
		glass := served("flags-production")
		_ = c.admin.Delete(ctx, glass.DeepCopy())
		signed := func(name string) *corev1.ConfigMap {
			written := glass.DeepCopy()
			written.Data = map[string]string{"datafile.json": name}
			written.Annotations = map[string]string{v1alpha1.BreakGlassAnnotation: ownership.BreakGlass{
				Actor: name, At: time.Unix(0, 0),
			}.String()}
			return written
		}
		isUnsigned := func(err error) {
			GinkgoHelper()
			Expect(err).To(MatchError(ContainSubstring("which is publisher, and a space")))
		}
		isUnsigned(publisher.Create(ctx, signed("somebody")))
		Expect(publisher.Create(ctx, signed("publisher"))).To(Succeed())
		isUnsigned(publisher.Update(ctx, signed("publishers")))
		isRefused(as("editor").Update(ctx, signed("editor")))

		By("keeping the mark, under which another user writes nothing else")
		Expect(c.admin.Patch(ctx, glass.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"data":{"a":"b"}}`)))).
			To(MatchError(ContainSubstring("and a space")))
		Expect(c.admin.Patch(ctx, glass.DeepCopy(), client.RawPatch(types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"x":"y"}}}`)))).To(Succeed())
		Expect(publisher.Update(ctx, glass.DeepCopy())).To(Succeed(), "whoever may publish ends it")
		Expect(c.admin.Delete(ctx, glass.DeepCopy())).To(Succeed())
	})

	It("takes nothing but a time after the name of whoever writes without the operator", func() {
		for mark, taken := range map[string]bool{
			"publisher 2026-01-02T03:04:05Z":                           true,
			"publisher 2026-01-02T03:04:05.25+01:00":                   true,
			"publisher 2026-01-02T03:04:05Z ended":                     true,
			"alice 2026-01-02T03:04:05Z ended":                         false,
			"publisher smith (approved by alice) 2035-01-02T03:04:05Z": false,
			"publisher  2026-01-02T03:04:05Z":                          false,
			"publisher 2026-01-02T03:04:05Z ":                          false,
			"publisher 2026-01-02":                                     false,
			"publisher ":                                               false,
			"publisher " + strings.Repeat("9", 200<<10):                false,
		} {
			written := served("flags-signed")
			written.Annotations = map[string]string{v1alpha1.BreakGlassAnnotation: mark}
			err := as("publisher").Create(ctx, written, client.DryRunAll)
			if taken {
				Expect(err).NotTo(HaveOccurred(), mark)
				continue
			}
			Expect(err).To(MatchError(ContainSubstring("and the time in RFC 3339")), "%.80s", mark)
		}
	})

	// An update has two versions, each of which asks for the right by label and by name.
	It("lets whoever may publish and administrators update the history and what is served, and nobody else", func() {
		for _, name := range []string{"flags-production", "flags-production-r1"} {
			published := served(name)
			Expect(c.asAccount().Create(ctx, published)).To(Succeed())
			for _, user := range []string{"publisher", ""} {
				written := published.DeepCopy()
				written.Data = map[string]string{"by": "user " + user}
				writer := c.admin
				if user != "" {
					writer = as(user)
				}
				Expect(writer.Update(ctx, written)).To(Succeed(), "%s %q", name, user)
				published = written
			}
			written := published.DeepCopy()
			written.Data = map[string]string{"by": "editor"}
			isRefused(as("editor").Update(ctx, written))

			By("changing the environment, which asks for the right on both and on that of the name")
			other := published.DeepCopy()
			other.Labels[v1alpha1.EnvironmentLabel] = "staging"
			isRefused(as("publisher").Update(ctx, other.DeepCopy()))
			Expect(c.admin.Update(ctx, other)).To(Succeed())
			isRefused(as("publisher").Update(ctx, other.DeepCopy()))
			third := other.DeepCopy()
			third.Labels[v1alpha1.EnvironmentLabel] = "testing"
			isRefused(as("editor").Update(ctx, third.DeepCopy()))
			Expect(c.admin.Update(ctx, third)).To(Succeed(), "three environments")
			Expect(c.admin.Delete(ctx, third)).To(Succeed())
		}
	})

	It("tells the operator that it is in force", func() {
		Expect(ownership.Guarded(ctx, c.asAccount())).To(BeTrue())
	})

	It("lets whoever may publish, the operator and the collectors write", func() {
		publisher := as("publisher")
		Expect(publisher.Create(ctx, served("flags-by-hand"))).To(Succeed())
		staging := served("flags-staging")
		staging.Labels[v1alpha1.EnvironmentLabel] = "staging"
		isRefused(publisher.Create(ctx, staging))
		Expect(publisher.Delete(ctx, served("flags-by-hand"))).To(Succeed())
		operator := c.asAccount()
		Expect(operator.Create(ctx, staging)).To(Succeed())
		Expect(as("system:serviceaccount:kube-system:namespace-controller").Delete(ctx, staging.DeepCopy())).To(Succeed())
	})
})
