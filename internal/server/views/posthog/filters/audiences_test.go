// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"encoding/json"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// A rule of two audiences is shown as two groups. Its salt decides who gets what, and its metrics are what the test is
// for: an edit of the groups must not leave the people of one audience without them.
var _ = DescribeTable("The groups of a rule with several audiences",
	func(change func([]Group) []Group, refused string, want ...func(*v1alpha1.Rule)) {
		flag := builders.MakeFlag("f", "shop").Boolean().Environment("production").Rule(
			builders.MakeRule("r").ABTest("purchase").Audiences("beta", "staff").Traffic("10%").Salt("s").
				Condition("plan", v1alpha1.OperatorIn, "x").Serve("on"),
		).Defaulted().Obj()
		flag.UID = "there-is-such-a-flag"
		shows := around(false).DescribeFlag(flag, "production")
		Expect(shows.Filters.Groups).To(HaveLen(2))
		sent := Filters{}
		text := Canonical(Filters{Groups: change(slices.Clone(shows.Filters.Groups))})
		Expect(json.Unmarshal([]byte(text), &sent)).To(Succeed())
		rule := server.Part(flag.DeepCopy(), "production").Rules[0]
		w := &Writer{
			Flag: flag, Config: server.Part(flag, "production"), Filters: &sent, Shown: shows,
			References: References{Audience: func(id string) string {
				return map[string]string{"7": "beta", "8": "staff", "9": "friends"}[id]
			}},
		}
		w.Write()
		if refused != "" {
			Expect(w.Mistakes).To(ConsistOf(HaveField("Field", refused)))
			return
		}
		Expect(w.Mistakes).To(BeEmpty())
		var rules []v1alpha1.Rule
		for _, change := range want {
			expected := *rule.DeepCopy()
			change(&expected)
			rules = append(rules, expected)
		}
		Expect(w.Config.Rules).To(Equal(rules))
	},
	Entry("as they are shown", func(g []Group) []Group { return g }, "", func(*v1alpha1.Rule) {}),
	Entry("another share for both", func(g []Group) []Group {
		g[0].RolloutPercentage, g[1].RolloutPercentage = new(20.0), new(20.0)
		return g
	}, "", func(rule *v1alpha1.Rule) { rule.Traffic = "20%" }),
	Entry("another audience for one", func(g []Group) []Group {
		g[1].Properties = slices.Clone(g[1].Properties)
		g[1].Properties[0].Value = 9
		return g
	}, "", func(rule *v1alpha1.Rule) { rule.Audiences = []string{"beta", "friends"} }),
	Entry("one more audience", func(g []Group) []Group {
		third := g[1]
		third.Properties = slices.Clone(third.Properties)
		third.Properties[0].Value = 9
		return append(g, third)
	}, "", func(rule *v1alpha1.Rule) { rule.Audiences = []string{"beta", "staff", "friends"} }),
	Entry("one audience less", func(g []Group) []Group { return g[1:] }, "",
		func(rule *v1alpha1.Rule) { rule.Audiences = []string{"staff"} }),
	Entry("another share for one", func(g []Group) []Group {
		g[1].RolloutPercentage = new(20.0)
		return g
	}, "filters.groups[1].sort_key"),
	Entry("another share for the first", func(g []Group) []Group {
		g[0].RolloutPercentage = new(20.0)
		return g
	}, "filters.groups[1].sort_key"),
	Entry("a test more for one", func(g []Group) []Group {
		g[1].Properties = append(slices.Clone(g[1].Properties), Property{Key: "age", Operator: "is_set"})
		return g
	}, "filters.groups[1].sort_key"),
	Entry("another group between them", func(g []Group) []Group {
		return []Group{g[0], {RolloutPercentage: new(5.0), Properties: []Property{{Key: "a", Operator: "is_set"}}}, g[1]}
	}, "filters.groups[2].sort_key"),
	Entry("one that has no name is a rule of its own", func(g []Group) []Group {
		g[1].SortKey, g[1].RolloutPercentage = "", new(20.0)
		return g
	}, "", func(rule *v1alpha1.Rule) { rule.Audiences = []string{"beta"} }, func(rule *v1alpha1.Rule) {
		*rule = v1alpha1.Rule{
			Name: "group-2", Enabled: new(true), Audiences: []string{"staff"}, Variation: "on", Traffic: "20%",
			Conditions: []v1alpha1.Condition{builders.MakeCondition("plan", v1alpha1.OperatorEqualFold, "x")},
		}
	}),
)
