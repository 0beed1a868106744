// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// around is an environment with two other flags and an audience.
func around(local bool) *Surroundings {
	others := map[string]*datafile.Flag{
		"boolean": compiled(
			builders.MakeFlag("boolean", "shop").Boolean().Environment("production").Prerequisite("variants", "b"),
		),
		"variants": compiled(
			builders.MakeFlag(
				"variants",
				"shop",
			).Type(
				v1alpha1.FlagTypeString,
			).Variation(
				"a",
				`"A"`,
			).Variation(
				"b",
				`"B"`,
			).Variation(
				"c",
				`"C"`,
			).DefaultVariation(
				"a",
			).Environment(
				"production",
			),
		),
	}
	return &Surroundings{
		Local: local,
		Flag:  func(key string) *datafile.Flag { return others[key] },
		Cohort: func(name string) int64 {
			return map[string]int64{"beta": 7, "staff": 8}[name]
		},
		Audience: func(name string) *datafile.Audience {
			return map[string]*datafile.Audience{
				"beta": {Members: []string{"u-1"}},
				"staff": {Groups: []datafile.Group{{
					Conditions: []datafile.Condition{{Attribute: "age", Operator: datafile.GreaterThan, Values: []string{"18"}}},
				}}},
			}[name]
		},
	}
}

func compiled(flag *builders.FlagBuilder) *datafile.Flag {
	form, err := compile.Flag(flag.Defaulted().Obj(), "production")
	Expect(err).NotTo(HaveOccurred())
	return form
}

func boolean() *builders.FlagBuilder {
	return builders.MakeFlag("f", "shop").Boolean().Bucketing(v1alpha1.BucketingPostHogSHA1).Environment("production")
}

func words(bucketing v1alpha1.Bucketing) *builders.FlagBuilder {
	return builders.MakeFlag(
		"f",
		"shop",
	).Type(
		v1alpha1.FlagTypeString,
	).Variation(
		"off",
		`"false"`,
	).Variation(
		"a",
		`"A"`,
	).Variation(
		"b",
		`"B"`,
	).DefaultVariation(
		"off",
	).
		Bucketing(
			bucketing,
		).Environment(
		"production",
	)
}

var _ = DescribeTable(
	"A condition for clients that evaluate",
	func(condition v1alpha1.Condition, want, remote string) {
		property, why := (&Surroundings{Local: true}).Property(&datafile.Condition{
			Attribute: condition.Attribute, Operator: datafile.Operator(condition.Operator), Values: condition.Values,
		})
		Expect(Canonical(property)).To(MatchJSON(want))
		Expect(why).To(ContainSubstring(remote))
		if remote == "" {
			Expect(why).To(BeEmpty())
		}
	},
	Entry(
		"In with case",
		builders.MakeCondition("plan", v1alpha1.OperatorIn, "beta", "a.b"),
		`{"key":"plan","type":"person","value":"^(?:beta|a\\.b)$","operator":"regex"}`,
		"",
	),
	Entry(
		"In without case",
		builders.MakeCondition("n", v1alpha1.OperatorIn, "1", "2"),
		`{"key":"n","type":"person","value":["1","2"],"operator":"exact"}`,
		"",
	),
	Entry(
		"In, a number in another form",
		builders.MakeCondition("n", v1alpha1.OperatorIn, "1.0"),
		`{"key":"n","type":"person","value":["1.0"],"operator":"exact"}`,
		"as a number",
	),
	Entry(
		"In outside ASCII",
		builders.MakeCondition("n", v1alpha1.OperatorIn, "é"),
		`{"key":"n","type":"person","value":"^(?:é)$","operator":"regex"}`,
		"characters",
	),
	Entry(
		"In, too many",
		builders.MakeCondition("n", v1alpha1.OperatorIn, strings.Repeat("x", maxExpression+1)),
		`{"key":"n","type":"person","value":"^(?:`+strings.Repeat(
			"x",
			maxExpression+1,
		)+`)$","operator":"regex"}`,
		"too many",
	),
	Entry(
		"NotIn",
		builders.MakeCondition("plan", v1alpha1.OperatorNotIn, "beta"),
		`{"key":"plan","type":"person","value":"^(?:beta)$","operator":"not_regex"}`,
		"null in plan",
	),
	Entry(
		"the targeting key",
		builders.MakeCondition("targetingKey", v1alpha1.OperatorIn, "u-1"),
		`{"key":"distinct_id","type":"person","value":"^(?:u-1)$","operator":"regex"}`,
		"",
	),
	Entry(
		"an attribute distinct_id",
		builders.MakeCondition("distinct_id", v1alpha1.OperatorExists),
		`{"key":"distinct_id","type":"person","value":"is_set","operator":"is_set"}`,
		"need not be",
	),
	Entry(
		"inside",
		builders.MakeCondition("a.b", v1alpha1.OperatorExists),
		`{"key":"a.b","type":"person","value":"is_set","operator":"is_set"}`,
		"inside",
	),
	Entry(
		"EqualFold",
		builders.MakeCondition("plan", v1alpha1.OperatorEqualFold, "Beta"),
		`{"key":"plan","type":"person","value":["Beta"],"operator":"exact"}`,
		"",
	),
	Entry(
		"EqualFold of a number",
		builders.MakeCondition("plan", v1alpha1.OperatorEqualFold, "5"),
		`{"key":"plan","type":"person","value":["5"],"operator":"exact"}`,
		"as text only",
	),
	Entry(
		"EqualFold of a boolean",
		builders.MakeCondition("plan", v1alpha1.OperatorNotEqualFold, "True"),
		`{"key":"plan","type":"person","value":["True"],"operator":"is_not"}`,
		"as text only",
	),
	Entry(
		"ContainsFold",
		builders.MakeCondition("plan", v1alpha1.OperatorContainsFold, "x"),
		`{"key":"plan","type":"person","value":"x","operator":"icontains"}`,
		"",
	),
	Entry(
		"ContainsFold of two",
		builders.MakeCondition("plan", v1alpha1.OperatorNotContainsFold, "x", "y"),
		`{"key":"plan","type":"person","value":["x","y"],"operator":"not_icontains"}`,
		"more than one",
	),
	Entry(
		"Contains",
		builders.MakeCondition("plan", v1alpha1.OperatorContains, "x", "y"),
		`{"key":"plan","type":"person","value":"(?:x|y)","operator":"regex"}`,
		"",
	),
	Entry(
		"NotStartsWith",
		builders.MakeCondition("plan", v1alpha1.OperatorNotStartsWith, "x"),
		`{"key":"plan","type":"person","value":"^(?:x)","operator":"not_regex"}`,
		"null in plan",
	),
	Entry(
		"EndsWith",
		builders.MakeCondition("plan", v1alpha1.OperatorEndsWith, "x"),
		`{"key":"plan","type":"person","value":"(?:x)$","operator":"regex"}`,
		"",
	),
	Entry(
		"DoesNotExist",
		builders.MakeCondition("plan", v1alpha1.OperatorDoesNotExist),
		`{"key":"plan","type":"person","value":"is_not_set","operator":"is_not_set"}`,
		"",
	),
	Entry(
		"LessThanOrEqual",
		builders.MakeCondition("age", v1alpha1.OperatorLessThanOrEqual, "18"),
		`{"key":"age","type":"person","value":18,"operator":"lte"}`,
		"text in age is compared with a number",
	),
	Entry(
		"Before",
		builders.MakeCondition("at", v1alpha1.OperatorBefore, "2027-01-01T00:00:00Z"),
		`{"key":"at","type":"person","value":"2027-01-01T00:00:00Z","operator":"is_date_before"}`,
		"dates without a time or zone",
	),
	Entry(
		"Matches",
		builders.MakeCondition("plan", v1alpha1.OperatorMatches, `^a\d+$`),
		`{"key":"plan","type":"person","value":"^a\\d+$","operator":"regex"}`,
		"",
	),
	Entry(
		"Matches with a class of Go's",
		builders.MakeCondition("plan", v1alpha1.OperatorMatches, `\pL`),
		`{"key":"plan","type":"person","value":"\\pL","operator":"regex"}`,
		"different ways",
	),
	Entry(
		"Matches with flags",
		builders.MakeCondition("plan", v1alpha1.OperatorNotMatches, `(?s)a.b`),
		`{"key":"plan","type":"person","value":"(?s)a.b","operator":"not_regex"}`,
		"different ways",
	),
	Entry(
		"starts_with",
		builders.MakeCondition("plan", v1alpha1.OperatorMatches, `(?i)^a\.b`),
		`{"key":"plan","type":"person","value":"a.b","operator":"starts_with"}`,
		"",
	),
	Entry(
		"not_ends_with",
		builders.MakeCondition("plan", v1alpha1.OperatorNotMatches, `(?i)x\$$`),
		`{"key":"plan","type":"person","value":"x$","operator":"not_ends_with"}`,
		"null in plan",
	),
	Entry(
		"NotIn without case",
		builders.MakeCondition("n", v1alpha1.OperatorNotIn, "1", "2"),
		`{"key":"n","type":"person","value":["1","2"],"operator":"is_not"}`,
		"",
	),
	Entry(
		"NotEqualFold",
		builders.MakeCondition("plan", v1alpha1.OperatorNotEqualFold, "beta"),
		`{"key":"plan","type":"person","value":["beta"],"operator":"is_not"}`,
		"",
	),
	Entry(
		"Exists",
		builders.MakeCondition("plan", v1alpha1.OperatorExists),
		`{"key":"plan","type":"person","value":"is_set","operator":"is_set"}`,
		"null in plan",
	),
	Entry(
		"the targeting key, which is never null",
		builders.MakeCondition("targetingKey", v1alpha1.OperatorNotContainsFold, "1"),
		`{"key":"distinct_id","type":"person","value":"1","operator":"not_icontains"}`,
		"",
	),
	Entry(
		"the targeting key as a number",
		builders.MakeCondition("targetingKey", v1alpha1.OperatorGreaterThan, "1"),
		`{"key":"distinct_id","type":"person","value":1,"operator":"gt"}`,
		"text in distinct_id",
	),
	Entry(
		"In, a text that null is read as",
		builders.MakeCondition("plan", v1alpha1.OperatorIn, "null", "beta"),
		`{"key":"plan","type":"person","value":"^(?:null|beta)$","operator":"regex"}`,
		`"null"`,
	),
	Entry(
		"EqualFold of a text that a number is read as",
		builders.MakeCondition("plan", v1alpha1.OperatorEqualFold, "1E21"),
		`{"key":"plan","type":"person","value":["1E21"],"operator":"exact"}`,
		`"1E21"`,
	),
	Entry(
		"SemVerLessThan",
		builders.MakeCondition("v", v1alpha1.OperatorSemVerLessThan, "1.2.3"),
		`{"key":"v","type":"person","value":"1.2.3","operator":"semver_lt"}`,
		"before a release",
	),
	Entry(
		"SemVerTilde",
		builders.MakeCondition("v", v1alpha1.OperatorSemVerTilde, "1.2.3"),
		`{"key":"v","type":"person","value":["1.2.3"],"operator":"SemVerTilde"}`,
		"no operator",
	),
	Entry(
		"InCIDR",
		builders.MakeCondition("ip", v1alpha1.OperatorInCIDR, "10.0.0.0/8"),
		`{"key":"ip","type":"person","value":["10.0.0.0/8"],"operator":"InCIDR"}`,
		"no operator",
	),
)

var _ = DescribeTable(
	"A test of text, which clients also make of numbers, booleans and null",
	func(operator datafile.Operator, value string, asked bool) {
		_, remote := (&Surroundings{Local: true}).Property(
			&datafile.Condition{Attribute: "p", Operator: operator, Values: []string{value}},
		)
		Expect(remote).To(WithTransform(func(reason string) bool { return reason != "" }, Equal(asked)))
	},
	Entry("digits", datafile.ContainsFold, "1", true),
	Entry("a point", datafile.ContainsFold, ".", true),
	Entry("an exponent", datafile.ContainsFold, "E+2", true),
	Entry("part of a boolean", datafile.ContainsFold, "AL", true),
	Entry("part of null", datafile.ContainsFold, "ul", true),
	Entry("nothing", datafile.ContainsFold, "", true),
	Entry("a word", datafile.ContainsFold, "et", false),
	Entry("a word with digits", datafile.ContainsFold, "b1", false),
	Entry("a start with digits", datafile.StartsWith, "1", true),
	Entry("a start", datafile.StartsWith, "be", false),
	Entry("an end with digits", datafile.EndsWith, "0", true),
	Entry("an end", datafile.EndsWith, ".com", false),
	Entry("a part with digits", datafile.Contains, "18", true),
	Entry("digits by an expression", datafile.Matches, `\d+$`, true),
	Entry("anything", datafile.Matches, `^`, true),
	Entry("any character", datafile.Matches, `^.b?$`, true),
	Entry("a boolean", datafile.Matches, `^tr`, true),
	Entry("either", datafile.Matches, `^(?:beta|1)$`, true),
	Entry("perhaps", datafile.Matches, `^(?:beta)?\d`, true),
	Entry("a class with digits", datafile.Matches, `[a-z0-9]`, true),
	Entry("a word by an expression", datafile.Matches, `^a\.b[0-4]$`, false),
	Entry("one of two words", datafile.Matches, `^(?:beta|gamma)$`, false),
	Entry("a class without digits", datafile.Matches, `^[b-d]+\d`, false),
	Entry("a class with the letter of exponents", datafile.Matches, `^\d[b-f]`, true),
	Entry("repeated", datafile.Matches, `^(?:x){2}\d`, false),
	Entry("perhaps repeated", datafile.Matches, `^(?:x){0,2}\d`, true),
)

var _ = DescribeTable(
	"A property of a request",
	func(text string, want v1alpha1.Condition, wrong string) {
		property := Property{}
		Expect(json.Unmarshal([]byte(text), &property)).To(Succeed())
		got, field, err := condition(&property)
		Expect(field).To(Equal(wrong))
		if wrong != "" {
			Expect(err).To(HaveOccurred())
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(Equal(want))
		shows, _ := (&Surroundings{}).Property(
			&datafile.Condition{Attribute: got.Attribute, Operator: datafile.Operator(got.Operator), Values: got.Values},
		)
		again, _, err := condition(&Property{Key: shows.Key, Operator: shows.Operator, Value: throughJSON(shows.Value)})
		Expect(err).NotTo(HaveOccurred())
		Expect(again).To(Equal(want), "what is shown of a condition makes the condition")
	},
	Entry(
		"without an operator",
		`{"key":"plan","value":"Beta"}`,
		builders.MakeCondition("plan", v1alpha1.OperatorEqualFold, "Beta"),
		"",
	),
	Entry(
		"a number",
		`{"key":"n","value":5,"operator":"exact"}`,
		builders.MakeCondition("n", v1alpha1.OperatorIn, "5"),
		"",
	),
	Entry(
		"booleans",
		`{"key":"n","value":[true,"false"],"operator":"is_not"}`,
		builders.MakeCondition("n", v1alpha1.OperatorNotIn, "true", "false"),
		"",
	),
	Entry("mixed", `{"key":"n","value":["x",5],"operator":"exact"}`, v1alpha1.Condition{}, "value"),
	Entry("nothing", `{"key":"n","value":[],"operator":"exact"}`, v1alpha1.Condition{}, "value"),
	Entry("null", `{"key":"n","value":null,"operator":"exact"}`, v1alpha1.Condition{}, "value"),
	Entry("an object", `{"key":"n","value":{"a":1},"operator":"exact"}`, v1alpha1.Condition{}, "value"),
	Entry(
		"distinct_id",
		`{"key":"distinct_id","value":["Alice"],"operator":"is_not"}`,
		builders.MakeCondition("targetingKey", v1alpha1.OperatorNotEqualFold, "Alice"),
		"",
	),
	Entry("a dot", `{"key":"a.b","value":"x"}`, v1alpha1.Condition{}, "key"),
	Entry(
		"is_set",
		`{"key":"a","operator":"is_set","value":"is_set"}`,
		builders.MakeCondition("a", v1alpha1.OperatorExists),
		"",
	),
	Entry(
		"is_not_set",
		`{"key":"a","operator":"is_not_set"}`,
		builders.MakeCondition("a", v1alpha1.OperatorDoesNotExist),
		"",
	),
	Entry(
		"not_icontains",
		`{"key":"a","operator":"not_icontains","value":"x"}`,
		builders.MakeCondition("a", v1alpha1.OperatorNotContainsFold, "x"),
		"",
	),
	Entry("icontains of a list", `{"key":"a","operator":"icontains","value":["x"]}`, v1alpha1.Condition{}, "value"),
	Entry(
		"not_regex",
		`{"key":"a","operator":"not_regex","value":"^x"}`,
		builders.MakeCondition("a", v1alpha1.OperatorNotMatches, "^x"),
		"",
	),
	Entry(
		"starts_with",
		`{"key":"a","operator":"starts_with","value":"x.y"}`,
		builders.MakeCondition("a", v1alpha1.OperatorMatches, `(?i)^x\.y`),
		"",
	),
	Entry(
		"not_ends_with",
		`{"key":"a","operator":"not_ends_with","value":"("}`,
		builders.MakeCondition("a", v1alpha1.OperatorNotMatches, `(?i)\($`),
		"",
	),
	Entry(
		"gte",
		`{"key":"a","operator":"gte","value":"18"}`,
		builders.MakeCondition("a", v1alpha1.OperatorGreaterThanOrEqual, "18"),
		"",
	),
	Entry(
		"a day",
		`{"key":"a","operator":"is_date_after","value":"2027-03-15"}`,
		builders.MakeCondition("a", v1alpha1.OperatorAfter, "2027-03-15T00:00:00Z"),
		"",
	),
	Entry("relative", `{"key":"a","operator":"is_date_after","value":"-1h"}`, v1alpha1.Condition{}, "value"),
	Entry(
		"semver_eq",
		`{"key":"a","operator":"semver_eq","value":"1.2.3"}`,
		builders.MakeCondition("a", v1alpha1.OperatorSemVerEqual, "1.2.3"),
		"",
	),
	Entry("semver_caret", `{"key":"a","operator":"semver_caret","value":"1.2.3"}`, v1alpha1.Condition{}, "operator"),
	Entry("not_gt", `{"key":"a","operator":"not_gt","value":"1"}`, v1alpha1.Condition{}, "operator"),
)

func throughJSON(value any) (read any) {
	Expect(json.Unmarshal([]byte(Canonical(value)), &read)).To(Succeed())
	return read
}

var _ = DescribeTable(
	"A flag in PostHog's form",
	func(flag *builders.FlagBuilder, want string, lost, remote []string) {
		d := around(true).Describe("f", compiled(flag))
		got := map[string]any{"groups": []string{}, "variants": []string{}}
		var groups, variants []string
		for i := range d.Filters.Groups {
			group := &d.Filters.Groups[i]
			var tests []string
			for _, property := range group.Properties {
				tests = append(
					tests,
					property.Type+" "+property.Key+" "+property.Operator+" "+Canonical(
						property.Value,
					)+" "+strings.Join(
						property.DependencyChain,
						",",
					),
				)
			}
			groups = append(
				groups,
				group.SortKey+" | "+strings.Join(tests, " & ")+" | "+Canonical(group.RolloutPercentage)+" | "+variantKey(group),
			)
		}
		if d.Filters.Multivariate != nil {
			for _, variant := range d.Filters.Multivariate.Variants {
				variants = append(variants, variant.Key+" "+Canonical(variant.RolloutPercentage))
			}
		}
		got["groups"], got["variants"] = groups, variants
		text := strings.Join(append(groups, variants...), "\n")
		Expect(text).To(Equal(strings.ReplaceAll(want, "\t", "")))
		Expect(d.Lost).To(HaveLen(len(lost)), "%v", d.Lost)
		for i := range lost {
			Expect(d.Lost[i]).To(ContainSubstring(lost[i]))
		}
		Expect(d.Remote).To(HaveLen(len(remote)), "%v", d.Remote)
		for i := range remote {
			Expect(d.Remote[i]).To(ContainSubstring(remote[i]))
		}
	},
	Entry("off", boolean().Disabled(), "", nil, nil),
	Entry(
		"off, and true while it is",
		builders.MakeFlag("f", "shop").Boolean().DefaultVariation("on"),
		"fallthrough: |  | 100 | ",
		nil,
		nil,
	),
	Entry(
		"off, with values",
		words(v1alpha1.BucketingMurmur3).Disabled(),
		"fallthrough: |  | 100 | off\noff 0\na 0\nb 0",
		nil,
		nil,
	),
	Entry("off, as PostHog has it", words(v1alpha1.BucketingPostHogSHA1).Disabled(), "a 0\nb 0", nil, nil),
	Entry("a share", boolean().Rule(builders.MakeRule("r").Traffic("10%").Serve("on")), "r |  | 10 | ", nil, nil),
	Entry(
		"a share that is not whole",
		boolean().Rule(builders.MakeRule("r").Traffic("10.5%").Serve("on")),
		"r |  | 10.5 | ",
		nil,
		[]string{"whole percent"},
	),
	Entry(
		"a share of another hash",
		boolean().Bucketing(v1alpha1.BucketingMurmur3).Rule(builders.MakeRule("r").Traffic("10%").Serve("on")),
		"r |  | 10 | ",
		nil,
		[]string{"a hash"},
	),
	Entry(
		"no share of another hash",
		boolean().Bucketing(v1alpha1.BucketingMurmur3).Rule(builders.MakeRule("r").Traffic("0%").Serve("on")),
		"r |  | 0 | ",
		nil,
		nil,
	),
	Entry(
		"the hash of something else",
		boolean().Rule(builders.MakeRule("r").Traffic("10%").HashBy("$device_id").Serve("on")),
		"r |  | 10 | ",
		nil,
		[]string{"$device_id"},
	),
	Entry(
		"false at the end",
		boolean().Rule(
			builders.MakeRule("r").Condition("a", v1alpha1.OperatorExists).Serve("on"),
			builders.MakeRule("s").Serve("off"),
		),
		`r | person a is_set "is_set"  | 100 | `,
		[]string{`rule "s" serves false`},
		[]string{"null in a"},
	),
	Entry(
		"false in between",
		boolean().Rule(
			builders.MakeRule("r").Condition("a", v1alpha1.OperatorIn, "x").Serve("off"),
			builders.MakeRule("s").Serve("on"),
		),
		"s |  | 100 | ",
		[]string{`rule "r" serves false`},
		[]string{`rule "r" serves false`},
	),
	Entry(
		"an override that is false",
		boolean().Override("x", "off").Rule(builders.MakeRule("s").Serve("on")),
		"s |  | 100 | ",
		[]string{"overrides"},
		[]string{"overrides"},
	),
	Entry(
		"an override that is false at the end",
		boolean().Override("x", "off"),
		"",
		[]string{`overrides for "off" serves false`},
		nil,
	),
	Entry(
		"false at the end, and else the code's default",
		boolean().CodeDefault().Rule(builders.MakeRule("s").Serve("off")),
		"",
		[]string{`rule "s" serves false`},
		nil,
	),
	Entry(
		"overrides",
		boolean().Override("y", "on").Override("x", "on"),
		`override:on | person distinct_id regex "^(?:x|y)$"  | 100 | `,
		nil,
		nil,
	),
	Entry(
		"a split without variants",
		boolean().Rule(builders.MakeRule("r").Split("on", 1).Split("off", 1)),
		"",
		[]string{"splits a flag"},
		[]string{"splits a flag"},
	),
	Entry(
		"a split that serves one",
		boolean().Rule(builders.MakeRule("r").Split("on", 1).Split("off", 0)),
		"r |  | 100 | ",
		nil,
		nil,
	),
	Entry(
		"a split",
		words(v1alpha1.BucketingPostHogSHA1).Rule(builders.MakeRule("r").Split("b", 1).Split("a", 3)),
		"r |  | 100 | \nb 25\na 75",
		nil,
		nil,
	),
	Entry(
		"a split into thirds",
		words(v1alpha1.BucketingPostHogSHA1).Rule(builders.MakeRule("r").Split("b", 1).Split("a", 2)),
		"r |  | 100 | \nb 33.333\na 66.666",
		nil,
		[]string{"whole percent"},
	),
	Entry(
		"a split into the default too",
		words(v1alpha1.BucketingPostHogSHA1).Rule(builders.MakeRule("r").Split("off", 1).Split("a", 1)),
		"r |  | 100 | \noff 50\na 50\nb 0",
		nil,
		nil,
	),
	Entry(
		"two splits",
		words(
			v1alpha1.BucketingMurmur3,
		).Rule(
			builders.MakeRule("r").Split("b", 1).Split("a", 1),
			builders.MakeRule("s").Split("a", 1).Split("b", 1),
		),
		"r |  | 100 | \nfallthrough: |  | 100 | off\nb 50\na 50\noff 0",
		[]string{"otherwise"},
		[]string{"a hash", "otherwise", "follows"},
	),
	Entry(
		"a variant after a split",
		words(
			v1alpha1.BucketingPostHogSHA1,
		).Rule(
			builders.MakeRule("r").Split("b", 1).Split("a", 1),
			builders.MakeRule("s").Serve("a"),
		),
		"r |  | 100 | \ns |  | 100 | a\nb 50\na 50",
		nil,
		[]string{"follows"},
	),
	Entry(
		"another default",
		words(v1alpha1.BucketingPostHogSHA1).Fallthrough("a"),
		"fallthrough: |  | 100 | a\na 0\nb 0",
		nil,
		nil,
	),
	Entry(
		"audiences",
		boolean().Rule(builders.MakeRule("r").Audiences("staff", "beta").Condition("a", v1alpha1.OperatorExists).Serve("on")),
		"r | cohort id in 7  & person a is_set \"is_set\"  | 100 | \nr | cohort id in 8  & person a is_set \"is_set\"  | 100 | ",
		nil,
		[]string{"null in a", `audience "staff": text in age`},
	),
	Entry(
		"no such audience",
		boolean().Rule(builders.MakeRule("r").Audiences("gone").Serve("on")),
		"r | cohort id in 0  | 100 | ",
		nil,
		[]string{"gone"},
	),
	Entry(
		"prerequisites",
		boolean().Prerequisite("boolean", "on").Rule(builders.MakeRule("r").Serve("on")),
		"r | flag boolean flag_evaluates_to true variants,boolean | 100 | ",
		nil,
		nil,
	),
	Entry(
		"a prerequisite that is off",
		boolean().Prerequisite("boolean", "off").Rule(builders.MakeRule("r").Serve("on")),
		"r | flag boolean flag_evaluates_to false variants,boolean | 100 | ",
		nil,
		nil,
	),
	Entry(
		"a variant as prerequisite",
		boolean().Prerequisite("variants", "b").Rule(builders.MakeRule("r").Serve("on")),
		`r | flag variants flag_evaluates_to "b" variants | 100 | `,
		nil,
		nil,
	),
	Entry(
		"a default as prerequisite",
		boolean().Prerequisite("variants", "a").Rule(builders.MakeRule("r").Serve("on")),
		`r | flag variants flag_evaluates_to "a" variants | 100 | `,
		nil,
		[]string{"by a default"},
	),
	Entry(
		"two variants as prerequisite",
		boolean().Prerequisite("variants", "b", "c").Rule(builders.MakeRule("r").Serve("on")),
		"r |  | 100 | ",
		[]string{"more than one"},
		[]string{"more than one"},
	),
	Entry(
		"no such prerequisite",
		boolean().Prerequisite("gone", "on").Rule(builders.MakeRule("r").Serve("on")),
		`r | flag gone flag_evaluates_to "on" gone | 100 | `,
		nil,
		[]string{"does not exist"},
	),
	Entry(
		"true where a prerequisite is not met",
		builders.MakeFlag(
			"f",
			"shop",
		).Boolean().DefaultVariation(
			"on",
		).Environment(
			"production",
		).Prerequisite(
			"boolean",
			"on",
		).Fallthrough(
			"on",
		),
		"fallthrough: | flag boolean flag_evaluates_to true variants,boolean | 100 | ",
		nil,
		[]string{"something else than false"},
	),
)

var _ = Describe("Cohorts", func() {
	It("are what audiences are, where clients can tell", func() {
		audience, err := compile.Audience(
			builders.MakeAudience(
				"a",
				"shop",
			).Members(
				"x",
			).Group(
				builders.MakeCondition("n", v1alpha1.OperatorIn, "1"),
			).Obj(),
		)
		Expect(err).NotTo(HaveOccurred())
		cohort, remote := CohortForm(audience)
		Expect(remote).To(BeEmpty())
		Expect(Canonical(cohort)).To(MatchJSON(`{"type":"OR","values":[
			{"type":"AND","values":[{"key":"distinct_id","type":"person","operator":"regex","value":"^(?:x)$"}]},
			{"type":"AND","values":[{"key":"n","type":"person","operator":"exact","value":["1"]}]}]}`))
		for _, broken := range []*datafile.Audience{
			{}, {Members: []string{"é"}}, {Groups: []datafile.Group{{Conditions: []datafile.Condition{{Attribute: "ip", Operator: datafile.InCIDR, Values: []string{"10.0.0.1"}}}}}},
		} {
			_, remote := CohortForm(broken)
			Expect(remote).NotTo(BeEmpty())
		}
	})
})

var _ = Describe("Writing filters", func() {
	write := func(flag *v1alpha1.FeatureFlag, text string) (*Writer, *v1alpha1.EnvironmentConfig) {
		filters := &Filters{}
		Expect(json.Unmarshal([]byte(text), filters)).To(Succeed())
		config := server.Part(flag, "production")
		w := &Writer{
			Flag:    flag,
			Config:  config,
			Filters: filters,
			Shown:   around(false).DescribeFlag(flag, "production"),
			References: References{
				Audience: func(id string) string { return map[string]string{"7": "beta"}[id] },
				Flag: func(id string) *v1alpha1.FeatureFlag {
					return map[string]*v1alpha1.FeatureFlag{"boolean": builders.MakeFlag("boolean", "shop").Boolean().Defaulted().Obj()}[id]
				},
			},
		}
		w.Write()
		return w, server.Part(flag, "production")
	}
	fresh := func(text string) *v1alpha1.FeatureFlag {
		filters := &Filters{}
		Expect(json.Unmarshal([]byte(text), filters)).To(Succeed())
		flag := &v1alpha1.FeatureFlag{}
		flag.Name, flag.Namespace = "f", "shop"
		NewFlag(flag, filters)
		return flag
	}

	It("puts groups with a variant first, and shows what was written", func() {
		text := `{"groups": [{"rollout_percentage": 10}, {"variant": "off", "properties": [{"key": "id", "type": "cohort", "value": 7, "operator": "in"}], "description": "Beta people"}],
			"multivariate": {"variants": [{"key": "off", "rollout_percentage": 33.333}, {"key": "b", "rollout_percentage": 66.667, "name": "B"}]}, "payloads": {"b": "[]"}}`
		flag := fresh(text)
		Expect(flag.Spec.DefaultVariation).To(Equal("off-2"), "a variant may be called off")
		w, config := write(flag, text)
		Expect(w.Mistakes).To(BeEmpty())
		Expect(config.Rules).To(HaveLen(2))
		Expect(
			config.Rules[0],
		).To(
			And(HaveField("Name", "beta-people"), HaveField("Audiences", []string{"beta"}), HaveField("Variation", "off")),
		)
		Expect(
			config.Rules[1],
		).To(
			And(
				HaveField("Name", "group-1"),
				HaveField("Traffic", v1alpha1.Percent("10%")),
				HaveField("Split", []v1alpha1.SplitEntry{{Variation: "off", Weight: 33333}, {Variation: "b", Weight: 66667}}),
			),
		)
		Expect(w.Rename("spec.environments[0].rules[0].variation")).To(Equal("filters.groups[1]"))
		Expect(w.Rename("spec.environments[0].rules[0].audiences[0]")).To(Equal("filters.groups[1].properties"))
		Expect(w.Rename("spec.variations[1].key")).To(Equal("filters.multivariate.variants[1].key"))
		Expect(w.Rename("spec.displayName")).To(Equal("name"))

		shows := around(false).DescribeFlag(flag, "production")
		again, config2 := write(flag.DeepCopy(), Canonical(shows.Filters))
		Expect(again.Mistakes).To(BeEmpty())
		Expect(config2.Rules).To(Equal(config.Rules))
	})

	It("keeps the overrides, the conditions and the default that groups show", func() {
		flag := builders.MakeFlag(
			"f",
			"shop",
		).Boolean().DefaultVariation(
			"on",
		).Environment(
			"production",
		).Override(
			"x",
			"on",
		).Fallthrough(
			"on",
		).Rule(
			builders.MakeRule(
				"r",
			).ABTest(
				"purchase",
			).Audiences(
				"beta",
				"staff",
			).Condition(
				"ip",
				v1alpha1.OperatorInCIDR,
				"10.0.0.0/8",
			).Condition(
				"plan",
				v1alpha1.OperatorIn,
				"x",
			).Serve(
				"on",
			),
		).Defaulted().Obj()
		shows := around(false).DescribeFlag(flag, "production")
		Expect(shows.Filters.Groups).To(HaveLen(4))
		w, config := write(flag.DeepCopy(), Canonical(shows.Filters))
		Expect(w.Mistakes).To(BeEmpty())
		Expect(config).To(Equal(server.Part(flag, "production")))

		By("changing one group")
		shows.Filters.Groups = shows.Filters.Groups[1:2]
		shows.Filters.Groups[0].RolloutPercentage = new(5.0)
		w, config = write(flag.DeepCopy(), Canonical(shows.Filters))
		Expect(w.Mistakes).To(BeEmpty())
		Expect(config.Overrides).To(BeEmpty())
		Expect(config.DefaultVariation).To(Equal("off"), "whoever is in no group gets false")
		Expect(config.Rules).To(HaveLen(1))
		Expect(
			config.Rules[0],
		).To(
			And(
				HaveField("Name", "r"),
				HaveField("Audiences", []string{"beta"}),
				HaveField("Traffic", v1alpha1.Percent("5%")),
				HaveField("Metrics", []string{"purchase"}),
			),
		)
		Expect(
			config.Rules[0].Conditions,
		).To(
			Equal(
				[]v1alpha1.Condition{
					builders.MakeCondition("ip", v1alpha1.OperatorInCIDR, "10.0.0.0/8"),
					builders.MakeCondition("plan", v1alpha1.OperatorIn, "x"),
				},
			),
		)
	})

	It("takes dependencies for the flag as a whole", func() {
		depends := `{"key": "boolean", "type": "flag", "operator": "flag_evaluates_to", "value": true}`
		text := `{"groups": [{"properties": [` + depends + `]}, {"properties": [` + depends + `, {"key": "a", "operator": "is_set"}]}]}`
		w, config := write(fresh(text), text)
		Expect(w.Mistakes).To(BeEmpty())
		Expect(config.Prerequisites).To(Equal([]v1alpha1.Prerequisite{{Flag: "boolean", Variations: []string{"on"}}}))
		Expect(config.Rules[1].Conditions).To(HaveLen(1))
		Expect(
			w.Rename("spec.environments[0].rules[1].conditions[0].values[0]"),
		).To(
			Equal("filters.groups[1].properties[1].value"),
		)

		text = `{"groups": [{"properties": [` + depends + `]}, {}]}`
		w, _ = write(fresh(text), text)
		Expect(w.Mistakes).To(ConsistOf(HaveField("Field", "filters.groups[1].properties")))
	})

	DescribeTable(
		"refuses",
		func(text string, fields ...string) {
			w, _ := write(fresh(`{"multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`), text)
			var got []string
			for _, mistake := range w.Mistakes {
				got = append(got, mistake.Field)
			}
			Expect(got).To(Equal(fields))
		},
		Entry("no variants left", `{"groups": []}`, "filters.multivariate"),
		Entry(
			"shares that are not everybody",
			`{"groups": [{}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 50}]}}`,
			"filters.multivariate.variants",
		),
		Entry(
			"a variant twice",
			`{"multivariate": {"variants": [{"key": "a", "rollout_percentage": 50}, {"key": "a", "rollout_percentage": 50}]}}`,
			"filters.multivariate.variants[1].key",
		),
		Entry(
			"a payload of nothing",
			`{"payloads": {"x": "1"}, "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`,
			"filters.payloads.x",
		),
		Entry(
			"a group type",
			`{"groups": [{"aggregation_group_type_index": 1}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`,
			"filters.groups[0].aggregation_group_type_index",
		),
		Entry(
			"two cohorts",
			`{"groups": [{"properties": [{"key": "id", "type": "cohort", "value": 7}, {"key": "id", "type": "cohort", "value": "7"}]}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`,
			"filters.groups[0].properties[1].value",
		),
		Entry(
			"outside a cohort",
			`{"groups": [{"properties": [{"key": "id", "type": "cohort", "value": 7, "operator": "not_in"}]}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`,
			"filters.groups[0].properties[0].operator",
		),
		Entry(
			"a type",
			`{"groups": [{"properties": [{"key": "a", "type": "event", "value": 7}]}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`,
			"filters.groups[0].properties[0].type",
		),
		Entry(
			"what other flags of PostHog have",
			`{"holdout": {"id": 1}, "early_exit": true, "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}`,
			"filters.early_exit",
			"filters.holdout",
		),
	)
})
