// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// forceOff sets the annotation that turns a flag off in production, or lifts it.
func forceOff(name, project string, off bool) {
	GinkgoHelper()
	value := ""
	if off {
		value = "production"
	}
	edit(onFlag(name, project), func(flag *v1alpha1.FeatureFlag) {
		metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, value)
	})
}

var _ = Describe("The brake", func() {
	var project string
	var environment *v1alpha1.FlagEnvironment
	// waits is how many changes wait besides, which a brake must not let through.
	waits := func(g Gomega, flags ...any) {
		g.ExpectWithOffset(1, fetch(g, environment).Status.PendingFlags).To(HaveExactElements(flags...))
	}
	publishing := func(change func(*v1alpha1.Publish)) {
		GinkgoHelper()
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { change(&environment.Spec.Publish) })
	}
	BeforeEach(func() {
		project = makeNamespace()
		environment = builders.MakeEnvironment("production", project).Obj()
		startOperator()
		create(environment, onFlag("checkout", project), onFlag("search", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "search", true)
		}).Should(Succeed())
	})

	for mode, hold := range map[string]func(*v1alpha1.Publish){
		"Manual":    func(p *v1alpha1.Publish) { p.Mode = v1alpha1.PublishModeManual },
		"suspended": func(p *v1alpha1.Publish) { p.Suspend = true },
	} {
		It(fmt.Sprintf("turns one flag off at once where publishing is %s, and nothing else", mode), func() {
			publishing(hold)
			Eventually(func(g Gomega) {
				g.Expect(fetch(g, environment).Status.ObservedGeneration).To(Equal(environment.Generation))
			}).Should(Succeed())
			setEnabled("search", project, false)
			Eventually(func(g Gomega) { waits(g, "search") }).Should(Succeed())
			before := revisionOf(Default, project, "production")
			forceOff("checkout", project, true)
			Eventually(func(g Gomega) {
				isServed(g, project, "production", "checkout", false)
				g.Expect(revisionOf(g, project, "production")).To(Equal(before+1), "a brake is a revision of its own")
			}).Should(Succeed())
			isServed(Default, project, "production", "search", true)
			Eventually(func(g Gomega) { waits(g, "search") }).Should(Succeed())

			forceOff("checkout", project, false)
			Eventually(func(g Gomega) { waits(g, "checkout", "search") }).Should(Succeed())
			isServed(Default, project, "production", "checkout", false)
		})
	}

	It("stays over a pinned revision, which comes back whole only with the next publish", func() {
		first := revisionOf(Default, project, "production")
		forceOff("checkout", project, true)
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", false) }).Should(Succeed())
		setEnabled("search", project, false)
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", false) }).Should(Succeed())
		last := revisionOf(Default, project, "production")

		By("rolling back to the revision from before the brake")
		publishing(func(p *v1alpha1.Publish) { p.Revision = &first })
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "search", true)
			isServed(g, project, "production", "checkout", false)
			g.Expect(revisionOf(g, project, "production")).To(Equal(last+1), "it is not the pinned revision itself")
			g.Expect(fetch(g, environment).Status.PinnedRevision).To(Equal(first))
		}).Should(Succeed())

		By("taking another brake under the pin, after a restart")
		startOperator()
		forceOff("search", project, true)
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", false) }).Should(Succeed())
		isServed(Default, project, "production", "checkout", false)

		By("lifting the brake, which is an ordinary change and waits for the end of the pin")
		setEnabled("search", project, true)
		forceOff("search", project, false)
		forceOff("checkout", project, false)
		Eventually(func(g Gomega) { waits(g, "checkout", "search") }).Should(Succeed())
		isServed(Default, project, "production", "checkout", false)
		publishing(func(p *v1alpha1.Publish) { p.Revision = nil })
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "search", true)
		}).Should(Succeed())
	})

	It("turns off a flag whose archiving waits for a publish", func() {
		publishing(func(p *v1alpha1.Publish) { p.Mode = v1alpha1.PublishModeManual })
		edit(onFlag("search", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true })
		forceOff("search", project, true)
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", false) }).Should(Succeed())
		isServed(Default, project, "production", "checkout", true)
	})

	It("goes on while an environment that is deleted waits for a finalizer, which says that it goes", func() {
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Production = true
			environment.Finalizers = append(environment.Finalizers, "example.com/hold")
		})
		Expect(k8s.Delete(context.Background(), environment)).To(Succeed())
		DeferCleanup(func() {
			edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Finalizers = nil })
		})
		Eventually(func(g Gomega) {
			ready := conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.ReadyCondition)
			g.Expect(ready.Reason).To(Equal(v1alpha1.TerminatingReason))
			g.Expect(ready.Message).To(ContainSubstring("example.com/hold"))
		}).Should(Succeed())
		forceOff("checkout", project, true)
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", false) }).Should(Succeed())

		By("publishing what whoever may edits meanwhile")
		setEnabled("search", project, false)
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", false) }).Should(Succeed())

		By("serving what was published again, where somebody deletes the file")
		deleted := datafileOf(Default, project, "production")
		Expect(k8s.Delete(context.Background(), deleted)).To(Succeed())
		Eventually(func(g Gomega) {
			restored := datafileOf(g, project, "production")
			g.Expect(restored.UID).NotTo(Equal(deleted.UID))
			g.Expect(restored.Data).To(Equal(deleted.Data))
		}).Should(Succeed())
		ready := conditionOf(fetch(Default, environment).Status.Conditions, v1alpha1.ReadyCondition)
		Expect(ready.Reason).To(Equal(v1alpha1.TerminatingReason))
	})

	It("turns off a flag whose spec does not compile", func() {
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Environments[0].Rules = []v1alpha1.Rule{{Name: "broken", Variation: "on", Conditions: []v1alpha1.Condition{
				{Attribute: "email", Operator: v1alpha1.OperatorMatches, Values: []string{"("}},
			}}}
		})
		forceOff("checkout", project, true)
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", false) }).Should(Succeed())
		isServed(Default, project, "production", "search", true)
	})

	It("turns a flag off though the revision to pin does not exist", func() {
		publishing(func(p *v1alpha1.Publish) { p.Revision = new(int64(99)) })
		Eventually(func(g Gomega) {
			published := conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition)
			g.Expect(published.Reason).To(Equal(v1alpha1.RevisionNotFoundReason))
		}).Should(Succeed())
		forceOff("checkout", project, true)
		Eventually(func(g Gomega) {
			g.Expect(flagIn(g, datafileOf(g, project, "production"), "checkout")).To(HaveKeyWithValue("enabled", false))
		}).Should(Succeed())
	})
})
