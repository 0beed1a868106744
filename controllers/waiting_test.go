// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever asks for a publish during a freeze expects it after the freeze, and nothing that was edited in between.
var _ = Describe("A publish request under a freeze", func() {
	const first, second, third = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"
	var (
		namespace   string
		environment *v1alpha1.FlagEnvironment
		started     *operator
	)
	request := func(at string) {
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, at)
		})
	}
	freeze := func(on bool) {
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = on })
	}
	edited := func(enabled bool, variation string) {
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Environments[0].Enabled, flag.Spec.Environments[0].DefaultVariation = enabled, variation
		})
		Eventually(func(g Gomega) {
			flag := fetch(g, onFlag("checkout", namespace))
			g.Expect(flag.Status.ObservedGeneration).To(Equal(flag.Generation))
			g.Expect(fetch(g, environment).Status.PendingFlags).To(HaveExactElements("checkout"))
		}).Should(Succeed())
	}
	serves := func(g Gomega, enabled bool) {
		g.ExpectWithOffset(1, flagIn(g, datafileOf(g, namespace, "production"), "checkout")).To(
			HaveKeyWithValue("enabled", enabled))
	}
	waits := func(at string) {
		Eventually(func(g Gomega) {
			waiting := fetch(g, environment).Status.WaitingPublish
			g.Expect(waiting).NotTo(BeNil())
			g.Expect(waiting.RequestedAt).To(Equal(at))
		}).Should(Succeed())
	}
	handled := func(at string) {
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.LastHandledPublishAt).To(Equal(at))
			g.Expect(status.WaitingPublish).To(BeNil())
		}).Should(Succeed())
	}

	BeforeEach(func() {
		namespace = makeNamespace()
		environment = builders.MakeEnvironment("production", namespace).Manual().Obj()
		started = startOperator()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.PendingFlags).To(HaveExactElements("checkout"))
		}).Should(Succeed())
		request(first)
		handled(first)
		freeze(true)
		edited(false, "off")
		request(second)
		waits(second)
	})

	It("is carried out after the freeze, though the operator was started again meanwhile", func() {
		started.stop()
		startOperator()
		waits(second)
		serves(Default, true)
		freeze(false)
		Eventually(func(g Gomega) { serves(g, false) }).Should(Succeed())
		handled(second)
	})

	It("publishes nothing that was edited after it, but what the next request asks for", func() {
		edited(true, "off")
		freeze(false)
		handled(second)
		serves(Default, true)
		Expect(revisionOf(Default, namespace, "production")).To(BeEquivalentTo(1))
		request(third)
		handled(third)
		Expect(flagIn(Default, datafileOf(Default, namespace, "production"), "checkout")).To(
			HaveKeyWithValue("defaultVariation", "off"))
	})
})
