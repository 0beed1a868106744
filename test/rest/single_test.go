// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var _ = Describe("Somebody who may only get flags and environments", func() {
	It("reads one flag in every view, and lists none", func() {
		s, name := newShop(), "reader"
		namespace := s.namespace.Name
		token := world.Token(namespace, name)
		Expect(world.Admin.Create(context.Background(), &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Rules: []rbacv1.PolicyRule{{
				APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"featureflags", "flagenvironments"},
				Verbs: []string{"get"},
			}},
		})).To(Succeed())
		Expect(world.Admin.Create(context.Background(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		})).To(Succeed())
		headers := []string{"X-Jackstaff-Project", namespace, "X-Jackstaff-Environment", "production"}
		for view, path := range map[string]string{
			"phaseflag":             s.phaseflag("new-checkout", "", s.production),
			"posthog":               "/api/projects/" + namespace + "/feature_flags/new-checkout",
			"avsb":                  s.avsb("/flags/new-checkout"),
			"atono":                 "/api/v1/flags/new-checkout",
			"atono, an environment": "/api/v1/flags/new-checkout/environments/production",
			"flagmint":              "/projects/" + namespace + "/flags/new-checkout",
		} {
			Eventually(func(g Gomega) {
				answer := world.Call(token, http.MethodGet, path, nil, headers...)
				g.Expect(answer.Status).To(Equal(http.StatusOK), "%s: %s", view, answer.Body)
			}, "30s").Should(Succeed())
		}
		call(token, http.StatusForbidden, http.MethodGet, s.avsb("/flags"), nil)
	})
})
