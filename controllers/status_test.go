// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// haveCondition matches the condition of a type by status, reason and a part of its message.
func haveCondition(
	conditionType string,
	status metav1.ConditionStatus,
	reason, message string,
) gomegatypes.GomegaMatcher {
	return ContainElement(And(HaveField("Type", conditionType), HaveField("Status", status),
		HaveField("Reason", reason), HaveField("Message", ContainSubstring(message))))
}

var _ = Describe("Statuses", func() {
	var namespace string
	ctx := context.Background()

	BeforeEach(func() {
		namespace = makeNamespace()
		startOperator()
	})

	It("heal where a flag was applied before what it refers to", func() {
		flag := builders.MakeFlag("checkout", namespace).Boolean().Environment("production").
			Prerequisite("payments", "on").
			Rule(builders.MakeRule("beta").ABTest("purchase").Audiences("testers").Serve("on")).Obj()
		create(flag)
		Eventually(func(g Gomega) {
			conditions := fetch(g, flag).Status.Conditions
			for _, missing := range []string{
				`spec.environments[0].name: FlagEnvironment "production"`, `spec.environments[0].prerequisites[0].flag: no FeatureFlag has the key "payments"`,
				`spec.environments[0].rules[0].audiences[0]: FlagAudience "testers"`, `spec.environments[0].rules[0].metrics[0]: no FlagEvent has the key "purchase"`,
			} {
				g.Expect(
					conditions,
				).To(
					haveCondition(v1alpha1.ResolvedRefsCondition, metav1.ConditionFalse, v1alpha1.NotFoundReason, missing),
				)
			}
			g.Expect(
				conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.NotReadyReason, "ResolvedRefs"),
			)
		}).Should(Succeed())

		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("payments", namespace),
			builders.MakeAudience("testers", namespace).Members("alice").Obj(), builders.MakeEvent("purchase", namespace).Obj())
		Eventually(func(g Gomega) {
			status := fetch(g, flag).Status
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""),
			)
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionTrue, v1alpha1.PublishedReason, "production"),
			)
			g.Expect(status.Summary).To(Equal("production=mixed"))
			g.Expect(status.Phase).To(Equal(v1alpha1.PhaseActive))
			document := datafileOf(g, namespace, "production").Data["datafile.json"]
			g.Expect(document).To(ContainSubstring(`"testers":{"members":["alice"]}`))
			g.Expect(document).To(ContainSubstring(`"purchase":{"type":"Conversion"}`))
		}).Should(Succeed())
	})

	It("tell of a variation that another flag requires and that is removed", func() {
		other := onFlag("payments", namespace)
		other.Spec.Type, other.Spec.Variations = v1alpha1.FlagTypeString, []v1alpha1.Variation{
			{Key: "off", Value: v1alpha1.JSON{Raw: []byte(`"a"`)}},
			{Key: "on", Value: v1alpha1.JSON{Raw: []byte(`"b"`)}},
			{Key: "new", Value: v1alpha1.JSON{Raw: []byte(`"c"`)}},
		}
		flag := builders.MakeFlag(
			"checkout",
			namespace,
		).Boolean().Environment(
			"production",
		).Prerequisite(
			"payments",
			"new",
		).Obj()
		create(builders.MakeEnvironment("production", namespace).Obj(), other, flag)
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, flag).Status.Conditions,
			).To(
				haveCondition(v1alpha1.ResolvedRefsCondition, metav1.ConditionTrue, v1alpha1.ResolvedReason, ""),
			)
		}).Should(Succeed())
		edit(other, func(flag *v1alpha1.FeatureFlag) { flag.Spec.Variations = flag.Spec.Variations[:2] })
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, flag).Status.Conditions,
			).To(
				haveCondition(v1alpha1.ResolvedRefsCondition, metav1.ConditionFalse, v1alpha1.NotFoundReason, `no variation "new"`),
			)
		}).Should(Succeed())
	})

	It("say which flags use an audience and measure an event, and stop saying so", func() {
		audience, event := builders.MakeAudience(
			"testers",
			namespace,
		).Members(
			"alice",
			"bob",
		).Obj(), builders.MakeEvent(
			"purchase",
			namespace,
		).Obj()
		flags := []*v1alpha1.FeatureFlag{}
		for _, name := range []string{"search", "checkout"} {
			flags = append(
				flags,
				builders.MakeFlag(name, namespace).Key(strings.ToUpper(name)).Boolean().Environment("production").
					Rule(builders.MakeRule("beta").ABTest("purchase").Audiences("testers").Serve("on")).Obj(),
			)
		}
		create(audience, event, flags[0], flags[1])
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, audience).Status,
			).To(
				And(
					HaveField("UsedBy", HaveExactElements("CHECKOUT", "SEARCH")),
					HaveField("UsedByCount", int32(2)),
					HaveField(
						"Members",
						int32(2),
					),
					HaveField("Conditions", haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, "")),
				),
			)
			g.Expect(
				fetch(g, event).Status,
			).To(
				And(HaveField("UsedBy", HaveExactElements("CHECKOUT", "SEARCH")), HaveField("UsedByCount", int32(2))),
			)
		}).Should(Succeed())
		edit(flags[0], func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true })
		Expect(k8s.Delete(ctx, flags[1])).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, audience).Status.UsedByCount).To(BeZero())
			g.Expect(fetch(g, event).Status.UsedBy).To(BeEmpty())
		}).Should(Succeed())
	})

	It("tell of a key that an older flag holds, until that one is gone", func() {
		older := onFlag("older", namespace)
		older.Spec.Key = "checkout"
		create(builders.MakeEnvironment("production", namespace).Obj(), older)
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		// The API server's creation times have whole seconds; the names of UIDs decide within one.
		Eventually(func(g Gomega) {
			g.Expect(time.Since(older.CreationTimestamp.Time)).To(BeNumerically(">", time.Second))
		}).Should(Succeed())
		younger := builders.MakeFlag(
			"younger",
			namespace,
		).Key(
			"checkout",
		).Boolean().Environment(
			"production",
		).Disabled().Obj()
		create(younger)
		Eventually(func(g Gomega) {
			conditions := fetch(g, younger).Status.Conditions
			g.Expect(
				conditions,
			).To(
				haveCondition(v1alpha1.AcceptedCondition, metav1.ConditionFalse, v1alpha1.KeyTakenReason, `"older"`),
			)
			g.Expect(
				conditions,
			).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionFalse, v1alpha1.KeyTakenReason, `"older"`),
			)
		}).Should(Succeed())
		isServed(Default, namespace, "production", "checkout", true)
		Expect(k8s.Delete(ctx, older)).To(Succeed())
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", false)
			g.Expect(
				fetch(g, younger).Status.Conditions,
			).To(
				haveCondition(v1alpha1.AcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason, ""),
			)
		}).Should(Succeed())
	})

	It("keep the last good form of a broken flag, name it, and let the others go on", func() {
		create(
			builders.MakeEnvironment("production", namespace).Obj(),
			onFlag("checkout", namespace),
			onFlag("search", namespace),
		)
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", true)
			isServed(g, namespace, "production", "search", true)
		}).Should(Succeed())
		// No webhook runs in this suite, so that a mistake gets through as one would that an older version let in.
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Environments[0].Enabled = false
			flag.Spec.Environments[0].Rules = []v1alpha1.Rule{{Name: "broken", Variation: "on",
				Conditions: []v1alpha1.Condition{{Attribute: "email", Operator: v1alpha1.OperatorMatches, Values: []string{"("}}}}}
		})
		edit(onFlag("search", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		environment := builders.MakeEnvironment("production", namespace).Obj()
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", true)
			isServed(g, namespace, "production", "search", false)
			status := fetch(g, environment).Status
			g.Expect(status.Flags).To(Equal(v1alpha1.FlagCounts{Total: 2, LastGood: 1}))
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.CompiledCondition, metav1.ConditionFalse, v1alpha1.LastGoodReason, "flags checkout"),
			)
			conditions := fetch(g, onFlag("checkout", namespace)).Status.Conditions
			g.Expect(
				conditions,
			).To(
				haveCondition(
					v1alpha1.AcceptedCondition,
					metav1.ConditionFalse,
					v1alpha1.InvalidReason,
					"spec.environments[0].rules[0].conditions[0].values[0]",
				),
			)
			g.Expect(
				conditions,
			).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionFalse, v1alpha1.LastGoodReason, "production"),
			)
		}).Should(Succeed())
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Rules = nil })
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", false)
			g.Expect(
				fetch(g, environment).Status.Conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""),
			)
		}).Should(Succeed())
	})

	It("tell of a flag that flagd cannot express, which the native document has all the same", func() {
		flag := builders.MakeFlag("checkout", namespace).Boolean().Environment("production").
			Rule(builders.MakeRule("staff").Condition("email", v1alpha1.OperatorMatches, "@example[.]com$").Serve("on")).Obj()
		create(builders.MakeEnvironment("production", namespace).Obj(), flag, onFlag("search", namespace))
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, flag).Status.Conditions,
			).To(
				haveCondition(
					v1alpha1.FlagdCompatibleCondition,
					metav1.ConditionFalse,
					v1alpha1.NotExpressibleReason,
					"production",
				),
			)
			configMap := datafileOf(g, namespace, "production")
			g.Expect(flagIn(g, configMap, "checkout")).NotTo(BeNil())
			g.Expect(configMap.Data["flagd.json"]).NotTo(ContainSubstring("checkout"))
			g.Expect(configMap.Data["flagd.json"]).To(ContainSubstring("search"))
		}).Should(Succeed())
	})

	It("tell what is served, not what is wanted, of a frozen environment and of one that does not exist", func() {
		environment, flag := builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace)
		create(environment, flag)
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, flag).Status.Conditions).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionTrue, v1alpha1.PublishedReason, "production"))
		}).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = true })
		edit(flag, func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			status := fetch(g, flag).Status
			g.Expect(status.Conditions).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionFalse, v1alpha1.SuspendedReason, "production"))
			g.Expect(status.Conditions).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""))
			g.Expect(status.Summary).To(Equal("production=on→off (frozen)"))
			g.Expect(status.Environments).To(HaveExactElements(And(
				HaveField("Wanted.Enabled", false), HaveField("Served.Enabled", true), HaveField("Served.Revision", int64(1)),
			)))
		}).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = false })
		edit(flag, func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Environments = append(flag.Spec.Environments, v1alpha1.EnvironmentConfig{Name: "prod", Enabled: true})
		})
		Eventually(func(g Gomega) {
			status := fetch(g, flag).Status
			g.Expect(status.Conditions).To(haveCondition(v1alpha1.PublishedCondition, metav1.ConditionFalse,
				v1alpha1.EnvironmentNotFoundReason, `did you mean "production"?`))
			g.Expect(status.Summary).To(HavePrefix("production=off prod=none→"))
		}).Should(Succeed())
	})

	It("follow a schedule by themselves", func() {
		scheduled := func(at time.Time) *v1alpha1.FeatureFlag {
			return builders.MakeFlag("launch", namespace).Boolean().
				Environment("production").Fallthrough("on").Schedule(at, time.Time{}).Obj()
		}
		flag := scheduled(time.Now().Add(time.Hour).Truncate(time.Second))
		create(builders.MakeEnvironment("production", namespace).Obj(), flag)
		Eventually(func(g Gomega) { g.Expect(fetch(g, flag).Status.Summary).To(Equal("production=off")) }).Should(Succeed())
		at := time.Now().Add(3 * time.Second).Truncate(time.Second)
		edit(flag, func(flag *v1alpha1.FeatureFlag) { flag.Spec = scheduled(at).Spec })
		Eventually(func(g Gomega) { g.Expect(fetch(g, flag).Status.Summary).To(Equal("production=on")) }).Should(Succeed())
		Expect(time.Now()).To(BeTemporally(">=", at))
	})

	It("are told of by events, also where there is much to tell", func() {
		flag := builders.MakeFlag("checkout", namespace).Boolean().Environment("production")
		for i := range 50 {
			flag.Rule(builders.MakeRule(fmt.Sprint("rule-", i)).Condition("email", v1alpha1.OperatorMatches, "(").Serve("on"))
		}
		create(builders.MakeEnvironment("production", namespace).Obj(), flag.Obj())
		Eventually(func(g Gomega) {
			g.Expect(
				eventsOf(g, namespace, v1alpha1.InvalidReason),
			).To(
				ContainElement(HaveField("Note", And(HavePrefix("Accepted is False"), HaveSuffix("…")))),
			)
		}).Should(Succeed())
	})

	It("say why no reader would take a datafile, while the last good one is served", func() {
		environment := builders.MakeEnvironment("production", namespace).Obj()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		// Some text makes many objects in every reader's memory, and compresses to little.
		objects := `{"all":[{}` + strings.Repeat(",{}", 240_000) + `]}`
		for i := range 5 {
			create(builders.MakeFlag(fmt.Sprint("hungry-", i), namespace).Type(v1alpha1.FlagTypeJSON).
				Variation("many", objects).DefaultVariation("many").Environment("production").Obj())
		}
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.Conditions).To(
				haveCondition(
					v1alpha1.PublishedCondition,
					metav1.ConditionFalse,
					v1alpha1.DatafileUnreadableReason,
					"objects",
				),
			)
		}).WithTimeout(2 * time.Minute).Should(Succeed())
		Expect(
			flagIn(Default, datafileOf(Default, namespace, "production"), "checkout"),
		).To(
			HaveKeyWithValue("enabled", true),
		)
		Expect(k8s.Delete(ctx, builders.MakeFlag("hungry-0", namespace).Obj())).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(flagIn(g, datafileOf(g, namespace, "production"), "hungry-4")).To(HaveKeyWithValue("enabled", true))
			g.Expect(
				fetch(g, environment).Status.Conditions,
			).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionTrue, v1alpha1.PublishedReason, ""),
			)
		}).WithTimeout(2 * time.Minute).Should(Succeed())
	})

	It("say why a datafile is too large, and what is largest in it, while the last good one is served", func() {
		environment := builders.MakeEnvironment("production", namespace).Spec(func(spec *v1alpha1.FlagEnvironmentSpec) {
			spec.Datafile.Compression = v1alpha1.CompressionNever
		}).Obj()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		for i := range 3 {
			create(builders.MakeFlag(fmt.Sprintf("large-%d", i), namespace).Type(v1alpha1.FlagTypeString).
				Variation("text", `"`+strings.Repeat("x", 400<<10)+`"`).DefaultVariation("text").Obj())
		}
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.Conditions).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionFalse, v1alpha1.DatafileTooLargeReason, "large-0 (409"))
		}).Should(Succeed())
		isServed := func(g Gomega) {
			g.Expect(flagIn(g, datafileOf(g, namespace, "production"), "checkout")).To(HaveKeyWithValue("enabled", true))
		}
		isServed(Default)
		Expect(k8s.Delete(ctx, datafileOf(Default, namespace, "production"))).To(Succeed())
		Eventually(isServed).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Datafile.Compression = v1alpha1.CompressionAuto
		})
		Eventually(func(g Gomega) {
			status := fetch(g, environment).Status
			g.Expect(status.Datafile.Compressed).To(BeTrue())
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.PublishedCondition, metav1.ConditionTrue, v1alpha1.PublishedReason, ""),
			)
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.FlagdPublishedCondition, metav1.ConditionFalse, v1alpha1.DatafileTooLargeReason, "flagd"),
			)
		}).Should(Succeed())
	})
})
