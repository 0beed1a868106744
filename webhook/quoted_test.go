// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// What a manifest holds is repeated in terminals and in the logs of CI systems. It must not act there.
var _ = Describe("The answers of admission", func() {
	const escape, bidi = "\x1b[2J", "\u202e"
	hostile := func(text string) string { return text + escape + bidi + "\n::error::forged" }
	isHarmless := func(text string) {
		GinkgoHelper()
		for _, acting := range []string{"\x1b", bidi, "\n::error::"} {
			Expect(text).NotTo(ContainSubstring(acting))
		}
	}
	It("cannot act on a terminal", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		for name, object := range map[string]client.Object{
			"a variation": builders.MakeFlag("a", namespace).Type(v1alpha1.FlagTypeString).
				Variation(hostile("off"), `"x"`).DefaultVariation(hostile("on")).Obj(),
			"a pattern": builders.MakeAudience("b", namespace).Group(v1alpha1.Condition{
				Attribute: "email", Operator: v1alpha1.OperatorMatches, Values: []string{hostile("(")},
			}).Obj(),
			"an annotation": builders.MakeEnvironment("c", namespace).Manual().Obj(),
		} {
			if name == "an annotation" {
				object.SetAnnotations(map[string]string{v1alpha1.RevokeKeysBeforeAnnotation: hostile("soon")})
			}
			err := cluster.Create(ctx, object)
			Expect(err).To(HaveOccurred(), name)
			isHarmless(err.Error())
		}

		By("warning of what is referred to and does not exist")
		create(ctx, builders.MakeEnvironment("staging", namespace).Obj())
		flag := builders.MakeFlag("d", namespace).Boolean().Environment("staging").
			Rule(builders.MakeRule("r").Audiences(hostile("staff")).Serve("on")).Obj()
		warned.take()
		if err := cluster.Create(ctx, flag); err != nil {
			isHarmless(err.Error())
		}
		isHarmless(strings.Join(warned.take(), " "))
	})

	It("tell whoever makes a production environment that nobody guards what it publishes", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		missing := ContainElement(ContainSubstring(`"jackstaff-datafiles" is not in force`))
		Expect(cluster.Create(ctx, builders.MakeEnvironment("guarded", namespace).Production().Obj())).To(Succeed())
		Expect(warned.take()).NotTo(missing)
		policyIsMissing.Store(true)
		DeferCleanup(func() { policyIsMissing.Store(false) })
		production := builders.MakeEnvironment("production", namespace).Production().Obj()
		Expect(cluster.Create(ctx, production)).To(Succeed())
		Expect(warned.take()).To(missing)
		production.Labels = map[string]string{"team": "shop"}
		Expect(cluster.Update(ctx, production)).To(Succeed())
		Expect(warned.take()).NotTo(missing, "nobody reads what comes each time")
		Expect(cluster.Create(ctx, builders.MakeEnvironment("staging", namespace).Obj())).To(Succeed())
		Expect(warned.take()).NotTo(missing)
	})
})
