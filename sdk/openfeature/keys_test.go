// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"encoding/json"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// awkwardKeys are keys as files of flagd have them.
var awkwardKeys = []string{
	"10%", "100%25", "promo: 10% off", "ui/dark:mode", "a b", "ünder", "日本 語", "a.b", "a..b", "a+b#c&d=e?", `say "on"`,
	`a\b`, "$ref", "true", "null", "0", "targetingKey", "<b>",
}

const (
	offKey   = "default: 0%"
	splitKey = "for all: 100%"
)

// awkwardFlag names what it serves by the variation in every way in which a flag decides, but for a split.
func awkwardFlag(t *testing.T, key, variation string) *datafile.Flag {
	t.Helper()
	value, err := json.Marshal(variation)
	must(t, err)
	plan := func(is string) []datafile.Condition {
		return []datafile.Condition{{Attribute: "plan", Operator: datafile.In, Values: []string{is}}}
	}
	return &datafile.Flag{
		Type: datafile.String, Enabled: true, DefaultVariation: offKey, Fallthrough: variation,
		Variations: []datafile.Variation{
			{Key: offKey, Value: json.RawMessage(`"default"`)}, {Key: variation, Value: value},
			{Key: splitKey, Value: json.RawMessage(`"split"`)},
		},
		Overrides: map[string]string{"by hand: " + key: variation},
		Rules: []datafile.Rule{
			{Name: "50%: " + key, Variation: variation, Conditions: plan("be ta: 1%")},
			{
				Name: "split: " + key, Conditions: plan("split"), Salt: "10%:",
				Split: []datafile.Weight{{Variation: splitKey, Weight: 1}},
			},
		},
	}
}

// A flag that is not found under its key, or whose variation is told under another one, gives code its own default and
// tells experiments nothing.
func TestKeys(t *testing.T) {
	flags := map[string]*datafile.Flag{"last": {
		Type: datafile.Boolean, Enabled: true, DefaultVariation: offKey, Fallthrough: "on: 100%",
		Variations: []datafile.Variation{
			{Key: "on: 100%", Value: json.RawMessage("true")}, {Key: offKey, Value: json.RawMessage("false")},
		},
	}}
	// What is served is named by another of the keys.
	variationOf := func(i int) string { return awkwardKeys[(i+1)%len(awkwardKeys)] }
	for i, key := range awkwardKeys {
		flags[key] = awkwardFlag(t, key, variationOf(i))
		flags["last"].Prerequisites = append(flags["last"].Prerequisites,
			datafile.Prerequisite{Flag: key, Variations: []string{variationOf(i)}})
	}
	client := serve(t, document(1, flags))
	for i, key := range awkwardKeys {
		variation := variationOf(i)
		for name, tc := range map[string]struct {
			subject, plan, value, variant string
			reason                        openfeature.Reason
		}{
			"fallthrough": {"alice", "", variation, variation, openfeature.DefaultReason},
			"override":    {"by hand: " + key, "", variation, variation, openfeature.TargetingMatchReason},
			"rule":        {"alice", "be ta: 1%", variation, variation, openfeature.TargetingMatchReason},
			"split":       {"alice", "split", "split", splitKey, openfeature.TargetingMatchReason},
		} {
			who := openfeature.NewEvaluationContext(tc.subject, map[string]any{"plan": tc.plan})
			got, err := client.StringValueDetails(t.Context(), key, "code", who)
			if err != nil || got.Value != tc.value || got.Variant != tc.variant || got.Reason != tc.reason {
				t.Errorf("%q, %s: got %+v, error %v; want %q by %q, %s", key, name, got, err, tc.value, tc.variant, tc.reason)
			}
		}
	}
	last, err := client.BooleanValueDetails(t.Context(), "last", false, openfeature.NewTargetlessEvaluationContext(nil))
	if err != nil || !last.Value || last.Variant != "on: 100%" {
		t.Errorf("a flag that requires all others is off: %+v, %v", last, err)
	}
}

// Nothing that only looks like a key is one: what code asks for is not decoded, trimmed or folded.
func TestKeysThatAreNone(t *testing.T) {
	flags := map[string]*datafile.Flag{}
	for _, key := range awkwardKeys {
		flags[key] = awkwardFlag(t, key, "on")
	}
	client := serve(t, document(1, flags))
	for _, near := range []string{"10%25", "100%", "A B", "a b ", "ui/dark%3Amode", "under", "a", "", "&lt;b&gt;"} {
		got, err := client.StringValueDetails(t.Context(), near, "code", openfeature.NewTargetlessEvaluationContext(nil))
		if err == nil || got.ErrorCode != openfeature.FlagNotFoundCode || got.Value != "code" {
			t.Errorf("%q is not a flag, and is answered %+v", near, got)
		}
	}
}
