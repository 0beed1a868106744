// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

var _ = Describe("A status that settles", func() {
	It("arrives though the operator ends before, and from the replica that leads alone", func() {
		namespace, now := makeNamespace(), time.Now()
		startAt := func(at time.Time, changes ...func(*ctrl.Options)) *operator {
			GinkgoHelper()
			return startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{
				SettleStatus: time.Minute, Clock: clocktesting.NewFakePassiveClock(at),
			}, changes...)
		}
		first := startAt(now)
		environment := builders.MakeEnvironment("production", namespace).Obj()
		flag := builders.MakeFlag("checkout", namespace).Boolean().Obj()
		create(environment, flag)
		observed := func(g Gomega) {
			fetch(g, environment)
			g.Expect(environment.Status.ObservedGeneration).To(Equal(environment.Generation))
			g.Expect(fetch(g, flag).Status.ObservedGeneration).To(Equal(flag.Generation))
			g.Expect(environment.Status.SDKKeys).NotTo(BeEmpty())
		}
		Eventually(observed).Should(Succeed())

		By("editing what nobody acts upon, and ending the operator before it says so")
		carried, err := history.Encode([]history.Record{{ID: "a", Time: metav1.NewMicroTime(now)}})
		Expect(err).NotTo(HaveOccurred())
		edit(flag, func(flag *v1alpha1.FeatureFlag) {
			metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ChangesAnnotation, carried)
			flag.Spec.DisplayName = "Checkout"
		})
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.ChangesAnnotation, carried)
			environment.Spec.DisplayName = "Production"
		})
		first.stop()
		for _, object := range []client.Object{flag, environment} {
			Expect(k8s.Get(GinkgoT().Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
		}
		Expect(flag.Status.ObservedGeneration).To(BeNumerically("<", flag.Generation), "the status was to settle")
		Expect(environment.Status.ObservedGeneration).To(BeNumerically("<", environment.Generation))

		By("starting a replica that leads, beside one that does not")
		later := now.Add(2 * time.Minute)
		standby := startAt(later, func(options *ctrl.Options) {
			options.LeaderElection, options.LeaderElectionID = true, "never-elected"
			options.LeaderElectionNamespace = "no-such-namespace"
		})
		var written atomic.Int64
		count := func(string, client.Object) bool { written.Add(1); return false }
		standby.faults.refuse.Store(&count)
		startAt(later)
		Eventually(observed).Should(Succeed())
		Expect(written.Load()).To(BeZero(), "the replica that does not lead has written")
	})
})
