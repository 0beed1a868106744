// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A cluster for each environment gets the same manifests. None of them may wait for what another cluster serves, nor
// serve it, and a misspelt environment must still be found.
var _ = Describe("An environment that another cluster serves", func() {
	var project string
	var staging *v1alpha1.FlagEnvironment
	ctx := context.Background()
	in := func(mode v1alpha1.PublishMode) func(*v1alpha1.FlagEnvironment) {
		return func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Mode = mode }
	}
	published := func(g Gomega, name string) metav1.Condition {
		return conditionOf(fetch(g, builders.MakeFlag(name, project).Obj()).Status.Conditions, v1alpha1.PublishedCondition)
	}

	BeforeEach(func() {
		project = makeNamespace()
		staging = builders.MakeEnvironment("staging", project).Obj()
		in(v1alpha1.PublishModeNone)(staging)
		startOperator()
		create(staging, builders.MakeEnvironment("production", project).Obj(),
			builders.MakeFlag("checkout", project).Boolean().Environment("production").Fallthrough("on").
				Environment("staging").Fallthrough("on").Obj(),
			builders.MakeFlag("typo", project).Boolean().Environment("stagign").Obj())
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			g.Expect(published(g, "checkout").Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())
	})

	It("is no reason to wait, and nothing is written for it", func() {
		flag := fetch(Default, builders.MakeFlag("checkout", project).Obj())
		Expect(flag.Status.Summary).To(ContainSubstring("staging=elsewhere"))
		Expect(conditionOf(flag.Status.Conditions, v1alpha1.ReadyCondition).Status).To(Equal(metav1.ConditionTrue))
		Expect(published(Default, "checkout").Message).To(ContainSubstring("another cluster serves staging"))
		Eventually(func(g Gomega) {
			typo := published(g, "typo")
			g.Expect(typo.Reason).To(Equal(v1alpha1.EnvironmentNotFoundReason))
			g.Expect(typo.Message).To(ContainSubstring(`"staging"`))
			fetch(g, staging)
			g.Expect(staging.Status.State).To(Equal(v1alpha1.PublishStateElsewhere))
			g.Expect(conditionOf(staging.Status.Conditions, v1alpha1.ReadyCondition).Reason).
				To(Equal(v1alpha1.ElsewhereReason))
		}).Should(Succeed())
		for _, list := range []client.ObjectList{&corev1.ConfigMapList{}, &corev1.SecretList{}} {
			Expect(k8s.List(ctx, list, client.InNamespace(project),
				client.MatchingLabels{v1alpha1.EnvironmentLabel: "staging"})).To(Succeed())
			Expect(list).To(HaveField("Items", BeEmpty()))
		}
	})

	It("is served from here once its mode says so, and left alone again after that", func() {
		edit(staging, in(v1alpha1.PublishModeAutomatic))
		Eventually(func(g Gomega) { isServed(g, project, "staging", "checkout", true) }).Should(Succeed())
		edit(staging, in(v1alpha1.PublishModeNone))
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, staging).Status.State).To(Equal(v1alpha1.PublishStateElsewhere))
		}).Should(Succeed())
		before := datafileOf(Default, project, "staging").ResourceVersion
		edit(builders.MakeFlag("checkout", project).Obj(), func(flag *v1alpha1.FeatureFlag) {
			for i := range flag.Spec.Environments {
				flag.Spec.Environments[i].Enabled = false
			}
		})
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", false)
			g.Expect(published(g, "checkout").Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())
		Expect(datafileOf(Default, project, "staging").ResourceVersion).To(Equal(before))
	})
})
