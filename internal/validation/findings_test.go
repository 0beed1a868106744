// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

var created = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func environment(name string, bytes int64) *v1alpha1.FlagEnvironment {
	environment := builders.MakeEnvironment(name, "shop").Defaulted().Obj()
	environment.Status.Datafile.Bytes = bytes
	return environment
}

// warnings are the findings as a user reads them.
func warnings(t *testing.T, found []validation.Finding, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatalf("objects in memory cannot fail, but: %v", err)
	}
	var texts []string
	for _, finding := range found {
		refused := ""
		if finding.Refused() {
			refused = "REST refuses "
		}
		texts = append(texts, refused+finding.Warning())
	}
	return texts
}

func TestFeatureFlagFindings(t *testing.T) {
	type flags = []*v1alpha1.FeatureFlag
	other := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, "shop").Boolean().Created(created, name).Environment("production")
	}
	mine := func() *builders.FlagBuilder {
		return boolean().Created(created.Add(time.Hour), "x").Environment("production")
	}
	everybody := builders.MakeRule("everybody").Serve("on")
	beta := builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")
	incompatible := func(flag *v1alpha1.FeatureFlag) error {
		if flag.Spec.Description == "incompatible" {
			return errors.New("operator Matches has no form there")
		}
		return nil
	}
	described := func(text string) *builders.FlagBuilder {
		return mine().Spec(func(s *v1alpha1.FeatureFlagSpec) { s.Description = text })
	}
	absent := func(flag *v1alpha1.FeatureFlag) *v1alpha1.FeatureFlag {
		flag.Status.Environments = []v1alpha1.EnvironmentState{{Name: "production", State: v1alpha1.ServingStateLastGood}}
		return flag
	}
	for tc, test := range map[string]struct {
		others flags
		bytes  int64
		old    *v1alpha1.FeatureFlag
		flag   *builders.FlagBuilder
		want   []string

		isProduction bool
	}{
		"nothing to say": {others: flags{other("a").Obj()}, flag: mine().Prerequisite("a", "on").Rule(beta, everybody.ABTest("purchase").Audiences("testers"))},

		"the key of an older flag": {
			others: flags{other("a").Key("x").Obj()}, flag: mine(),
			want: []string{`REST refuses spec.key: FeatureFlag "a" holds the key "x" already; this flag is not served until that one is gone`},
		},
		"the key of a younger flag": {others: flags{other("a").Key("x").Created(created.Add(2*time.Hour), "a").Obj()}, flag: mine()},
		"the key of a flag of the same second": {
			others: flags{other("z").Key("x").Created(created.Add(time.Hour), "w").Obj()}, flag: mine(),
			want: []string{`REST refuses spec.key: FeatureFlag "z" holds the key "x" already; this flag is not served until that one is gone`},
		},
		"a flag that is not created yet": {
			others: flags{other("a").Key("x").Obj()}, flag: boolean(),
			want: []string{`REST refuses spec.key: FeatureFlag "a" holds the key "x" already; this flag is not served until that one is gone`},
		},

		"a flag that requires itself": {
			flag: mine().Prerequisite("x", "on"),
			want: []string{`REST refuses spec.environments[0].prerequisites: the flag requires itself in environment "production": x → x; none of these flags changes there until one of the prerequisites is removed`},
		},
		"a cycle of three": {
			others: flags{other("a").Prerequisite("b", "on").Prerequisite("c", "on").Obj(), other("b").Obj(), other("c").Prerequisite("x", "on").Obj()},
			flag:   mine().Prerequisite("a", "on"),
			want:   []string{`REST refuses spec.environments[0].prerequisites: the flag requires itself in environment "production": x → a → c → x; none of these flags changes there until one of the prerequisites is removed`},
		},
		"a cycle of which it is no member": {
			others: flags{other("a").Prerequisite("b", "on").Obj(), other("b").Prerequisite("a", "on").Obj()}, flag: mine().Prerequisite("a", "on"),
		},
		"a way back through another environment": {
			others: flags{other("a").Environment("staging").Prerequisite("x", "on").Obj()}, flag: mine().Prerequisite("a", "on"),
		},
		"a way back through an archived flag": {
			others: flags{other("a").Prerequisite("x", "on").Archived().Obj()}, flag: mine().Prerequisite("a", "on"),
			want: []string{`REST refuses spec.environments[0].prerequisites[0].flag: flag "a" is archived, so that the prerequisite is not met`},
		},

		"archiving a flag that others require": {
			others: flags{other("b").Prerequisite("x", "on").Obj(), other("a").Prerequisite("x", "on").Obj(), other("c").Archived().Prerequisite("x", "on").Obj()},
			old:    mine().Obj(), flag: mine().Archived(),
			want: []string{`REST refuses spec.archived: required by "a", "b", for which an archived flag is a prerequisite that is not met; remove it there first`},
		},
		"editing a flag that is archived though required": {
			others: flags{other("a").Prerequisite("x", "on").Obj()}, old: mine().Archived().Obj(), flag: described("new").Archived(),
		},
		"removing a variation that others require": {
			others: flags{other("a").Prerequisite("x", "a", "c").Environment("staging").Prerequisite("x", "c").Obj(), other("b").Prerequisite("x", "b").Obj()},
			old:    text().Variation("c", `"C"`).Obj(), flag: text(),
			want: []string{`REST refuses spec.variations: variation "c" was removed and is required by "a"`},
		},

		"references to nothing": {
			others: flags{other("a").Obj()},
			flag: mine().Environment("nowhere").Prerequisite("gone", "on").Prerequisite("a", "maybe").
				Rule(builders.MakeRule("r").ABTest("purchase", "refund").Audiences("testers", "strangers").Serve("on").Traffic("1%"), builders.MakeRule("s").Audiences("strangers").Serve("on")).
				Annotation(v1alpha1.ForceDisabledAnnotation, "production, produktion"),
			want: []string{
				`REST refuses metadata.annotations[flags.jackstaff.dev/force-disabled]: FlagEnvironment "produktion" does not exist; did you mean "production"?`,
				`REST refuses spec.environments[1].name: FlagEnvironment "nowhere" does not exist`,
				`REST refuses spec.environments[1].prerequisites[0].flag: no FeatureFlag has the key "gone"; the prerequisite is not met until one does`,
				`REST refuses spec.environments[1].prerequisites[1].variations[0]: flag "a" has no variation "maybe"`,
				`REST refuses spec.environments[1].rules[0].audiences[1]: FlagAudience "strangers" does not exist, and holds for nobody until it does`,
				`REST refuses spec.environments[1].rules[0].metrics[1]: no FlagEvent has the key "refund"`,
			},
		},
		"references of an archived flag": {flag: mine().Environment("nowhere").Archived()},
		"only the annotation changes": {
			old: mine().Obj(), flag: mine().Annotation(v1alpha1.ForceDisabledAnnotation, "produktion"),
			want: []string{`REST refuses metadata.annotations[flags.jackstaff.dev/force-disabled]: FlagEnvironment "produktion" does not exist; did you mean "production"?`},
		},
		"nothing changes": {others: flags{other("a").Key("x").Obj()}, old: mine().Obj(), flag: mine().Annotation("example.com/x", "y")},

		"rules after one that decides for everybody": {
			flag: mine().Rule(beta, builders.MakeRule("all").Serve("on").Traffic("100.0%"), builders.MakeRule("late").Serve("off"), builders.MakeRule("off").Disabled().Serve("off")),
			want: []string{`spec.environments[0].rules[2]: rule "late" is never reached, because rule "all" decides for everybody before`},
		},
		"an experiment is evaluated before": {
			flag: mine().Rule(beta, builders.MakeRule("test").ABTest().Split("on", 1).Split("off", 1).HashBy("targetingKey")),
			want: []string{`spec.environments[0].rules[0]: rule "beta" is never reached, because rule "test" decides for everybody before`},
		},
		"rules after one that somebody passes": {
			flag: mine().Rule(
				builders.MakeRule("most").Serve("on").Traffic("99.999%"), builders.MakeRule("hashed").Split("on", 1).Split("off", 1).HashBy("userId"),
				builders.MakeRule("audience").Audiences("testers").Serve("on"), builders.MakeRule("disabled").Disabled().Serve("on"), beta,
			),
		},
		"a variation that nobody gets": {
			flag: mine().Rule(builders.MakeRule("r").Split("on", 1).Split("off", 0)),
			want: []string{`spec.environments[0].rules[0].split[1].weight: is 0, so that nobody gets variation "off"`},
		},

		"a datafile that becomes large": {
			bytes: 838_800, flag: mine(),
			want: []string{`spec: the datafile of environment "production" grows to about 838948 bytes, 80 % of what a ConfigMap holds; archive flags or split the project`},
		},
		"a draft for which a datafile has no room": {
			bytes: 921_500, isProduction: true, flag: mine().Disabled(),
			want: []string{`spec: with this draft the datafile of environment "production" has about 921633 bytes, and drafts may fill 921600: it is published once it is enabled or there is room; archive flags or split the project`},
		},
		"a draft that was left out is switched on": {
			bytes: 921_600, old: absent(mine().Disabled().Obj()), flag: mine(),
			want: []string{`spec: the datafile of environment "production" grows to about 921748 bytes, 87 % of what a ConfigMap holds; archive flags or split the project`},
		},
		"a large datafile that shrinks":   {bytes: 1_000_000, old: mine().Fallthrough("on").Obj(), flag: mine()},
		"an archived flag takes no place": {bytes: 1_000_000, flag: mine().Archived()},
		"a large spec": {
			flag: text().Variation("c", `"`+strings.Repeat("c", 150<<10)+`"`),
			want: []string{`spec: has 153726 bytes as JSON; kubectl apply without --server-side fails as soon as all annotations pass 256 KiB`},
		},

		"leaving the flagd file": {
			old: described("compatible").Obj(), flag: described("incompatible"),
			want: []string{`spec: the flag leaves the flagd files of "production", where SDKs then serve the default in the code: operator Matches has no form there`},
		},
		"never having been in it": {
			old: described("incompatible").Fallthrough("on").Obj(), flag: described("incompatible"),
			want: []string{`spec: the flag is not in the flagd files of "production", where SDKs then serve the default in the code: operator Matches has no form there`},
		},
		"not created in it either": {
			flag: described("incompatible"),
			want: []string{`spec: the flag is not in the flagd files of "production", where SDKs then serve the default in the code: operator Matches has no form there`},
		},
		"an archived flag is in no flagd file": {flag: described("incompatible").Archived()},

		"names that are nearly right": {
			others: flags{other("payments-v2").Key("payments_v2").Obj()},
			flag: mine().Environment("prod").Prerequisite("paymentsV2", "on").Prerequisite("payments_v2", "of").
				Rule(builders.MakeRule("r").ABTest("purchases").Audiences("tester").Serve("on")),
			want: []string{
				`REST refuses spec.environments[1].name: FlagEnvironment "prod" does not exist; did you mean "production"?`,
				`REST refuses spec.environments[1].prerequisites[0].flag: no FeatureFlag has the key "paymentsV2"; the prerequisite is not met until one does; did you mean "payments_v2"?`,
				`REST refuses spec.environments[1].prerequisites[1].variations[0]: flag "payments_v2" has no variation "of"; did you mean "off" or "on"?`,
				`REST refuses spec.environments[1].rules[0].audiences[0]: FlagAudience "tester" does not exist, and holds for nobody until it does; did you mean "testers"?`,
				`REST refuses spec.environments[1].rules[0].metrics[0]: no FlagEvent has the key "purchases"; did you mean "purchase"?`,
			},
		},

		"weights that are no percents": {
			flag: mine().Rule(builders.MakeRule("r").Split("on", 50).Split("off", 30), builders.MakeRule("s").Disabled().Split("on", 60).Split("off", 60)),
			want: []string{`spec.environments[0].rules[0].split: the weights sum to 80, not to 100: "on" gets 62.5 %, "off" gets 37.5 %; 1 more do not sum to 100 either`},
		},
		"weights that are thirds": {
			flag: mine().Rule(builders.MakeRule("r").Split("on", 1).Split("off", 2)),
			want: []string{`spec.environments[0].rules[0].split: the weights sum to 3, not to 100: "on" gets 33.333 %, "off" gets 66.667 %`},
		},
		"weights that are percents":        {flag: mine().Rule(builders.MakeRule("r").Split("on", 5).Split("off", 95))},
		"weights that are tenths of those": {flag: mine().Rule(builders.MakeRule("r").Split("on", 125).Split("off", 875))},

		"a variation that nothing serves": {
			flag: text().Created(created.Add(time.Hour), "x").Environment("production").Variation("c", `"C"`).Variation("d", `"D"`).
				Rule(builders.MakeRule("r").Disabled().Serve("b")).Override("alice", "c"),
			want: []string{`spec.variations[3]: nothing serves variation "d": no default, override, rule or split of any environment names it`},
		},
		"a variation that nothing serves yet": {flag: text().Created(created.Add(time.Hour), "x").Variation("c", `"C"`)},

		"nulls within values": {
			flag: builders.MakeFlag("x", "shop").Type(v1alpha1.FlagTypeJSON).Created(created.Add(time.Hour), "x").
				Variation("a", `{"limits":[1,{"max":null}],"note":"null"}`).Variation("b", `{"note":"null"}`).
				Spec(func(s *v1alpha1.FeatureFlagSpec) { s.Variations[1].Payload = &v1alpha1.JSON{Raw: []byte(`[null]`)} }),
			want: []string{
				`spec.variations[0].value: holds null at .limits[1].max, which kubectl apply without --server-side removes at the next change; leave the member out`,
				`spec.variations[1].payload: holds null at [0], which kubectl apply without --server-side removes at the next change; leave the member out`,
			},
		},
		"long names": {
			flag: boolean().Environment(strings.Repeat("e", 63)).Prerequisite(strings.Repeat("k", 128), strings.Repeat("v", 128)),
			want: []string{
				`REST refuses spec.environments[0].name: FlagEnvironment "` + strings.Repeat("e", 63) + `" does not exist`,
				`REST refuses spec.environments[0].prerequisites[0].flag: no FeatureFlag has the key "` + strings.Repeat("k", 97) + `…"; the prerequisite is not met until one does`,
			},
		},
	} {
		t.Run(tc, func(t *testing.T) {
			production, silent := environment("production", test.bytes), environment("staging", 0)
			production.Spec.Production = test.isProduction
			silent.Spec.Datafile.Formats = []v1alpha1.DatafileFormat{v1alpha1.DatafileFormatNative}
			objects := validation.NewObjects(
				append(test.others, mine().Obj()),
				[]*v1alpha1.FlagEnvironment{silent, production},
				[]*v1alpha1.FlagAudience{
					builders.MakeAudience("testers", "shop").Obj(),
				},
				[]*v1alpha1.FlagEvent{builders.MakeEvent("e", "shop").Key("purchase").Obj()},
			)
			found, err := validation.FeatureFlagFindings(t.Context(), objects, incompatible, test.old, test.flag.Obj())
			if diff := cmp.Diff(test.want, warnings(t, found, err)); diff != "" {
				t.Errorf("a user reads other warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindingAsErrorOfREST(t *testing.T) {
	finding := validation.Finding{
		Kind:   validation.NotFound,
		Field:  "spec.environments[0].name",
		Detail: `FlagEnvironment "x" does not exist`,
	}
	if got, want := finding.FieldError().Error(), `spec.environments[0].name: Invalid value: FlagEnvironment "x" does not exist`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	finding.Detail = strings.Repeat("é", 200)
	if got := finding.Warning(); len(got) > 256 || !strings.HasSuffix(got, "é…") {
		t.Errorf("the API server cuts a warning of %d bytes: %q", len(got), got)
	}
}

func TestFlagAudienceFindings(t *testing.T) {
	objects := validation.NewObjects(
		nil,
		[]*v1alpha1.FlagEnvironment{environment("staging", 0), environment("production", 900_000)},
		nil,
		nil,
	)
	large := builders.MakeAudience("x", "shop").Members(many(16000, "member-%05d")...).Obj()
	for tc, test := range map[string]struct {
		old  *v1alpha1.FlagAudience
		want []string
	}{
		"created": {nil, []string{
			`spec: the datafile of environment "production" grows to about 1140013 bytes, 108 % of what a ConfigMap holds; archive flags or split the project`,
			`spec: has 240013 bytes as JSON; kubectl apply without --server-side fails as soon as all annotations pass 256 KiB`,
		}},
		"unchanged": {large, nil},
		"shrunk": {builders.MakeAudience("x", "shop").Members(many(17000, "member-%05d")...).Obj(), []string{
			`spec: has 240013 bytes as JSON; kubectl apply without --server-side fails as soon as all annotations pass 256 KiB`,
		}},
	} {
		t.Run(tc, func(t *testing.T) {
			found, err := validation.FlagAudienceFindings(t.Context(), objects, test.old, large)
			if diff := cmp.Diff(test.want, warnings(t, found, err)); diff != "" {
				t.Errorf("a user reads other warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFlagEventFindings(t *testing.T) {
	first := builders.MakeEvent("purchase", "shop").Created(created, "1").Obj()
	second := builders.MakeEvent("buy", "shop").Key("purchase").Created(created.Add(time.Hour), "2").Obj()
	objects := validation.NewObjects(nil, nil, nil, []*v1alpha1.FlagEvent{second, first})
	found, err := validation.FlagEventFindings(t.Context(), objects, nil, second)
	want := []string{
		`REST refuses spec.key: FlagEvent "purchase" holds the key "purchase" already; this event is not published until that one is gone`,
	}
	if diff := cmp.Diff(want, warnings(t, found, err)); diff != "" {
		t.Errorf("a user reads other warnings (-want +got):\n%s", diff)
	}
	if found, err := validation.FlagEventFindings(t.Context(), objects, nil, first); len(found) > 0 || err != nil {
		t.Errorf("who holds the key is warned: %v, %v", found, err)
	}
	if found, err := validation.FlagEventFindings(t.Context(), objects, second, second); len(found) > 0 || err != nil {
		t.Errorf("who changes nothing is warned: %v, %v", found, err)
	}
}

// failing is a namespace that cannot be read.
type failing struct{ *validation.Objects }

func (failing) Environments(context.Context) ([]*v1alpha1.FlagEnvironment, error) {
	return nil, errors.New("no connection")
}

func TestFindingsFail(t *testing.T) {
	_, err := validation.FeatureFlagFindings(
		t.Context(),
		failing{validation.NewObjects(nil, nil, nil, nil)},
		nil,
		nil,
		boolean().Obj(),
	)
	if err == nil || err.Error() != "find environments: no connection" {
		t.Errorf("a namespace that cannot be read gives %v instead of its error", err)
	}
}
