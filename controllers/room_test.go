// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"math/rand/v2"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// noise is a text of so many bytes that is not compressed to less than three quarters.
func noise(size int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	text := make([]byte, size)
	for i := range text {
		text[i] = letters[rand.IntN(len(letters))]
	}
	return string(text)
}

var _ = Describe("Drafts that do not fit into production's datafile", func() {
	It("keep nobody from publishing, and come when there is room", func() {
		startOperator()
		project := makeNamespace()
		production := builders.MakeEnvironment("production", project).Production().Obj()
		create(production, onFlag("checkout", project), onFlag("search", project))
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", true) }).Should(Succeed())

		By("making four drafts of 700 kB each, and a small one")
		draft := func(name string, size int) *v1alpha1.FeatureFlag {
			return builders.MakeFlag(name, project).Boolean().Environment("production").Disabled().
				Spec(func(spec *v1alpha1.FeatureFlagSpec) {
					spec.Variations[0].Payload = &v1alpha1.JSON{Raw: []byte(`{"a":"` + noise(size) + `"}`)}
				}).Obj()
		}
		large := []string{"large-0", "large-1", "large-2", "large-3"}
		for _, name := range large {
			create(draft(name, 700_000))
		}
		create(draft("small", 10))

		setEnabled("search", project, false)
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "search", false)
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "small", false)
			compiled := conditionOf(fetch(g, production).Status.Conditions, v1alpha1.CompiledCondition)
			g.Expect(compiled.Message).To(ContainSubstring("there is no room for drafts"))
			left := 0
			for _, name := range large {
				flag := fetch(g, builders.MakeFlag(name, project).Obj())
				published := conditionOf(flag.Status.Conditions, v1alpha1.PublishedCondition)
				if published.Reason == v1alpha1.LastGoodReason {
					g.Expect(published.Message).To(ContainSubstring("the flag is a draft, and the datafile has no room for it"))
					left++
				}
			}
			g.Expect(left).To(Equal(3), "the document holds one of them")
			g.Expect(production.Status.Flags).To(Equal(v1alpha1.FlagCounts{Total: 7, Pending: 3, LastGood: 3}))
			g.Expect(production.Status.State).To(Equal(v1alpha1.PublishStateServing), "a publish brings none of them")
			g.Expect(conditionOf(production.Status.Conditions, v1alpha1.PublishedCondition).Message).To(
				ContainSubstring("without the changes of 3 flags that do not fit: large-"))
			g.Expect(production.Status.Conditions).To(haveCondition(v1alpha1.ReadyCondition, "True", v1alpha1.ReadyReason, ""))
		}).Should(Succeed())

		By("archiving all but one of those that were left out")
		edit(builders.MakeFlag("large-0", project).Obj(), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true })
		edit(builders.MakeFlag("large-1", project).Obj(), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true })
		edit(builders.MakeFlag("large-2", project).Obj(), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true })
		Eventually(func(g Gomega) { isServed(g, project, "production", "large-3", false) }).Should(Succeed())
	})
})

var _ = Describe("Changes that wait for a publish and do not fit into the datafile", func() {
	It("keep nobody from publishing or braking, and are named", func() {
		startOperator()
		project := makeNamespace()
		production := builders.MakeEnvironment("production", project).Production().Manual().Obj()
		publish := func(at string) {
			GinkgoHelper()
			edit(production, func(environment *v1alpha1.FlagEnvironment) {
				environment.Annotations = map[string]string{v1alpha1.PublishRequestedAtAnnotation: at}
			})
		}
		create(production, onFlag("checkout", project), onFlag("search", project))
		publish("2026-11-01T12:00:00Z")
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", true) }).Should(Succeed())

		By("staging flags that are on, of 780 kB each, and a change of another flag")
		for _, name := range []string{"large-0", "large-1"} {
			create(builders.MakeFlag(name, project).Boolean().Environment("production").
				Spec(func(spec *v1alpha1.FeatureFlagSpec) {
					spec.Variations[0].Payload = &v1alpha1.JSON{Raw: []byte(`{"a":"` + noise(780_000) + `"}`)}
				}).Obj())
		}
		setEnabled("search", project, false)
		Eventually(func(g Gomega) {
			compiled := conditionOf(fetch(g, production).Status.Conditions, v1alpha1.CompiledCondition)
			g.Expect(compiled.Status).To(Equal(metav1.ConditionTrue), "what is served is well")
			g.Expect(compiled.Message).To(ContainSubstring("does not fit into a ConfigMap with the changes of flags large-"))
			g.Expect(production.Status.Conditions).To(haveCondition(v1alpha1.ReadyCondition, "True", v1alpha1.ReadyReason, ""))
			g.Expect(production.Status.State).To(Equal(v1alpha1.PublishStateAwaitingPublish))
			g.Expect(production.Status.PendingFlags).To(HaveExactElements("large-0", "large-1", "search"))
			reasons := map[string]int{}
			for _, name := range []string{"large-0", "large-1"} {
				flag := fetch(g, onFlag(name, project))
				reasons[conditionOf(flag.Status.Conditions, v1alpha1.PublishedCondition).Reason]++
			}
			g.Expect(reasons).To(Equal(map[string]int{v1alpha1.LastGoodReason: 1, v1alpha1.AwaitingPublishReason: 1}))
		}).Should(Succeed())

		By("publishing and braking beside them")
		publish("2026-11-01T13:00:00Z")
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", false) }).Should(Succeed())
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) {
			flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "production"}
		})
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", false) }).Should(Succeed())
	})
})
