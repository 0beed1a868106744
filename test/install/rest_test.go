// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"net"
	"net/http"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// servesREST has service accounts with and without rights ask the REST server about a flag of a production environment.
func (c *controlPlane) servesREST(environment *v1alpha1.FlagEnvironment, flag *v1alpha1.FeatureFlag) {
	GinkgoHelper()
	ctx, project := context.Background(), environment.Namespace
	// tokenOf makes a service account.
	tokenOf := func(namespace, name string) string {
		GinkgoHelper()
		Expect(
			c.admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}),
		).To(
			Succeed(),
		)
		return c.token(namespace, name)
	}
	// The namespace default is none of those in which a confined operator has rights.
	publisher, colleague, stranger := tokenOf(
		project,
		"publisher",
	), tokenOf(
		project,
		"colleague",
	), tokenOf(
		"default",
		"stranger",
	)
	Expect(c.admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "publisher"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "jackstaff-publisher"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: project, Name: "publisher"}},
	})).To(Succeed())

	ask := func(g Gomega, token, method, path, body string) (int, string) {
		status, answer, err := call(method, "https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(c.api))+path, token, body)
		g.ExpectWithOffset(1, err).NotTo(HaveOccurred())
		return status, answer
	}
	scope := "?environment_id=" + string(environment.UID)
	list := func(g Gomega, token string) (int, string) {
		return ask(g, token, http.MethodGet, "/api/v1/flags"+scope, "")
	}
	toggle := func(g Gomega, token, on string) (int, string) {
		return ask(g, token, http.MethodPost, "/api/v1/flags/"+flag.Name+"/toggle"+scope, `{"enabled": `+on+`}`)
	}
	evaluate := func(g Gomega, token string) (int, string) {
		return ask(g, token, http.MethodPost, "/ofrep/v1/evaluate/flags/"+flag.Name, `{"context": {"targetingKey": "bob"}}`)
	}

	Eventually(func(g Gomega) {
		status, answer := list(g, publisher)
		g.Expect(status).To(Equal(200), answer)
		g.Expect(answer).To(ContainSubstring(`"key":"` + flag.Name + `"`))
	}).Should(Succeed())
	for _, on := range []string{"false", "true"} {
		status, answer := toggle(Default, publisher, on)
		Expect(status).To(Equal(200), answer)
		isOff := ContainSubstring(`"reason":"DISABLED"`)
		Eventually(func(g Gomega) {
			status, answer := evaluate(g, publisher)
			g.Expect(status).To(Equal(200), answer)
			if on == "true" {
				g.Expect(answer).NotTo(isOff)
			} else {
				g.Expect(answer).To(isOff)
			}
		}).Should(Succeed())
	}
	for who, token := range map[string]string{"a colleague": colleague, "a stranger": stranger} {
		for what, ask := range map[string]func(Gomega, string) (int, string){
			"list":     list,
			"toggle":   func(g Gomega, token string) (int, string) { return toggle(g, token, "false") },
			"evaluate": evaluate,
		} {
			status, answer := ask(Default, token)
			Expect(status).To(Equal(403), "%s may not %s: %s", who, what, answer)
		}
	}
	status, answer := list(Default, "nobody")
	Expect(status).To(Equal(401), answer)
}
