// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// TestChoices fails where a targeting of flagd's own test suite answers by another variation or reason after its import.
func TestChoices(t *testing.T) {
	const byTier = `{"if": [{"==": [{"var": "tier"}, "premium"]}, %s, %s]}`
	cat := `{"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}`
	for name, tc := range map[string]struct {
		targeting string
		context   map[string]any
		want      string
		reason    evaluate.Reason
		lost      string
	}{
		"a choice of the variant inside a fractional": {
			`{"fractional": [` + cat + `, [` + fmt.Sprintf(byTier, `"red"`, `"green"`) + `, 100]]}`,
			map[string]any{"targetingKey": "a", "tier": "premium"}, "red", evaluate.TargetingMatch, "",
		},
		"its other branch": {
			`{"fractional": [` + cat + `, [` + fmt.Sprintf(byTier, `"red"`, `"green"`) + `, 100]]}`,
			map[string]any{"targetingKey": "a"}, "green", evaluate.TargetingMatch, "",
		},
		"a choice of the weight inside a fractional": {
			`{"fractional": [` + cat + `, ["red", ` + fmt.Sprintf(byTier, "100", "0") + `], ["green", 10]]}`,
			map[string]any{"targetingKey": "a"}, "green", evaluate.TargetingMatch, "",
		},
		"a negative weight counts for none": {
			`{"fractional": [` + cat + `, ["red", -50], ["green", 100]]}`, map[string]any{"targetingKey": "a"}, "green", evaluate.TargetingMatch, "",
		},
		"a split without weight chooses nothing": {
			`{"fractional": [` + cat + `, ["red", 0]]}`, map[string]any{"targetingKey": "a"}, "blue", evaluate.Static, "",
		},
		"an attribute alone is hashed without a salt": {
			`{"fractional": [{"var": "targetingKey"}, ["red", 50], ["green", 50]]}`,
			map[string]any{"targetingKey": "ejOoVL"}, "red", evaluate.Split, "", // Its hash is 0.
		},
		"in the place of a missing attribute the flag's key and the targeting key are hashed": {
			`{"fractional": [{"var": "email"}, ["red", 1], ["green", 99]]}`,
			map[string]any{"targetingKey": "b"}, "green", evaluate.Split, "",
		},
		"nothing to hash": {
			`{"fractional": [{"var": "email"}, ["red", 50], ["green", 50]]}`, nil, "blue", evaluate.Default, "",
		},
		"an empty attribute is hashed": {
			`{"fractional": [{"var": "email"}, ["red", 50], ["green", 50]]}`,
			map[string]any{"email": ""}, "red", evaluate.TargetingMatch, "",
		},
		"a choice that makes neighbours of one variant": {
			`{"fractional": [` + cat + `, [` + fmt.Sprintf(byTier, `"red"`, `"green"`) + `, 50], ["green", 50]]}`,
			map[string]any{"targetingKey": "a"}, "green", evaluate.TargetingMatch, "",
		},
		"an attribute names the variant inside a fractional": {
			`{"fractional": [` + cat + `, [{"var": "color"}, 100]]}`,
			map[string]any{"targetingKey": "a", "color": "green"}, "green", evaluate.TargetingMatch, "names no variant",
		},
		"an attribute names the variant": {
			`{"var": "color"}`, map[string]any{"color": "red"}, "red", evaluate.TargetingMatch, "names no variant",
		},
		"a fractional as a condition": {
			`{"if": [{"fractional": [` + cat + `, [false, 0], [true, 100]]}, "red", "green"]}`,
			map[string]any{"targetingKey": "a"}, "red", evaluate.TargetingMatch, "",
		},
		"a fractional as a condition, with nothing to hash": {
			`{"if": [{"fractional": [[false, 0], [true, 100]]}, "red", "green"]}`, nil, "green", evaluate.TargetingMatch, "",
		},
		"the targeting chooses the default": {
			`{"if": [{"==": [{"var": "tier"}, "premium"]}, "red", "blue"]}`, nil, "blue", evaluate.TargetingMatch, "",
		},
		"the targeting chooses nothing": {
			`{"if": [{"==": [{"var": "tier"}, "premium"]}, "red"]}`, nil, "blue", evaluate.Default, "",
		},
		"choices that become too many rules": {
			`{"fractional": [` + cat + strings.Repeat(`, [`+fmt.Sprintf(byTier, `"red"`, `"green"`)+`, `+fmt.Sprintf(byTier, "1", "2")+`]`, 12) + `]}`,
			nil, "blue", evaluate.Static, "targeting is left out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := importFlags(
				t,
				[]byte(
					`{"flags": {"a": {"state": "ENABLED", "defaultVariant": "blue", "variants": {"red": "r", "green": "g", "blue": "b"},
				"targeting": `+tc.targeting+`}}}`,
				),
			)
			if len(result.Flags) != 1 {
				t.Fatalf("the losses are %v", result.Losses)
			}
			if tc.lost == "" && len(result.Losses) > 0 ||
				tc.lost != "" && !strings.Contains(fmt.Sprint(result.Losses), tc.lost) {
				t.Errorf("the losses are %v", result.Losses)
			}
			form, err := compile.Flag(result.Flags[0], "production")
			if err != nil {
				t.Fatal(err)
			}
			engine, err := evaluate.New(&datafile.Document{
				Header: datafile.Header{SchemaVersion: datafile.SchemaVersion}, Flags: map[string]*datafile.Flag{"a": form},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := engine.Evaluate("a", tc.context, time.Unix(0, 0))
			if got.Variation == nil || got.Variation.Key != tc.want || got.Reason != tc.reason {
				t.Errorf("it answers %+v by %s, want %s by %s", got.Variation, got.Reason, tc.want, tc.reason)
			}
		})
	}
}
