// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers/featureflag"
	"github.com/jackstaff-dev/jackstaff/controllers/flagaudience"
	"github.com/jackstaff-dev/jackstaff/controllers/flagevent"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
)

// A client that updates what its PATCH was answered with is refused with 409 where the operator writes in between.
var _ = Describe("An edit", func() {
	const period = 2 * time.Second
	var clock *clocktesting.FakePassiveClock
	BeforeEach(func() {
		clock = clocktesting.NewFakePassiveClock(time.Now())
		DeferCleanup(startControllers(func(manager ctrl.Manager) {
			patcher := &status.Patcher{
				Client: manager.GetClient(), Recorder: manager.GetEventRecorder("controllers"), Settle: period,
			}
			Expect((&featureflag.Reconciler{
				Client: manager.GetClient(), Ledger: topics.New(), Clock: clock, StaleAfter: time.Hour, Status: patcher,
			}).SetupWithManager(manager)).To(Succeed())
			Expect((&flagaudience.Reconciler{
				Client: manager.GetClient(), Clock: clock, Status: patcher,
			}).SetupWithManager(manager)).To(Succeed())
			Expect((&flagevent.Reconciler{
				Client: manager.GetClient(), Clock: clock, Status: patcher,
			}).SetupWithManager(manager)).To(Succeed())
		}))
	})

	It("is followed by an update with the version that it was answered with", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		flag := builders.MakeFlag("checkout", namespace).Boolean().Obj()
		audience := builders.MakeAudience("staff", namespace).Obj()
		flagEvent := builders.MakeEvent("purchase", namespace).Obj()
		for _, object := range []client.Object{flag, audience, flagEvent} {
			Expect(cluster.Create(ctx, object)).To(Succeed())
			Eventually(func(g Gomega) { isObserved(ctx, g, object) }).Should(Succeed())
		}
		// One object after the other: a status settles for ten periods at most while its object is edited again and again.
		for object, displayName := range map[client.Object]*string{
			flag: &flag.Spec.DisplayName, audience: &audience.Spec.DisplayName, flagEvent: &flagEvent.Spec.DisplayName,
		} {
			for i := range 20 {
				clock.SetTime(time.Now())
				before := object.DeepCopyObject().(client.Object)
				*displayName = strconv.Itoa(i)
				Expect(cluster.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
				*displayName += "!"
				Expect(cluster.Update(ctx, object)).To(Succeed(), "update %d of %T", i, object)
			}
		}
		By("saying what came of the last one all the same")
		clock.SetTime(time.Now().Add(period))
		for _, object := range []client.Object{flag, audience, flagEvent} {
			Eventually(func(g Gomega) { isObserved(ctx, g, object) }).Should(Succeed())
		}
	})
})

// isObserved expects the status of an object, and each of its conditions, to be of its generation.
func isObserved(ctx SpecContext, g Gomega, object client.Object) {
	g.ExpectWithOffset(1, cluster.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	var observed int64
	var conditions []metav1.Condition
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		observed, conditions = object.Status.ObservedGeneration, object.Status.Conditions
	case *v1alpha1.FlagAudience:
		observed, conditions = object.Status.ObservedGeneration, object.Status.Conditions
	case *v1alpha1.FlagEvent:
		observed, conditions = object.Status.ObservedGeneration, object.Status.Conditions
	}
	g.ExpectWithOffset(1, observed).To(Equal(object.GetGeneration()))
	g.ExpectWithOffset(1, conditions).NotTo(BeEmpty())
	for _, condition := range conditions {
		g.ExpectWithOffset(1, condition.ObservedGeneration).To(Equal(object.GetGeneration()), condition.Type)
	}
}
