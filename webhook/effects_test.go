// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"fmt"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("What an update does", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		create(
			ctx,
			builders.MakeEnvironment("production", namespace).Obj(),
			builders.MakeAudience("staff", namespace).Members("alice").Obj(),
		)
	})
	// said returns the warnings of an update of a flag.
	said := func(ctx SpecContext, flag *builders.FlagBuilder, change func(*v1alpha1.FeatureFlag)) []string {
		GinkgoHelper()
		stored := flag.Obj()
		Expect(cluster.Create(ctx, stored)).To(Succeed())
		Expect(warned.take()).To(BeEmpty(), "a new flag gives nobody another answer")
		changed := stored.DeepCopy()
		change(changed)
		Expect(cluster.Update(ctx, changed.DeepCopy(), client.DryRunAll)).To(Succeed())
		texts := warned.take()
		Expect(cluster.Update(ctx, changed)).To(Succeed())
		Expect(warned.take()).To(Equal(texts), "a dry run and the update itself say the same")
		return texts
	}
	production := func(flag *v1alpha1.FeatureFlag) *v1alpha1.EnvironmentConfig { return &flag.Spec.Environments[0] }
	flag := func(rules ...*builders.RuleBuilder) *builders.FlagBuilder {
		return builders.MakeFlag("x", namespace).Boolean().Environment("production").Rule(rules...)
	}

	DescribeTable(
		"is a warning",
		func(ctx SpecContext, flag func() *builders.FlagBuilder, change func(*v1alpha1.FeatureFlag), want ...string) {
			Expect(said(ctx, flag(), change)).To(HaveExactElements(want))
		},
		Entry("with the exact share where the same hash decides",
			func() *builders.FlagBuilder { return flag(builders.MakeRule("r").Split("on", 50).Split("off", 50)) },
			func(flag *v1alpha1.FeatureFlag) {
				production(flag).Rules[0].Split = []v1alpha1.SplitEntry{
					{Variation: "on", Weight: 625},
					{Variation: "off", Weight: 375},
				}
			},
			"production: 12.5 % of subjects move from off to on"),
		Entry("of those who match, where a condition decides",
			func() *builders.FlagBuilder {
				return flag(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on"))
			},
			func(flag *v1alpha1.FeatureFlag) {
				production(flag).Rules[0].Conditions[0].Values = []string{"beta", "enterprise"}
			},
			`production: of subjects that newly match rule "beta" 100 % move from off to on`),
		Entry("of those in an audience, of which no member is looked at",
			func() *builders.FlagBuilder {
				return flag(builders.MakeRule("staff").Audiences("staff").Serve("on").Traffic("10%"))
			},
			func(flag *v1alpha1.FeatureFlag) { production(flag).Rules[0].Traffic = "30%" },
			`production: of subjects that match rule "staff" 20 % move from off to on`),
		Entry("with an expected share where another hash decides",
			func() *builders.FlagBuilder { return flag(builders.MakeRule("r").Split("on", 50).Split("off", 50)) },
			func(flag *v1alpha1.FeatureFlag) { production(flag).Rules[0].Salt = "another" },
			"production: about 25 % of subjects move from off to on (expected, because another hash decides)",
			"production: about 25 % of subjects move from on to off (expected, because another hash decides)"),
		Entry("that the flag is switched on",
			func() *builders.FlagBuilder { return flag().Fallthrough("on").Disabled() },
			func(flag *v1alpha1.FeatureFlag) { production(flag).Enabled = true },
			"production: the flag is switched on", "production: 100 % of subjects move from off to on"),
		Entry("that the flag is switched off, by an annotation too",
			func() *builders.FlagBuilder { return flag().Fallthrough("on") },
			func(flag *v1alpha1.FeatureFlag) {
				metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, "production")
			},
			"production: the flag is switched off", "production: 100 % of subjects move from on to off"),
		Entry(
			"that it is archived",
			func() *builders.FlagBuilder { return flag() },
			func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true },
			"the flag is archived: no environment serves it any more, and code gets the default in the code",
		),
		Entry(
			"that it is restored",
			func() *builders.FlagBuilder { return flag().Archived() },
			func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = false },
			"the flag is restored: every environment serves it again, where code got the default in the code",
		),
		Entry(
			"of values and pinned targeting keys",
			func() *builders.FlagBuilder {
				return builders.MakeFlag("x", namespace).Type(v1alpha1.FlagTypeNumber).Variation("low", "1").Variation("high", "2").
					Environment("production").Override("alice", "low").Override("bob", "high")
			},
			func(flag *v1alpha1.FeatureFlag) {
				flag.Spec.Variations[0].Value.Raw = []byte("10")
				production(flag).Overrides[0].Variation = "high"
			},
			`production: variation "low" is 10 and was 1`,
			`production: targeting key "alice" is pinned to "high" in place of "low"`,
		),
		Entry(
			"after what is found wrong",
			func() *builders.FlagBuilder { return flag() },
			func(flag *v1alpha1.FeatureFlag) {
				production(flag).DefaultVariation = "on"
				production(flag).Rules = []v1alpha1.Rule{{Name: "r", Audiences: []string{"missing"}, Variation: "on"}}
			},
			`spec.environments[0].rules[0].audiences[0]: FlagAudience "missing" does not exist, and holds for nobody until it does`,
			"production: 100 % of subjects move from off to on",
		),
	)

	DescribeTable(
		"is nothing",
		func(ctx SpecContext, flag func() *builders.FlagBuilder, change func(*v1alpha1.FeatureFlag)) {
			Expect(said(ctx, flag(), change)).To(BeEmpty())
		},
		Entry("for a description", func() *builders.FlagBuilder { return flag().Fallthrough("on") },
			func(flag *v1alpha1.FeatureFlag) { flag.Spec.Description = "Another." }),
		Entry("for a rule that serves what is served without it", func() *builders.FlagBuilder { return flag() },
			func(flag *v1alpha1.FeatureFlag) {
				production(flag).Rules = []v1alpha1.Rule{{Name: "r", Variation: "off", Conditions: []v1alpha1.Condition{
					builders.MakeCondition("plan", v1alpha1.OperatorIn, "beta"),
				}}}
			}),
		Entry("for a flag that is switched on and serves the same", func() *builders.FlagBuilder { return flag().Disabled() },
			func(flag *v1alpha1.FeatureFlag) { production(flag).Enabled = true }),
		Entry("for a variation that only a rule of nobody serves", func() *builders.FlagBuilder {
			return builders.MakeFlag(
				"x",
				namespace,
			).Type(
				v1alpha1.FlagTypeNumber,
			).Variation(
				"low",
				"1",
			).Environment(
				"production",
			)
		}, func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Variations = append(
				flag.Spec.Variations,
				v1alpha1.Variation{Key: "high", Value: v1alpha1.JSON{Raw: []byte("2")}},
			)
			production(flag).Rules = []v1alpha1.Rule{{Name: "r", Enabled: new(false), Variation: "high"}}
		}),
	)

	It("is said of every environment, also of those without an entry, and of when", func(ctx SpecContext) {
		create(ctx, builders.MakeEnvironment("staging", namespace).Manual().Obj())
		Expect(said(ctx, flag(), func(flag *v1alpha1.FeatureFlag) { flag.Spec.DefaultVariation = "on" })).To(Equal([]string{
			"production: 100 % of subjects move from off to on",
			"staging, once published: 100 % of subjects move from off to on",
		}))
	})

	It("is said of the flags that name a changed audience", func(ctx SpecContext) {
		create(
			ctx,
			flag(builders.MakeRule("staff").Audiences("staff").Serve("on").Traffic("10%")).Obj(),
			builders.MakeFlag(
				"y",
				namespace,
			).Boolean().Environment(
				"production",
			).Rule(
				builders.MakeRule("r").Audiences("staff").Serve("off"),
			).Obj(),
		)
		staff := &v1alpha1.FlagAudience{}
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "staff"}, staff)).To(Succeed())

		staff.Spec.DisplayName = "Staff"
		Expect(cluster.Update(ctx, staff, client.DryRunAll)).To(Succeed())
		Expect(warned.take()).To(BeEmpty())

		staff.Spec.Members = []string{"bob", "carol"}
		Expect(cluster.Update(ctx, staff)).To(Succeed())
		Expect(warned.take()).To(Equal([]string{
			`production: flag "x": of subjects that newly match rule "staff" 10 % move from off to on`,
			`production: flag "x": of subjects that no longer match rule "staff" 10 % move from on to off`,
		}))
	})

	It("is said of no flag whose key another flag holds", func(ctx SpecContext) {
		create(ctx, flag().Obj())
		second := builders.MakeFlag("y", namespace).Key("x").Boolean().Environment("production").Obj()
		create(ctx, second)
		first := readFlag(ctx, namespace, "x")
		held := second // Objects of the same second are ordered by their UIDs.
		if first.CreationTimestamp.Equal(&second.CreationTimestamp) && second.UID < first.UID {
			held = first
		}
		production(held).DefaultVariation = "on"
		Expect(cluster.Update(ctx, held)).To(Succeed())
		Expect(warned.take()).To(ConsistOf(HavePrefix("spec.key: ")))
	})

	It("leaves room for every environment, production first", func(ctx SpecContext) {
		create(
			ctx,
			builders.MakeEnvironment("demo", namespace).Obj(),
			builders.MakeEnvironment("live", namespace).Production().Obj(),
		)
		large := builders.MakeFlag("x", namespace).Boolean()
		for _, environment := range []string{"demo", "live"} {
			large.Environment(environment)
			for i := range 100 {
				large.Rule(
					builders.MakeRule(
						fmt.Sprintf("rule-%d", i),
					).Split(
						"on",
						1,
					).Split(
						"off",
						1,
					).Condition(
						"n",
						v1alpha1.OperatorIn,
						strconv.Itoa(i),
					),
				)
			}
		}
		texts := said(ctx, large, func(flag *v1alpha1.FeatureFlag) {
			for i := range flag.Spec.Environments {
				for j := range flag.Spec.Environments[i].Rules {
					flag.Spec.Environments[i].Rules[j].Split = []v1alpha1.SplitEntry{
						{Variation: "on", Weight: 75}, {Variation: "off", Weight: 25},
					}
				}
			}
		})
		Expect(texts).To(HaveLen(12))
		Expect(texts[0]).To(Equal(`live: of subjects that match rule "rule-0" 25 % move from off to on`))
		Expect(texts[5]).To(Equal("live: and 96 more; jackstaff diff says all"))
		Expect(texts[6]).To(Equal(`demo: of subjects that match rule "rule-0" 25 % move from off to on`))
	})
})
