// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("Publishing by the mode", func() {
	var namespace string
	ctx := context.Background()

	BeforeEach(func() { namespace = makeNamespace() })

	It("publishes only on request where the mode is Manual, and restores what was published, not what waits", func() {
		startOperator()
		environment := builders.MakeEnvironment("production", namespace).Manual().Obj()
		create(environment, onFlag("checkout", namespace))
		request := func(at string) {
			edit(environment, func(environment *v1alpha1.FlagEnvironment) {
				metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, at)
			})
		}
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(
				conditionOf(status.Conditions, v1alpha1.PublishedCondition).Reason,
			).To(
				Equal(v1alpha1.AwaitingPublishReason),
			)
			g.Expect(status.PendingFlags).To(HaveExactElements("checkout"))
		}).Should(Succeed())
		request("2026-01-01T00:00:00Z")
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", true)
			g.Expect(fetch(g, environment).Status.LastHandledPublishAt).To(Equal("2026-01-01T00:00:00Z"))
		}).Should(Succeed())

		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.PendingFlags).To(HaveExactElements("checkout"))
			g.Expect(
				fetch(g, onFlag("checkout", namespace)).Status.Environments,
			).To(
				HaveExactElements(HaveField("State", v1alpha1.ServingStateAwaitingPublish)),
			)
		}).Should(Succeed())
		Expect(k8s.Delete(ctx, datafileOf(Default, namespace, "production"))).To(Succeed())
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		request("2026-01-01T00:00:01Z")
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", false) }).Should(Succeed())
	})

	It("answers a publish request where it publishes by itself", func() {
		startOperator()
		environment := builders.MakeEnvironment(
			"production",
			namespace,
		).Annotation(
			v1alpha1.PublishRequestedAtAnnotation,
			"2026-01-01T00:00:00Z",
		).Obj()
		create(environment)
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, environment).Status,
			).To(
				And(HaveField("LastHandledPublishAt", "2026-01-01T00:00:00Z"), HaveField("PublishedRevision", int64(1))),
			)
		}).Should(Succeed())
	})

	It("does not claim a flagd file that waits for a publish", func() {
		startOperator()
		environment := builders.MakeEnvironment(
			"production",
			namespace,
		).Manual().Annotation(
			v1alpha1.PublishRequestedAtAnnotation,
			"2026-01-01T00:00:00Z",
		).
			Spec(
				func(spec *v1alpha1.FlagEnvironmentSpec) {
					spec.Datafile.Formats = []v1alpha1.DatafileFormat{v1alpha1.DatafileFormatNative}
				},
			).Obj()
		create(environment)
		Eventually(func(g Gomega) { g.Expect(datafileOf(g, namespace, "production").Data).To(HaveLen(1)) }).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Datafile.Formats = append(environment.Spec.Datafile.Formats, v1alpha1.DatafileFormatFlagd)
		})
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, environment).Status.Conditions,
			).To(
				haveCondition(v1alpha1.FlagdPublishedCondition, metav1.ConditionFalse, v1alpha1.PendingReason, "next publish"),
			)
		}).Should(Succeed())
	})

	It("thaws by itself once the end of a freeze is past", func() {
		startOperator()
		environment := builders.MakeEnvironment("production", namespace).Obj()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Suspend = true
			environment.Spec.Publish.SuspendReason = "black friday"
			environment.Spec.Publish.SuspendUntil = new(metav1.NewTime(time.Now().Add(3 * time.Second)))
		})
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.Conditions).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, "(black friday)"))
		}).Should(Succeed())
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", false) }).Should(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.State).To(Equal(v1alpha1.PublishStateServing))
			g.Expect(fetch(g, environment).Spec.Publish.Suspend).To(BeTrue(), "the operator writes no spec")
		}).Should(Succeed())
	})

	It("freezes while suspended, and rolls back while a revision is pinned", func() {
		startOperator()
		environment := builders.MakeEnvironment("production", namespace).Obj()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		first := revisionOf(Default, namespace, "production")
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = true })
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(
			func(g Gomega) { g.Expect(fetch(g, environment).Status.PendingFlags).To(HaveExactElements("checkout")) },
		).Should(
			Succeed(),
		)
		isServed(Default, namespace, "production", "checkout", true)

		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = false })
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", false) }).Should(Succeed())

		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Revision = &first })
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", true)
			g.Expect(revisionOf(g, namespace, "production")).To(Equal(first))
			g.Expect(
				conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition).Reason,
			).To(
				Equal(v1alpha1.PinnedReason),
			)
			g.Expect(fetch(g, environment).Status.PinnedRevision).To(Equal(first), "a rollback is waited for by this field")
		}).Should(Succeed())

		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Revision = new(int64(99)) })
		Eventually(func(g Gomega) {
			g.Expect(
				conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition).Reason,
			).To(
				Equal(v1alpha1.RevisionNotFoundReason),
			)
		}).Should(Succeed())
		Expect(revisionOf(Default, namespace, "production")).To(Equal(first))

		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Revision = nil })
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", false)
			g.Expect(revisionOf(g, namespace, "production")).To(Equal(first + 1))
		}).Should(Succeed())
	})
})
