// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// The account is made an administrator here, so that nothing but the policy can refuse what it does.
var _ = Describe("The policy on the operator's own account", Ordered, ContinueOnFailure, func() {
	var c *controlPlane
	var operator client.Client
	ctx := context.Background()
	own := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}

	meta := func(name string, labels map[string]string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}
	}
	isRefused := func(err error, message string) {
		GinkgoHelper()
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(And(ContainSubstring("jackstaff-own-account"), ContainSubstring(message))))
	}

	BeforeAll(func() {
		c = startControlPlane()
		// Without webhooks, which are tested elsewhere, objects are stored as they are sent.
		c.install(slices.DeleteFunc(overlay("refresh-pods"), func(object *unstructured.Unstructured) bool {
			return slices.Contains(
				[]string{"Deployment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"},
				object.GetKind(),
			)
		}))
		c.bind("all", "cluster-admin", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: account})
		operator = c.asAccount()
		Expect(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})).To(Succeed())
		Eventually(func() error {
			return operator.Create(
				ctx,
				&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", GenerateName: "x-"}},
				client.DryRunAll,
			)
		}).Should(MatchError(apierrors.IsForbidden, "forbidden"), "the API server applies the policy a moment after it is made")
	})

	DescribeTable(
		"lets it write only what carries its label, before and after",
		func(build func(metav1.ObjectMeta) client.Object) {
			const message = "label app.kubernetes.io/managed-by"
			foreign, object := build(meta("foreign", nil)), build(meta("own", own))
			isRefused(operator.Create(ctx, foreign.DeepCopyObject().(client.Object)), message)
			Expect(c.admin.Create(ctx, foreign)).To(Succeed())
			Expect(operator.Create(ctx, object)).To(Succeed())

			By("taking over what is not its own")
			adopted := foreign.DeepCopyObject().(client.Object)
			adopted.SetLabels(own)
			isRefused(operator.Update(ctx, adopted), message)
			isRefused(operator.Patch(ctx, adopted.DeepCopyObject().(client.Object), client.MergeFrom(foreign)), message)
			isRefused(operator.Delete(ctx, foreign), message)
			isRefused(operator.DeleteAllOf(ctx, foreign, client.InNamespace("shop")), message)

			By("giving away what is")
			given := object.DeepCopyObject().(client.Object)
			given.SetLabels(map[string]string{v1alpha1.ManagedByLabel: "somebody"})
			isRefused(operator.Update(ctx, given), message)
			object.SetAnnotations(map[string]string{"a": "b"})
			Expect(operator.Update(ctx, object)).To(Succeed())
			Expect(operator.Delete(ctx, object)).To(Succeed())
			Expect(fetch(Default, c, foreign).GetLabels()).NotTo(HaveKey(v1alpha1.ManagedByLabel))
		},
		Entry("of ConfigMaps", func(meta metav1.ObjectMeta) client.Object { return &corev1.ConfigMap{ObjectMeta: meta} }),
		Entry("of FlagChanges", func(meta metav1.ObjectMeta) client.Object {
			return &v1alpha1.FlagChange{ObjectMeta: meta, Spec: v1alpha1.FlagChangeSpec{
				ID: "a", Action: "flag.toggled", Time: metav1.NowMicro(),
				Object: v1alpha1.ChangedObject{Kind: "FeatureFlag", Name: "payments"},
			}}
		}),
	)

	It("lets it give a datafile its label back that somebody changed, as its other labels prove", func() {
		environment := types.NamespacedName{Namespace: "shop", Name: "production"}
		for what, change := range map[string]func(labels map[string]string) (restorable bool){
			"another manager": func(labels map[string]string) bool { labels[v1alpha1.ManagedByLabel] = "Helm"; return true },
			"no manager":      func(labels map[string]string) bool { delete(labels, v1alpha1.ManagedByLabel); return true },
			"no manager and no environment": func(labels map[string]string) bool {
				delete(labels, v1alpha1.ManagedByLabel)
				delete(labels, v1alpha1.EnvironmentLabel)
				return false
			},
			"no manager and another environment": func(labels map[string]string) bool {
				delete(labels, v1alpha1.ManagedByLabel)
				labels[v1alpha1.EnvironmentLabel] = "staging"
				return false
			},
		} {
			By(what)
			labels := ownership.DatafileLabels(environment, v1alpha1.DatafileServed)
			served := &corev1.ConfigMap{ObjectMeta: meta("flags-"+rand.String(8), maps.Clone(labels))}
			restorable := change(served.Labels)
			Expect(c.admin.Create(ctx, served)).To(Succeed())
			isRefused(operator.Delete(ctx, served), "label app.kubernetes.io/managed-by")
			served.Labels = labels
			if err := operator.Update(ctx, served); restorable {
				Expect(err).NotTo(HaveOccurred(), "without it the datafile stays as it is, and changes are not served")
			} else {
				isRefused(err, "label app.kubernetes.io/managed-by")
			}
		}
	})

	It("lets it create Secrets of SDK keys and no others", func() {
		const message = "no Secrets but those of SDK keys"
		secret := func(change func(*corev1.Secret)) *corev1.Secret {
			of := map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ProjectLabel: "shop", v1alpha1.EnvironmentLabel: "production",
			}
			secret := &corev1.Secret{
				ObjectMeta: meta("flags-production-sdk-key-abcdefghij", of),
				StringData: map[string]string{"server": "sdk_x", "client": "cli_x"},
			}
			change(secret)
			return secret
		}
		for name, change := range map[string]func(*corev1.Secret){
			"a bootstrap token": func(s *corev1.Secret) {
				s.Namespace, s.Name, s.Type = "kube-system", "bootstrap-token-abcdef", "bootstrap.kubernetes.io/token"
				s.StringData = map[string]string{"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
			},
			"a token of an account": func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeServiceAccountToken
				s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
			},
			"another name":              func(s *corev1.Secret) { s.Name = "database" },
			"another environment's":     func(s *corev1.Secret) { s.Labels[v1alpha1.EnvironmentLabel] = "staging" },
			"of no environment":         func(s *corev1.Secret) { delete(s.Labels, v1alpha1.EnvironmentLabel) },
			"of another project":        func(s *corev1.Secret) { s.Labels[v1alpha1.ProjectLabel] = "other" },
			"of the system":             func(s *corev1.Secret) { s.Namespace, s.Labels[v1alpha1.ProjectLabel] = "kube-system", "kube-system" },
			"in its own namespace":      func(s *corev1.Secret) { s.Namespace, s.Labels[v1alpha1.ProjectLabel] = system, system },
			"with something else in it": func(s *corev1.Secret) { s.StringData["token"] = "x" },
		} {
			By(name)
			isRefused(operator.Create(ctx, secret(change), client.DryRunAll), message)
		}
		made := secret(func(*corev1.Secret) {})
		Expect(operator.Create(ctx, made)).To(Succeed())
		made.Annotations = map[string]string{"a": "b"}
		isRefused(operator.Update(ctx, made), message)
		isRefused(operator.Delete(ctx, made), message)

		By("making again the certificate that somebody deleted")
		certificate := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "jackstaff-webhook-certificate"}}
		Expect(c.admin.Delete(ctx, certificate.DeepCopy())).To(Succeed())
		tls := certificate.DeepCopy()
		tls.Type, tls.StringData = corev1.SecretTypeTLS, map[string]string{"tls.crt": "", "tls.key": ""}
		isRefused(operator.Create(ctx, tls), "label")
		Expect(operator.Create(ctx, certificate)).To(Succeed())
	})

	It("lets it fill its own Secrets and hold its own lease, and touch no others", func() {
		for _, name := range []string{"jackstaff-webhook-certificate", "jackstaff-session-key", "jackstaff-seal"} {
			secret := fetch(Default, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}})
			secret.Data = map[string][]byte{"key": []byte("x")}
			Expect(operator.Update(ctx, secret)).To(Succeed())
			isRefused(operator.Delete(ctx, secret), "label")
			elsewhere := &corev1.Secret{ObjectMeta: meta(name, nil)}
			Expect(c.admin.Create(ctx, elsewhere)).To(Succeed())
			isRefused(operator.Update(ctx, elsewhere), "label")
		}
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "jackstaff-manager"}}
		Expect(operator.Create(ctx, lease)).To(Succeed())
		Expect(operator.Update(ctx, lease)).To(Succeed())
		isRefused(
			operator.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "other"}}),
			"never writes",
		)
		isRefused(operator.Create(ctx, &coordinationv1.Lease{ObjectMeta: meta("jackstaff-manager", nil)}), "never writes")
	})

	It("lets it change one annotation of pods", func() {
		const message = "its own annotations and its status"
		pod := &corev1.Pod{
			ObjectMeta: meta("web", nil),
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		}
		isRefused(operator.Create(ctx, pod.DeepCopy()), message)
		Expect(c.admin.Create(ctx, pod)).To(Succeed())
		patched := func(change func(*corev1.Pod)) error {
			after := pod.DeepCopy()
			change(after)
			return operator.Patch(ctx, after, client.MergeFrom(pod))
		}
		Expect(patched(func(pod *corev1.Pod) {
			pod.Annotations = map[string]string{v1alpha1.RevisionAnnotation: "7"}
		})).To(Succeed())
		isRefused(
			patched(func(pod *corev1.Pod) { pod.Annotations = map[string]string{v1alpha1.DigestAnnotation: "x"} }),
			message,
		)
		isRefused(patched(func(pod *corev1.Pod) { pod.Labels = map[string]string{"app": "x"} }), message)
		isRefused(patched(func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/x"} }), message)
		isRefused(patched(func(pod *corev1.Pod) { pod.Spec.Containers[0].Image = "evil" }), message)
		isRefused(operator.Delete(ctx, pod), message)
		isRefused(operator.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{}), "never writes")
	})

	DescribeTable("lets it change of a Kind its status and its own annotations",
		func(object client.Object, change func(client.Object), status func(client.Object)) {
			const message = "its own annotations and its status"
			isRefused(operator.Create(ctx, object.DeepCopyObject().(client.Object)), message)
			object.SetAnnotations(map[string]string{v1alpha1.ChangesAnnotation: "x", "example.com/kept": "x"})
			Expect(c.admin.Create(ctx, object)).To(Succeed())
			attempt := func(change func(client.Object)) error {
				after := object.DeepCopyObject().(client.Object)
				change(after)
				return operator.Patch(ctx, after, client.MergeFrom(object))
			}
			isRefused(attempt(change), message)
			isRefused(attempt(func(object client.Object) { object.SetLabels(map[string]string{"a": "b"}) }), message)
			isRefused(attempt(func(object client.Object) { object.SetAnnotations(nil) }), message)
			isRefused(attempt(func(object client.Object) {
				object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "u"}})
			}), message)
			Expect(
				attempt(func(object client.Object) { object.SetAnnotations(map[string]string{"example.com/kept": "x"}) }),
			).To(
				Succeed(),
			)
			object = fetch(Default, c, object)
			after := object.DeepCopyObject().(client.Object)
			status(after)
			Expect(operator.Status().Patch(ctx, after, client.MergeFrom(object))).To(Succeed())
			isRefused(operator.Delete(ctx, object), message)
		},
		Entry("FeatureFlag", builders.MakeFlag("checkout", "shop").Boolean().Obj(),
			func(object client.Object) { object.(*v1alpha1.FeatureFlag).Spec.Description = "x" },
			func(object client.Object) { object.(*v1alpha1.FeatureFlag).Status.ObservedGeneration = 1 }),
		Entry("FlagEnvironment", builders.MakeEnvironment("production", "shop").Obj(),
			func(object client.Object) { object.(*v1alpha1.FlagEnvironment).Spec.Production = true },
			func(object client.Object) { object.(*v1alpha1.FlagEnvironment).Status.ObservedGeneration = 1 }),
		Entry("FlagAudience", builders.MakeAudience("staff", "shop").Members("a").Obj(),
			func(object client.Object) { object.(*v1alpha1.FlagAudience).Spec.Members = []string{"b"} },
			func(object client.Object) { object.(*v1alpha1.FlagAudience).Status.ObservedGeneration = 1 }),
	)

	It("lets it change of its webhook configurations the authority", func() {
		configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "jackstaff-mutating-webhook-configuration"},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: "flags.example.com", AdmissionReviewVersions: []string{"v1"},
				SideEffects:  new(admissionregistrationv1.SideEffectClassNone),
				ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1/x")},
			}},
		}
		Expect(c.admin.Create(ctx, configuration)).To(Succeed())
		attempt := func(change func(*admissionregistrationv1.MutatingWebhook)) error {
			after := configuration.DeepCopy()
			change(&after.Webhooks[0])
			return operator.Update(ctx, after, client.DryRunAll)
		}
		Expect(attempt(func(webhook *admissionregistrationv1.MutatingWebhook) {
			webhook.ClientConfig.CABundle = c.config.CAData
		})).To(Succeed())
		isRefused(attempt(func(webhook *admissionregistrationv1.MutatingWebhook) {
			webhook.ClientConfig.URL = new("https://127.0.0.1/y")
		}), "authority")
		isRefused(attempt(func(webhook *admissionregistrationv1.MutatingWebhook) {
			webhook.FailurePolicy = new(admissionregistrationv1.Ignore)
		}), "authority")
		other := configuration.DeepCopy()
		other.Name, other.ResourceVersion = "other", ""
		Expect(c.admin.Create(ctx, other)).To(Succeed())
		isRefused(operator.Update(ctx, other), "authority")
	})

	It("lets it write nothing else, and binds nobody else", func() {
		isRefused(
			operator.Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta("mine", own)}),
			"never writes /serviceaccounts/ mine",
		)
		isRefused(operator.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}), "never writes")
		someone := &corev1.ServiceAccount{ObjectMeta: meta("someone", nil)}
		Expect(c.admin.Create(ctx, someone)).To(Succeed())
		isRefused(operator.SubResource("token").Create(ctx, someone, &authenticationv1.TokenRequest{}), "never writes")
		Expect(c.admin.Create(ctx, &corev1.ConfigMap{ObjectMeta: meta("of-somebody-else", nil)})).To(Succeed())
	})
})
