// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// messages are the errors as a user reads them.
func messages(list field.ErrorList) []string {
	var texts []string
	for _, err := range list {
		texts = append(texts, err.Error())
	}
	return texts
}

func boolean() *builders.FlagBuilder { return builders.MakeFlag("x", "shop").Boolean() }

func text() *builders.FlagBuilder {
	return builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeString).Variation("a", `"A"`).Variation("b", `"B"`)
}

func rule() *builders.RuleBuilder { return builders.MakeRule("r").Serve("on") }

func many(count int, format string) []string {
	texts := make([]string, count)
	for i := range texts {
		texts[i] = fmt.Sprintf(format, i)
	}
	return texts
}

func TestFeatureFlag(t *testing.T) {
	const nameForm = "a name in Kubernetes has lower-case letters, digits, - and . only, and begins and ends with a letter or digit"
	instant := time.Date(2027, 3, 15, 9, 0, 0, 0, time.UTC)
	spec := func(change func(*v1alpha1.FeatureFlagSpec)) *builders.FlagBuilder { return boolean().Spec(change) }
	for tc, test := range map[string]struct {
		flag *builders.FlagBuilder
		want []string
	}{
		"the smallest flag": {boolean(), nil},
		"a flag of every field": {boolean().Defaulted().Environment("production").Fallthrough("on").
			Schedule(instant, instant.Add(time.Hour)).Prerequisite("payments/v2", "on").Override("alice@example.com", "on").
			Rule(
				builders.MakeRule("beta").Audiences("testers").Condition("plan", v1alpha1.OperatorIn, "beta").Traffic("12.5%").Serve("on"),
				builders.MakeRule("colour").ABTest("purchase").HashBy("userId").Salt("s").Split("on", 1).Split("off", 0),
			).Annotation(v1alpha1.ForceDisabledAnnotation, "staging,dev").Defaulted(), nil},
		"a name of 64 characters": {builders.MakeFlag(strings.Repeat("x", 64), "shop").Boolean(),
			[]string{`metadata.name: Too long: may not be more than 63 bytes`}},
		"no name": {builders.MakeFlag("", "shop").Boolean().Key("k"),
			[]string{`metadata.name: Invalid value: "": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`}},
		"a name in camel case": {builders.MakeFlag("newCheckout", "shop").Boolean(),
			[]string{`metadata.name: Invalid value: "newCheckout": ` + nameForm + `; write name: new-checkout and, for what code asks for, spec.key: newCheckout`}},
		"a name in camel case, which admission has made the key": {builders.MakeFlag("newCheckout", "shop").Boolean().Defaulted(),
			[]string{`metadata.name: Invalid value: "newCheckout": ` + nameForm + `; write name: new-checkout and, for what code asks for, spec.key: newCheckout`}},
		"a name with capitals and underscores": {builders.MakeFlag("New_Checkout", "shop").Boolean().Key("new_checkout"),
			[]string{`metadata.name: Invalid value: "New_Checkout": ` + nameForm + `; write name: new-checkout`}},
		"keys of real flagd files": {text().Key("promo: 10% off/ünder").Variation("10%", `"C"`).Variation("dark blue", `"D"`).Variation(" ", `"E"`).
			Prerequisite("$pay:v2 (eu)", "on"), nil},
		"a key that begins with a dot": {boolean().Key(".."), []string{`spec.key: Invalid value: "..": must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end with a space`}},
		"a key that ends with a space": {boolean().Key("new "), []string{`spec.key: Invalid value: "new ": must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end with a space`}},
		"a key with a control character": {boolean().Key("new\ncheckout"),
			[]string{`spec.key: Invalid value: "new\ncheckout": must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end with a space`}},
		"a key that turns the text around": {boolean().Key("new\u202echeckout"),
			[]string{`spec.key: Invalid value: "new\u202echeckout": must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end with a space`}},
		"a key of 128 characters": {boolean().Key(strings.Repeat("ü", 128)), nil},
		"a key of 129 characters": {boolean().Key(strings.Repeat("k", 129)),
			[]string{`spec.key: Invalid value: "` + strings.Repeat("k", 97) + `…": must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end with a space`}},
		"texts that are too long, counted in characters": {
			spec(func(s *v1alpha1.FeatureFlagSpec) {
				s.DisplayName, s.Description = strings.Repeat("é", 257), strings.Repeat("é", 4096)
				s.Owner = strings.Repeat("o", 257)
			}),
			[]string{`spec.displayName: Too long: may not be more than 256 characters`, `spec.owner: Too long: may not be more than 256 characters`},
		},
		"words that no field knows": {
			spec(func(s *v1alpha1.FeatureFlagSpec) {
				s.Type, s.Classification, s.Runtime, s.Bucketing = "Bool", "Toggle", "Edge", "MD5"
			}),
			[]string{
				`spec.type: Unsupported value: "Bool": supported values: "Boolean", "String", "Number", "JSON"`,
				`spec.classification: Unsupported value: "Toggle": supported values: "Release", "Experiment", "KillSwitch", "Permission", "Migration"`,
				`spec.runtime: Unsupported value: "Edge": supported values: "All", "Server", "Client"`,
				`spec.bucketing: Unsupported value: "MD5": supported values: "Murmur3", "PostHogSHA1"`,
			},
		},
		"no type": {spec(func(s *v1alpha1.FeatureFlagSpec) { s.Type = "" }), []string{`spec.type: Required value: one of "Boolean", "String", "Number", "JSON"`}},
		"tags twice, empty and too long": {
			spec(func(s *v1alpha1.FeatureFlagSpec) { s.Tags = []string{"a", "a", "", strings.Repeat("t", 129)} }),
			[]string{`spec.tags[1]: Duplicate value: "a"`, `spec.tags[2]: Required value`, `spec.tags[3]: Too long: may not be more than 128 characters`},
		},
		"too many tags": {spec(func(s *v1alpha1.FeatureFlagSpec) { s.Tags = many(51, "t%d") }), []string{`spec.tags: Too many: 51: must have at most 50 items`}},
		"metadata out of bounds": {
			spec(func(s *v1alpha1.FeatureFlagSpec) {
				s.Metadata = map[string]string{"": "x", "k": strings.Repeat("v", 1025), strings.Repeat("n", 129): "x"}
			}),
			[]string{
				`spec.metadata: Invalid value: "": a name is not empty`,
				`spec.metadata[k]: Too long: may not be more than 1024 characters`,
				`spec.metadata[` + strings.Repeat("n", 97) + `…]: Too long: may not be more than 128 bytes`,
			},
		},
		"a history limit out of bounds": {spec(func(s *v1alpha1.FeatureFlagSpec) { s.HistoryLimit = new(int32(1001)) }),
			[]string{`spec.historyLimit: Invalid value: 1001: must be between 0 and 1000`}},

		"no variations": {builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeString).DefaultVariation("a"), []string{
			`spec.variations: Required value: a flag has at least one variation`,
			`spec.defaultVariation: Invalid value: "a": names no variation of this flag; it has `,
		}},
		"a variation twice, and one with a tab": {text().Variation("a", `"C"`).Variation("c\td", `"D"`), []string{
			`spec.variations[2].key: Duplicate value: "a"`,
			`spec.variations[3].key: Invalid value: "c\td": must be 1 to 128 printable characters`,
		}},
		"three Boolean variations": {boolean().Variation("maybe", "true"), []string{
			`spec.variations[2].value: Duplicate value: "true"`,
			`spec.variations: Invalid value: 3: a Boolean flag has exactly two variations, true and false`,
		}},
		"two Boolean variations of one value": {
			builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeBoolean).Variation("on", "true").Variation("yes", " true "),
			[]string{`spec.variations[1].value: Duplicate value: "true"`},
		},
		"values that are not of the type": {
			text().Variation("n", "1").Variation("t", "true").Variation("o", `{"a":1}`).Variation("none", ""),
			[]string{
				`spec.variations[2].value: Invalid value: 1 is not of the flag's type String, which takes a string`,
				`spec.variations[3].value: Invalid value: true is not of the flag's type String, which takes a string`,
				`spec.variations[4].value: Invalid value: {"a":1} is not of the flag's type String, which takes a string`,
				`spec.variations[5].value: Required value: null is not a value`,
			},
		},
		"a Boolean in quotes": {
			builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeBoolean).Variation("on", `"true"`).Variation("off", "false"),
			[]string{`spec.variations[0].value: Invalid value: "true" is not of the flag's type Boolean, which takes true or false, without quotes`},
		},
		"numbers": {
			builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeNumber).Variation("a", "-1.5e3").Variation("b", "9007199254740993").Variation("c", "1e999").Variation("d", `"1"`),
			[]string{
				`spec.variations[1].value: Invalid value: "9007199254740993": integer 9007199254740993 lies beyond 9007199254740991, where not every language keeps integers apart; write it as a string`,
				`spec.variations[2].value: Invalid value: "1e999": number 1e999 does not fit into 64 bits of floating point`,
				`spec.variations[3].value: Invalid value: "1" is not of the flag's type Number, which takes a number, without quotes`,
			},
		},
		"JSON takes objects and arrays": {
			builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeJSON).Variation("a", `{"a":[1]}`).Variation("b", `[]`).Variation("c", `"text"`).
				Variation("d", strings.Repeat("[", 34)+strings.Repeat("]", 34)).Variation("e", "{} {}"),
			[]string{
				`spec.variations[2].value: Invalid value: "text" is not of the flag's type JSON, which takes an object or an array`,
				`spec.variations[3].value: Invalid value: "` + strings.Repeat("[", 34) + strings.Repeat("]", 34) + `": nested deeper than 32`,
				`spec.variations[4].value: Invalid value: "{} {}": not a JSON value: something follows it`,
			},
		},
		"payload and payloadFrom": {
			spec(func(s *v1alpha1.FeatureFlagSpec) {
				s.Variations[0].Payload = &v1alpha1.JSON{Raw: []byte(`{"a":1`)}
				s.Variations[0].PayloadFrom = &v1alpha1.PayloadSource{SecretKeyRef: v1alpha1.SecretKeySelector{Name: "s"}}
				s.Variations[1].Payload = &v1alpha1.JSON{}
			}),
			[]string{
				`spec.variations[0].payload: Invalid value: "{\"a\":1": not a JSON value: unexpected EOF`,
				`spec.variations[0].payloadFrom: Forbidden: payload and payloadFrom exclude each other`,
				`spec.variations[0].payloadFrom.secretKeyRef.key: Required value`,
			},
		},
		"a default that names no variation": {boolean().DefaultVariation("of"),
			[]string{`spec.defaultVariation: Invalid value: "of": names no variation of this flag; it has "off", "on"`}},
		"no default": {boolean().DefaultVariation(""), []string{`spec.defaultVariation: Required value: the key of a variation of this flag`}},
		"references to variations everywhere": {
			boolean().Environment("production").Fallthrough("a").Override("alice", "b").
				Rule(builders.MakeRule("r").Serve("c"), builders.MakeRule("s").Split("d", 1).Split("on", 1)),
			[]string{
				`spec.environments[0].defaultVariation: Invalid value: "a": names no variation of this flag; it has "off", "on"`,
				`spec.environments[0].overrides[0].variation: Invalid value: "b": names no variation of this flag; it has "off", "on"`,
				`spec.environments[0].rules[0].variation: Invalid value: "c": names no variation of this flag; it has "off", "on"`,
				`spec.environments[0].rules[1].split[0].variation: Invalid value: "d": names no variation of this flag; it has "off", "on"`,
			},
		},

		"an environment twice, and one without a name": {boolean().Environment("a").Environment("a").Environment(""),
			[]string{`spec.environments[1].name: Duplicate value: "a"`, `spec.environments[2].name: Required value`}},
		"a schedule of no length": {boolean().Schedule(instant, instant.In(time.FixedZone("", 3600))),
			[]string{`spec.environments[0].schedule.disableAt: Invalid value: "2027-03-15T09:00:00Z": must differ from enableAt`}},
		"a schedule within a second": {boolean().Schedule(instant.Add(200*time.Millisecond), instant.Add(700*time.Millisecond)),
			[]string{`spec.environments[0].schedule.disableAt: Invalid value: "2027-03-15T09:00:00Z": must differ from enableAt`}},
		"time zones": {
			boolean().Spec(func(s *v1alpha1.FeatureFlagSpec) {
				for i, zone := range []string{"", "America/New_York", "Local", "Europe/Atlantis", "../etc/passwd", strings.Repeat("z", 65)} {
					s.Environments = append(s.Environments, v1alpha1.EnvironmentConfig{Name: fmt.Sprint("e", i), Schedule: &v1alpha1.Schedule{TimeZone: zone}})
				}
			}),
			[]string{
				`spec.environments[2].schedule.timeZone: Invalid value: "Local": is not in the tz database; a name looks like America/New_York`,
				`spec.environments[3].schedule.timeZone: Invalid value: "Europe/Atlantis": is not in the tz database; a name looks like America/New_York`,
				`spec.environments[4].schedule.timeZone: Invalid value: "../etc/passwd": is not in the tz database; a name looks like America/New_York`,
				`spec.environments[5].schedule.timeZone: Too long: may not be more than 64 bytes`,
			},
		},
		"prerequisites": {
			boolean().Prerequisite(" b", "on").Prerequisite("c").Prerequisite("d", "on", "on").Prerequisite("d", "on"),
			[]string{
				`spec.environments[0].prerequisites[0].flag: Invalid value: " b": must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end with a space`,
				`spec.environments[0].prerequisites[1].variations: Required value: the variations of the other flag that satisfy`,
				`spec.environments[0].prerequisites[2].variations[1]: Duplicate value: "on"`,
				`spec.environments[0].prerequisites[3].flag: Duplicate value: "d"`,
			},
		},
		"overrides": {
			boolean().Override("", "on").Override("a", "on").Override("a", "off").Override(strings.Repeat("é", 129), "on"),
			[]string{
				`spec.environments[0].overrides[0].targetingKey: Required value: a targeting key is not empty`,
				`spec.environments[0].overrides[2].targetingKey: Duplicate value: "a"`,
				`spec.environments[0].overrides[3].targetingKey: Too long: may not be more than 256 bytes`,
			},
		},
		"rules that serve nothing, and too much": {
			boolean().Rule(builders.MakeRule("nothing"), builders.MakeRule("both").Serve("on").Split("on", 1)),
			[]string{
				`spec.environments[0].rules[0]: Required value: exactly one of variation and split is required`,
				`spec.environments[0].rules[1]: Forbidden: exactly one of variation and split is required`,
			},
		},
		"names of rules": {
			boolean().Rule(builders.MakeRule("Beta").Serve("on"), rule(), rule(), builders.MakeRule("").Serve("on")),
			[]string{
				`spec.environments[0].rules[0].name: Invalid value: "Beta": must be a DNS label: lower-case letters, digits and -, beginning and ending with a letter or digit, at most 63 characters; write name: beta`,
				`spec.environments[0].rules[2].name: Duplicate value: "r"`,
				`spec.environments[0].rules[3].name: Required value`,
			},
		},
		"traffic": {
			boolean().Rule(builders.MakeRule("a").Serve("on").Traffic("100.000%"), builders.MakeRule("b").Serve("on").Traffic("100.001%"),
				builders.MakeRule("c").Serve("on").Traffic("50"), builders.MakeRule("d").Serve("on").Traffic("0.0001%"), builders.MakeRule("e").Serve("on").Traffic("+5%")),
			[]string{
				`spec.environments[0].rules[1].traffic: Invalid value: "100.001%": must be a percent from 0% to 100% with up to three decimals, such as 12.5%`,
				`spec.environments[0].rules[2].traffic: Invalid value: "50": must be a percent from 0% to 100% with up to three decimals, such as 12.5%`,
				`spec.environments[0].rules[3].traffic: Invalid value: "0.0001%": must be a percent from 0% to 100% with up to three decimals, such as 12.5%`,
				`spec.environments[0].rules[4].traffic: Invalid value: "+5%": must be a percent from 0% to 100% with up to three decimals, such as 12.5%`,
			},
		},
		"weights": {
			boolean().Rule(builders.MakeRule("zero").Split("on", 0).Split("off", 0), builders.MakeRule("overflow").Split("on", 2147483647).Split("off", 1),
				builders.MakeRule("negative").Split("on", -1).Split("off", 1), builders.MakeRule("twice").Split("on", 1).Split("on", 1)),
			[]string{
				`spec.environments[0].rules[0].split: Invalid value: the weights sum to 0; the sum must be between 1 and 2147483647`,
				`spec.environments[0].rules[1].split: Invalid value: the weights sum to 2147483648; the sum must be between 1 and 2147483647`,
				`spec.environments[0].rules[2].split[0].weight: Invalid value: -1: must be between 0 and 2147483647`,
				`spec.environments[0].rules[3].split[1].variation: Duplicate value: "on"`,
			},
		},
		"audiences and metrics twice": {
			boolean().Rule(rule().ABTest("e", "e").Audiences("a", "a")),
			[]string{`spec.environments[0].rules[0].audiences[1]: Duplicate value: "a"`, `spec.environments[0].rules[0].metrics[1]: Duplicate value: "e"`},
		},
		"no salt, and a salt": {
			boolean().Environment("a").Rule(
				builders.MakeRule("r").Split("on", 1).Split("off", 1).Unsalted(),
				builders.MakeRule("s").Split("on", 1).Split("off", 1).Unsalted().Salt("s"),
			),
			[]string{
				`spec.environments[0].rules[1].unsalted: Forbidden: the rule has a salt; remove one of salt and unsalted`,
			},
		},
		"PostHog's hash without a salt": {
			boolean().Bucketing(v1alpha1.BucketingPostHogSHA1).
				Environment("a").Rule(builders.MakeRule("r").Split("on", 1).Split("off", 1).Unsalted()),
			[]string{`spec.environments[0].rules[0].unsalted: Forbidden: bucketing PostHogSHA1 has no salts; remove unsalted`},
		},
		"PostHog's hash": {
			boolean().Bucketing(v1alpha1.BucketingPostHogSHA1).
				Environment("a").Rule(builders.MakeRule("r").Split("on", 1).Split("off", 1), builders.MakeRule("s").Split("on", 1).Split("off", 1), builders.MakeRule("t").Serve("on")).
				Environment("b").Rule(builders.MakeRule("r").Split("on", 1).Split("off", 1), builders.MakeRule("s").Split("on", 2).Split("off", 1).Salt("s")),
			[]string{
				`spec.environments[1].rules[1].salt: Forbidden: bucketing PostHogSHA1 has no salts`,
				`spec.environments[1].rules[1].split: Invalid value: bucketing PostHogSHA1 has one split for all rules of an environment; this one is not that of rule "r"`,
			},
		},
		"an empty annotation, which lifts every brake": {boolean().Annotation(v1alpha1.ForceDisabledAnnotation, ""), nil},
		"annotations": {
			boolean().Annotation(v1alpha1.ForceDisabledAnnotation, "production, staging,,x-r1").
				Annotation(v1alpha1.ViewAnnotationPrefix+"unleash", strings.Repeat("x", 16<<10+1)).Annotation("example.com/x", ""),
			[]string{
				`metadata.annotations[flags.jackstaff.dev/force-disabled]: Invalid value: "": must be names of environments, separated by commas`,
				`metadata.annotations[flags.jackstaff.dev/force-disabled]: Invalid value: "x-r1": must be names of environments, separated by commas`,
				`metadata.annotations[flags.jackstaff.dev/view-unleash]: Too long: may not be more than 16384 bytes`,
			},
		},
		"a spec over 768 KiB": {
			builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeString).Variation("a", `"`+strings.Repeat("<", 768<<10)+`"`),
			[]string{`spec: Invalid value: has 786510 bytes as JSON; the limit is 786432`},
		},
		"several mistakes together": {
			boolean().DefaultVariation("of").Rule(rule().Traffic("120%").Condition("version", v1alpha1.OperatorSemVerEqual, "1.x")),
			[]string{
				`spec.defaultVariation: Invalid value: "of": names no variation of this flag; it has "off", "on"`,
				`spec.environments[0].rules[0].conditions[0].values[0]: Invalid value: "1.x": operator SemVerEqual: must be a semantic version, such as 1.2.3`,
				`spec.environments[0].rules[0].traffic: Invalid value: "120%": must be a percent from 0% to 100% with up to three decimals, such as 12.5%`,
			},
		},
	} {
		t.Run(tc, func(t *testing.T) {
			flag := test.flag.Obj()
			if diff := cmp.Diff(test.want, messages(validation.FeatureFlag(flag))); diff != "" {
				t.Errorf("a user reads other messages (-want +got):\n%s", diff)
			}
			if !equality.Semantic.DeepEqual(test.flag.Obj(), flag) {
				t.Error("validation changed the flag")
			}
		})
	}
}

func TestFeatureFlagBoundsItsMessages(t *testing.T) {
	flag := text().Spec(func(s *v1alpha1.FeatureFlagSpec) {
		for _, key := range many(1000, "k%d") {
			s.Environments = append(
				s.Environments,
				v1alpha1.EnvironmentConfig{Name: key, DefaultVariation: strings.Repeat("long", 1000)},
			)
		}
	}).Obj()
	list := validation.FeatureFlag(flag)
	if len(list) != 101 {
		t.Fatalf("got %d errors, want 100 and one that counts the rest", len(list))
	}
	if got, want := list[100].Error(), "spec: Invalid value: has 902 more mistakes, which are left out here"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if size := len(list.ToAggregate().Error()); size > 64<<10 {
		t.Errorf("the message has %d bytes, which nobody reads and an admission response may not carry", size)
	}
}

func TestCondition(t *testing.T) {
	for tc, test := range map[string]struct {
		operator v1alpha1.Operator
		values   []string
		want     string // What follows ".values" in the only message.
	}{
		"In without values":           {v1alpha1.OperatorIn, nil, `: Required value: operator In takes one or more values`},
		"In with an empty value":      {v1alpha1.OperatorIn, []string{""}, ""},
		"Exists with a value":         {v1alpha1.OperatorExists, []string{"x"}, `: Invalid value: 1: operator Exists takes no values`},
		"Exists":                      {v1alpha1.OperatorExists, nil, ""},
		"Contains with two":           {v1alpha1.OperatorContains, []string{"a", "b"}, ""},
		"NotEqualFold with none":      {v1alpha1.OperatorNotEqualFold, nil, `: Required value: operator NotEqualFold takes one or more values`},
		"GreaterThan with two":        {v1alpha1.OperatorGreaterThan, []string{"1", "2"}, `: Invalid value: 2: operator GreaterThan takes exactly one value`},
		"GreaterThan with none":       {v1alpha1.OperatorGreaterThan, nil, `: Invalid value: 0: operator GreaterThan takes exactly one value`},
		"a decimal number":            {v1alpha1.OperatorLessThan, []string{"-12.5e-3"}, ""},
		"a word as a number":          {v1alpha1.OperatorLessThan, []string{"ten"}, `[0]: Invalid value: "ten": operator LessThan: must be a decimal number, such as 12.5`},
		"a hexadecimal number":        {v1alpha1.OperatorLessThan, []string{"0x10"}, `[0]: Invalid value: "0x10": operator LessThan: must be a decimal number, such as 12.5`},
		"a number with underscores":   {v1alpha1.OperatorLessThan, []string{"1_000"}, `[0]: Invalid value: "1_000": operator LessThan: must be a decimal number, such as 12.5`},
		"an infinite number":          {v1alpha1.OperatorLessThan, []string{"Inf"}, `[0]: Invalid value: "Inf": operator LessThan: must be a decimal number, such as 12.5`},
		"a number beyond float64":     {v1alpha1.OperatorLessThan, []string{"1e400"}, `[0]: Invalid value: "1e400": operator LessThan: must be a decimal number, such as 12.5`},
		"no number at all":            {v1alpha1.OperatorLessThan, []string{""}, `[0]: Invalid value: "": operator LessThan: must be a decimal number, such as 12.5`},
		"a version with v":            {v1alpha1.OperatorSemVerCaret, []string{"v1.2.3-rc.1+build"}, ""},
		"a version of two numbers":    {v1alpha1.OperatorSemVerCaret, []string{"1.2"}, `[0]: Invalid value: "1.2": operator SemVerCaret: must be a semantic version, such as 1.2.3`},
		"a version with two v":        {v1alpha1.OperatorSemVerTilde, []string{"vv1.2.3"}, `[0]: Invalid value: "vv1.2.3": operator SemVerTilde: must be a semantic version, such as 1.2.3`},
		"two versions":                {v1alpha1.OperatorSemVerEqual, []string{"1.2.3", "1.2.4"}, `: Invalid value: 2: operator SemVerEqual takes exactly one value`},
		"an instant":                  {v1alpha1.OperatorBeforeUnix, []string{"2027-03-15T09:00:00.5+01:00"}, ""},
		"a date":                      {v1alpha1.OperatorBefore, []string{"2027-03-15"}, `[0]: Invalid value: "2027-03-15": operator Before: must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`},
		"an hour of one digit":        {v1alpha1.OperatorAfter, []string{"2027-03-15T9:00:00Z"}, `[0]: Invalid value: "2027-03-15T9:00:00Z": operator After: must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`},
		"unix seconds":                {v1alpha1.OperatorAfterUnix, []string{"1700000000"}, `[0]: Invalid value: "1700000000": operator AfterUnix: must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`},
		"a regular expression":        {v1alpha1.OperatorMatches, []string{`^\pL{1,50}@(?i:example)\.com$`}, ""},
		"a broken regular expression": {v1alpha1.OperatorMatches, []string{"a("}, "[0]: Invalid value: \"a(\": operator Matches: must be a regular expression (RE2): error parsing regexp: missing closing ): `a(`"},
		"a look-ahead":                {v1alpha1.OperatorNotMatches, []string{"(?=a)"}, "[0]: Invalid value: \"(?=a)\": operator NotMatches: must be a regular expression (RE2): error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		"a long regular expression":   {v1alpha1.OperatorMatches, []string{strings.Repeat("é", 257)}, `[0]: Invalid value: "` + strings.Repeat("é", 48) + `…": operator Matches: a regular expression has at most 512 bytes`},
		"a regular expression that explodes": {v1alpha1.OperatorMatches, []string{strings.Repeat(".{999}", 20)},
			`[0]: Invalid value: "` + strings.Repeat(".{999}", 16) + `.…": operator Matches: the repetitions of a regular expression make at most 10000 parts; this one makes more`},
		"networks":               {v1alpha1.OperatorInCIDR, []string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::1"}, ""},
		"an address with a zone": {v1alpha1.OperatorNotInCIDR, []string{"fe80::1%eth0"}, `[0]: Invalid value: "fe80::1%eth0": operator NotInCIDR: must be an IP network or address, such as 10.0.0.0/8`},
		"a network too narrow":   {v1alpha1.OperatorInCIDR, []string{"10.0.0.0/33"}, `[0]: Invalid value: "10.0.0.0/33": operator InCIDR: must be an IP network or address, such as 10.0.0.0/8`},
		"a long value":           {v1alpha1.OperatorIn, []string{strings.Repeat("é", 513)}, `[0]: Too long: may not be more than 512 characters`},
	} {
		t.Run(tc, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{"spec.environments[0].rules[0].conditions[0].values" + test.want}
			}
			flag := boolean().Rule(rule().Condition("a", test.operator, test.values...)).Obj()
			if diff := cmp.Diff(want, messages(validation.FeatureFlag(flag))); diff != "" {
				t.Errorf("in a flag's rule a user reads other messages (-want +got):\n%s", diff)
			}
			audience := builders.MakeAudience(
				"x",
				"shop",
			).Group(
				builders.MakeCondition("a", test.operator, test.values...),
			).Obj()
			if got := len(validation.FlagAudience(audience)); got != len(want) {
				t.Errorf("an audience with the condition has %d mistakes, want %d as in a flag's rule", got, len(want))
			}
		})
	}
}

func TestConditionItself(t *testing.T) {
	flag := boolean().Rule(
		rule().Condition(
			"",
			"",
		).Condition(
			"a",
			"Equals",
			"b",
		).Condition(
			strings.Repeat("a", 257),
			v1alpha1.OperatorIn,
			many(1001, "v%d")...),
	).Obj()
	want := []string{
		`spec.environments[0].rules[0].conditions[0].attribute: Required value`,
		`spec.environments[0].rules[0].conditions[0].operator: Required value`,
		`spec.environments[0].rules[0].conditions[1].operator: Invalid value: "Equals": is not an operator; write In; the operators are After, AfterUnix, Before, BeforeUnix, Contains, ContainsFold, DoesNotExist, EndsWith, EqualFold, Exists, GreaterThan, GreaterThanOrEqual, In, InCIDR, LessThan, LessThanOrEqual, Matches, NotContains, NotContainsFold, NotEndsWith, NotEqualFold, NotIn, NotInCIDR, NotMatches, NotStartsWith, SemVerCaret, SemVerEqual, SemVerGreaterThan, SemVerGreaterThanOrEqual, SemVerLessThan, SemVerLessThanOrEqual, SemVerTilde, StartsWith`,
		`spec.environments[0].rules[0].conditions[2].attribute: Too long: may not be more than 256 characters`,
		`spec.environments[0].rules[0].conditions[2].values: Too many: 1001: must have at most 1000 items`,
	}
	if diff := cmp.Diff(want, messages(validation.FeatureFlag(flag))); diff != "" {
		t.Errorf("a user reads other messages (-want +got):\n%s", diff)
	}
}

func TestFeatureFlagUpdate(t *testing.T) {
	used := func() *builders.FlagBuilder {
		return text().Variation("c", `"C"`).Environment("production").Fallthrough("b").Override("alice", "b").
			Rule(builders.MakeRule("beta").Serve("b"), builders.MakeRule("split").Split("a", 1).Split("c", 1))
	}
	broken := func() *builders.FlagBuilder {
		return boolean().DefaultVariation("of").Annotation(v1alpha1.ForceDisabledAnnotation, "NO")
	}
	now := metav1.Now()
	deleted := broken().Key("other").Obj()
	deleted.DeletionTimestamp = &now
	for tc, test := range map[string]struct {
		old, flag *v1alpha1.FeatureFlag
		want      []string
	}{
		"no change": {boolean().Obj(), boolean().Obj(), nil},
		"another key and type": {
			boolean().Key("a").Obj(), text().Key("b").Obj(),
			[]string{`spec.key: Invalid value: "b": is immutable; it was "a"`, `spec.type: Invalid value: "String": is immutable; it was "Boolean"`},
		},
		"the key that the name stood for": {boolean().Obj(), boolean().Key("x").Obj(), nil},
		"another key than the name":       {boolean().Obj(), boolean().Key("y").Obj(), []string{`spec.key: Invalid value: "y": is immutable; it was "x"`}},
		"removed variations that are used": {
			used().DefaultVariation("c").Obj(),
			used().DefaultVariation("c").Spec(func(s *v1alpha1.FeatureFlagSpec) { s.Variations = s.Variations[:1] }).Obj(),
			[]string{
				`spec.variations: Forbidden: variation "b" was removed and is still used by the default of environment "production", an override for "alice" in environment "production", rule "beta" in environment "production"; change these first`,
				`spec.variations: Forbidden: variation "c" was removed and is still used by the flag's default, rule "split" in environment "production"; change these first`,
			},
		},
		"a removed variation with many users": {
			text().Obj(),
			builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeString).Variation("a", `"A"`).Override("1", "b").Override("2", "b").Override("3", "b").
				Override("4", "b").Override("5", "b").Override("6", "b").Override("7", "b").Obj(),
			[]string{`spec.variations: Forbidden: variation "b" was removed and is still used by an override for "1" in environment "production", an override for "2" in environment "production", an override for "3" in environment "production", an override for "4" in environment "production", an override for "5" in environment "production" and 2 more; change these first`},
		},
		"an unused variation is removed":  {text().Obj(), builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeString).Variation("a", `"A"`).Obj(), nil},
		"a label on a stored broken flag": {broken().Obj(), broken().Annotation("example.com/team", "a").Obj(), nil},
		"another annotation of ours on it": {
			broken().Obj(), broken().Annotation(v1alpha1.ForceDisabledAnnotation, "NEVER").Obj(),
			[]string{`metadata.annotations[flags.jackstaff.dev/force-disabled]: Invalid value: "NEVER": must be names of environments, separated by commas`},
		},
		"a broken flag that stays broken": {
			broken().Obj(), broken().Archived().Obj(),
			[]string{`spec.defaultVariation: Invalid value: "of": names no variation of this flag; it has "off", "on"`},
		},
		"a flag that is being deleted": {boolean().Obj(), deleted, nil},
	} {
		t.Run(tc, func(t *testing.T) {
			if diff := cmp.Diff(test.want, messages(validation.FeatureFlagUpdate(test.old, test.flag))); diff != "" {
				t.Errorf("a user reads other messages (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzFeatureFlag shows that no manifest makes validation panic, change the flag, or answer differently the second
// time.
func FuzzFeatureFlag(f *testing.F) {
	f.Add(
		[]byte(
			`{"type":"Boolean","variations":[{"key":"on","value":true},{"key":"off","value":false}],"defaultVariation":"on"}`,
		),
	)
	f.Add(
		[]byte(
			`{"key":"a/b","type":"JSON","variations":[{"key":"a","value":{"b":[1e400]},"payload":null}],"environments":[{"name":"p","rules":[{"split":[{"variation":"a","weight":-1}],"traffic":"1.%","conditions":[{"attribute":"a","operator":"Matches","values":["(a{1000}){1000}"]}]}]}]}`,
		),
	)
	f.Add(
		[]byte(
			`{"type":"Number","bucketing":"PostHogSHA1","metadata":{"":""},"environments":[{"schedule":{"enableAt":"2027-01-01T00:00:00Z","timeZone":"x"},"prerequisites":[{}],"overrides":[{}]}]}`,
		),
	)
	f.Fuzz(func(t *testing.T, data []byte) {
		flag := &v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
		if json.Unmarshal(data, &flag.Spec) != nil {
			return
		}
		before := flag.DeepCopy()
		first := messages(validation.FeatureFlag(flag))
		if diff := cmp.Diff(before, flag); diff != "" {
			t.Fatalf("validation changed the flag (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(first, messages(validation.FeatureFlag(before))); diff != "" {
			t.Fatalf("the same flag has other mistakes the second time (-first +second):\n%s", diff)
		}
		flag.Default()
		_ = validation.FeatureFlagUpdate(before, flag)
		objects := validation.NewObjects([]*v1alpha1.FeatureFlag{before}, nil, nil, nil)
		if _, err := validation.FeatureFlagFindings(t.Context(), objects, nil, before, flag); err != nil {
			t.Fatalf("objects in memory cannot fail, but: %v", err)
		}
	})
}

func BenchmarkFeatureFlag(b *testing.B) {
	flag := boolean().Environment("production").Rule(
		rule().Audiences(
			"a",
		).Condition(
			"plan",
			v1alpha1.OperatorIn,
			"beta",
			"enterprise",
		).Condition(
			"version",
			v1alpha1.OperatorSemVerCaret,
			"1.2.3",
		),
		builders.MakeRule("s").Split("on", 50).Split("off", 50).ABTest("purchase"),
	).Environment("staging").Override("alice", "on").Environment("dev").Defaulted().Obj()
	b.ReportAllocs()
	for b.Loop() {
		if list := validation.FeatureFlag(flag); len(list) > 0 {
			b.Fatal(list)
		}
	}
}
