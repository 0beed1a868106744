// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("A namespace that stores too much", func() {
	It("stops its own publishing, takes brakes, and goes on once it stores less", func() {
		startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{
			Budgets: budget.NewLedger(budget.Limits{Objects: 10}),
		})
		project, neighbour := makeNamespace(), makeNamespace()
		environment := builders.MakeEnvironment("production", project).Obj()
		published := func(g Gomega) metav1.Condition {
			return conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition)
		}
		create(environment, onFlag("checkout", project), onFlag("search", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "search", true)
		}).Should(Succeed())

		By("storing a tenth more than is allowed")
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
			create(builders.MakeAudience(name, project).Members("alice").Obj())
		}
		Eventually(func(g Gomega) {
			g.Expect(published(g).Reason).To(Equal(v1alpha1.OverBudgetReason))
			g.Expect(published(g).Message).To(ContainSubstring("12 objects, of which it may have 10"))
		}).Should(Succeed())

		By("braking one flag while an edit of another waits")
		setEnabled("search", project, false)
		forceOff("checkout", project, true)
		// The environment is not Ready meanwhile, so that only the files are looked at.
		Eventually(func(g Gomega) {
			served := datafileOf(g, project, "production")
			g.Expect(flagIn(g, served, "checkout")).To(HaveKeyWithValue("enabled", false))
			g.Expect(flagIn(g, served, "search")).To(HaveKeyWithValue("enabled", true))
		}).Should(Succeed())

		By("publishing another namespace")
		create(builders.MakeEnvironment("production", neighbour).Obj(), onFlag("checkout", neighbour))
		Eventually(func(g Gomega) { isServed(g, neighbour, "production", "checkout", true) }).Should(Succeed())

		By("deleting what is too much")
		for _, name := range []string{"a", "b", "c"} {
			Expect(k8s.Delete(GinkgoT().Context(), builders.MakeAudience(name, project).Obj())).To(Succeed())
		}
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "search", false)
			isServed(g, project, "production", "checkout", false)
			g.Expect(published(g).Reason).To(Equal(v1alpha1.PublishedReason))
		}).Should(Succeed())
	})
	It("does not have large flags served by many environments, which takes memory in each", func() {
		startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{
			Budgets: budget.NewLedger(budget.Limits{Bytes: 100_000}),
		})
		project := makeNamespace()
		large := func(size int) *v1alpha1.FeatureFlag {
			return builders.MakeFlag("large", project).Boolean().Spec(func(spec *v1alpha1.FeatureFlagSpec) {
				spec.Variations[0].Payload = &v1alpha1.JSON{Raw: []byte(`{"a":"` + strings.Repeat("x", size) + `"}`)}
			}).Obj()
		}
		stopped := func(g Gomega) (names []string) {
			for _, name := range []string{"preview", "qa", "staging", "production"} {
				environment := fetch(g, builders.MakeEnvironment(name, project).Obj())
				published := conditionOf(environment.Status.Conditions, v1alpha1.PublishedCondition)
				if published.Reason == v1alpha1.OverBudgetReason {
					g.Expect(published.Message).To(ContainSubstring("that are not production would have"))
					names = append(names, name)
				} else {
					g.Expect(published.Reason).To(Equal(v1alpha1.PublishedReason))
				}
			}
			return names
		}
		create(large(75_000), builders.MakeEnvironment("production", project).Production().Obj())
		for _, name := range []string{"preview", "qa", "staging"} {
			create(builders.MakeEnvironment(name, project).Obj())
		}
		Eventually(func(g Gomega) { g.Expect(stopped(g)).To(HaveLen(1), "the third that would serve it") }).Should(Succeed())
		Expect(stopped(Default)).NotTo(ContainElement("production"), "editors make no production environments")

		By("making the flag smaller")
		edit(large(0), func(flag *v1alpha1.FeatureFlag) { flag.Spec = large(10).Spec })
		Eventually(func(g Gomega) { g.Expect(stopped(g)).To(BeEmpty()) }).Should(Succeed())
	})
})
