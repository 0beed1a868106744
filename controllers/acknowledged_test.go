// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
)

var _ = Describe("Acknowledgement", func() {
	It("counts the instances that have loaded the served revision, and forgets those that are silent", func() {
		namespace := makeNamespace()
		startOperator()
		environment := builders.MakeEnvironment("production", namespace).Spec(func(spec *v1alpha1.FlagEnvironmentSpec) {
			spec.Delivery.Acknowledge = true
		}).Obj()
		create(environment, onFlag("checkout", namespace))
		var revision int64
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.PublishedRevision).To(BeNumerically(">", 0))
			g.Expect(status.Flags).To(Equal(v1alpha1.FlagCounts{Total: 1}))
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.AcknowledgedCondition, metav1.ConditionTrue, v1alpha1.AcknowledgedReason, "no instance"),
			)
			revision = status.PublishedRevision
		}).Should(Succeed())

		// report writes what a replica has gathered.
		report := func(instances ...v1alpha1.Instance) {
			GinkgoHelper()
			now := fetch(Default, environment)
			reported := now.DeepCopy()
			reported.Status.Instances = instances
			Expect(k8s.Status().Patch(context.Background(), reported, client.MergeFrom(now))).To(Succeed())
		}
		ago := func(age time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-age)) }
		report(
			v1alpha1.Instance{Name: "pod-a", Revision: revision, LastSeen: ago(0)},
			v1alpha1.Instance{Name: "pod-b", Revision: revision, LastSeen: ago(time.Minute)},
			v1alpha1.Instance{Name: "pod-gone", Revision: 0, LastSeen: ago(heartbeat.ExpectedFor)},
		)
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.Delivery).To(Equal(&v1alpha1.DeliveryStatus{Revision: revision, Acknowledged: 2, Expected: 2}))
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.AcknowledgedCondition, metav1.ConditionTrue, v1alpha1.AcknowledgedReason, "all 2 instances"),
			)
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""),
			)
		}).Should(Succeed())

		By("publishing another revision")
		create(onFlag("payments", namespace))
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.PublishedRevision).To(BeNumerically(">", revision))
			g.Expect(
				status.Delivery,
			).To(
				Equal(
					&v1alpha1.DeliveryStatus{Revision: status.PublishedRevision, Expected: 2, Laggards: []string{"pod-a", "pod-b"}},
				),
			)
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.AcknowledgedCondition, metav1.ConditionFalse, v1alpha1.LaggardsReason, "0 of 2 instances"),
			)
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.NotReadyReason, "Acknowledged"),
			)
		}).Should(Succeed())

		By("one laggard falling silent in a moment, without a further event")
		served := fetch(Default, environment).Status.PublishedRevision
		report(
			v1alpha1.Instance{Name: "pod-a", Revision: served, LastSeen: ago(0)},
			v1alpha1.Instance{Name: "pod-b", Revision: revision, LastSeen: ago(heartbeat.ExpectedFor - 3*time.Second)},
		)
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.Delivery.Laggards).To(Equal([]string{"pod-b"}))
		}).Should(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, environment).Status.Delivery,
			).To(
				Equal(&v1alpha1.DeliveryStatus{Revision: served, Acknowledged: 1, Expected: 1}),
			)
		}).Should(Succeed())

		By("more laggards than are named")
		var many []v1alpha1.Instance
		for i := range 12 {
			many = append(many, v1alpha1.Instance{Name: fmt.Sprintf("pod-%02d", i), Revision: revision, LastSeen: ago(0)})
		}
		report(many...)
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.Delivery.Laggards).To(HaveLen(10))
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.AcknowledgedCondition, metav1.ConditionFalse, v1alpha1.LaggardsReason, "pod-09 and 2 more"),
			)
		}).Should(Succeed())

		By("switching it off")
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Delivery.Acknowledge = false })
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.Delivery).To(BeNil())
			g.Expect(status.Instances).To(BeEmpty())
			g.Expect(conditionOf(status.Conditions, v1alpha1.AcknowledgedCondition).Status).To(BeEmpty())
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""),
			)
		}).Should(Succeed())
	})
})
