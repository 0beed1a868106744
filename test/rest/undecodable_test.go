// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// exempt has no webhook asked about a namespace until the test ends.
func exempt(namespace string) {
	GinkgoHelper()
	ctx := context.Background()
	apply := func(selector *metav1.LabelSelector) {
		GinkgoHelper()
		mutating := &admissionregistrationv1.MutatingWebhookConfigurationList{}
		Expect(world.Admin.List(ctx, mutating)).To(Succeed())
		for i := range mutating.Items {
			for j := range mutating.Items[i].Webhooks {
				mutating.Items[i].Webhooks[j].NamespaceSelector = selector
			}
			Expect(world.Admin.Update(ctx, &mutating.Items[i])).To(Succeed())
		}
		validating := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
		Expect(world.Admin.List(ctx, validating)).To(Succeed())
		for i := range validating.Items {
			for j := range validating.Items[i].Webhooks {
				validating.Items[i].Webhooks[j].NamespaceSelector = selector
			}
			Expect(world.Admin.Update(ctx, &validating.Items[i])).To(Succeed())
		}
	}
	apply(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{namespace},
	}}})
	DeferCleanup(func() { apply(&metav1.LabelSelector{}) })
}

// Whoever reads a flag of which a part is lost would take what is shown for all of it, and write that back.
var _ = Describe("A flag that does not fit this version of the server", func() {
	It("is shown by each view with a warning, and written by none", func() {
		s := newShop()
		namespace := s.namespace.Name
		editor := newPerson(namespace, "editor", "admin", namespace).token
		exempt(namespace)
		odd := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "odd", "namespace": namespace},
			"spec": map[string]any{
				"type": "Boolean", "defaultVariation": "off",
				"variations": []any{map[string]any{"key": "off", "value": false}, map[string]any{"key": "on", "value": true}},
				"environments": []any{map[string]any{
					"name": "production", "enabled": true, "defaultVariation": "on",
					// The schema takes it, and Go's times do not.
					"schedule": map[string]any{"enableAt": "2027-01-02t03:04:05z"},
				}},
			},
		}}
		odd.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FeatureFlag"))
		Eventually(func() error { // The API server hears of the selector a moment later.
			return world.Admin.Create(context.Background(), odd.DeepCopy())
		}).Should(Succeed())
		before := odd.DeepCopy()
		Expect(world.Admin.Get(context.Background(), client.ObjectKeyFromObject(odd), before)).To(Succeed())
		const lost = `spec.environments[0].schedule.enableAt`
		reads := s.writings("odd")
		reads = append(reads,
			writing{view: "flagmint", read: "/projects/" + namespace + "/flags/odd"},
			writing{view: "avsb, a list", read: s.avsb("/flags")},
			writing{view: "phaseflag, a list", read: "/api/v1/flags?environment_id=" + string(s.production.UID)},
			writing{view: "atono, a list", read: "/api/v1/flags"},
			writing{view: "posthog, a list", read: "/api/projects/" + namespace + "/feature_flags"},
			writing{view: "flagmint, a list", read: "/projects/" + namespace + "/flags"},
		)
		for _, view := range reads {
			Eventually(func(g Gomega) {
				answer := world.Call(editor, http.MethodGet, view.read, nil, in(s, jsonMedia)...)
				g.Expect(answer.Status).To(Equal(http.StatusOK), "%s: %s", view.view, answer.Body)
				g.Expect(answer.Header.Values("Warning")).To(ConsistOf(And(
					HavePrefix("299 jackstaff "), ContainSubstring(`\"odd\"`), ContainSubstring(lost))), view.view)
			}).Should(Succeed())
		}
		Expect(world.Call(editor, http.MethodGet, s.avsb("/flags/new_checkout"), nil).Header.Values("Warning")).To(BeEmpty())

		By("writing to it")
		for _, write := range []struct{ method, path, body string }{
			{http.MethodPatch, s.avsb("/flags/odd"), `{"description": "x"}`},
			{http.MethodPut, s.phaseflag("odd", "", s.production), `{"description": "x"}`},
			{http.MethodPatch, "/api/projects/" + namespace + "/feature_flags/odd", `{"name": "x"}`},
		} {
			answer := call(editor, http.StatusConflict, write.method, write.path, write.body, in(s, jsonMedia)...)
			Expect(string(answer.Body)).To(And(ContainSubstring("mend it with kubectl"), ContainSubstring(lost)), write.path)
		}
		now := odd.DeepCopy()
		Expect(world.Admin.Get(context.Background(), client.ObjectKeyFromObject(odd), now)).To(Succeed())
		Expect(now.Object["spec"]).To(Equal(before.Object["spec"]))
		Expect(world.Admin.Delete(context.Background(), now)).To(Succeed())
	})
})
