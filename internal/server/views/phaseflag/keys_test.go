// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// A list of a thousand stars goes through the flags once.
func TestKeysGoThroughFlagsOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		asked, want []string
		times       int
	}{
		"two flags":       {[]string{"b", "made-up", "b"}, []string{"b", "made-up"}, 0},
		"all":             {[]string{"*"}, []string{"a", "b"}, 1},
		"all, often":      {slices.Repeat([]string{"*"}, 1000), []string{"a", "b"}, 1},
		"all and another": {[]string{"*", "made-up", "a", "*"}, []string{"a", "b", "made-up"}, 1},
	} {
		times := 0
		all := func(yield func(*evaluate.Flag) bool) {
			times++
			_ = yield(&evaluate.Flag{Key: "a"}) && yield(&evaluate.Flag{Key: "b"})
		}
		got := slices.Sorted(maps.Keys(keys(tc.asked, all)))
		if !slices.Equal(got, tc.want) || times != tc.times {
			t.Errorf("%s: %v, after going through the flags %d times", name, got, times)
		}
	}
}

// A mistake is told where the request has it: the Kind's list of values is a value here.
func TestSingle(t *testing.T) {
	update := Update{TargetingRules: []Rule{{}, {Conditions: []Condition{
		{Value: json.RawMessage(`["a"]`)}, {Value: json.RawMessage(`"a"`)},
	}}}}
	for path, want := range map[string]string{
		"targeting_rules[1].conditions[0].value[0]": "targeting_rules[1].conditions[0].value[0]",
		"targeting_rules[1].conditions[1].value[0]": "targeting_rules[1].conditions[1].value",
		"targeting_rules[1].conditions[1].operator": "targeting_rules[1].conditions[1].operator",
		"variations[0].value":                       "variations[0].value",
	} {
		if got := update.single(path); got != want {
			t.Errorf("%s is told as %s, want %s", path, got, want)
		}
	}
}

// A message names an operator as the request does, and not as the Kind, whatever comes after it.
func TestWords(t *testing.T) {
	for kind, want := range map[string]string{
		"operator GreaterThan: must be a decimal number": "operator gt: must be a decimal number",
		"operator GreaterThan takes exactly one value":   "operator gt takes exactly one value",
		"operator GreaterThanOrEqual: must be a number":  "operator gte: must be a number",
		"operator Exists takes no values":                "operator exists takes no values",
		"it is not of the flag's type JSON":              "it is not of the flag's type json",
		"a Boolean flag has exactly two variations":      "a boolean flag has exactly two variations",
	} {
		if got := words().Replace(kind); got != want {
			t.Errorf("%q and not %q", got, want)
		}
	}
}
