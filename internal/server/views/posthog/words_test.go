// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// Whoever reads the activity knows PostHog's words alone: a brake of the environment that is shown is a flag that is
// not active, a brake elsewhere is none, and what PostHog has no field for is not told in the manifest's words.
func TestActivityHasPostHogsWords(t *testing.T) {
	const brake = "metadata.annotations[" + v1alpha1.ForceDisabledAnnotation + "]"
	for name, tc := range map[string]struct {
		path, from, to string
		want           string // The fields with before and after.
	}{
		"a brake":            {brake, "", `"production"`, "active true→false"},
		"a brake that ends":  {brake, `"production"`, `""`, "active false→true"},
		"a brake of another": {brake, `"production"`, `"production,staging"`, "environments[staging].active true→false"},
		"the name":           {"spec.displayName", `"a"`, `"b"`, `name "a"→"b"`},
		"the classification": {"spec.classification", `"Release"`, `"KillSwitch"`, ""},
		"the bucketing":      {"spec.bucketing", `"Murmur3"`, `"PostHogSHA1"`, ""},
		"the history limit":  {"spec.historyLimit", `25`, `30`, ""},
		"a rule's salt":      {"spec.environments[production].rules[beta].salt", "", `"s"`, ""},
		"a rule's type":      {"spec.environments[production].rules[beta].type", `"TargetedDelivery"`, `"ABTest"`, ""},
		"a schedule":         {"spec.environments[production].schedule.enableAt", "", `"2027-01-02T03:04:05Z"`, ""},
		"a share": {
			"spec.environments[production].rules[beta].traffic", `"10%"`, `"20%"`,
			`filters {"groups":[{"rollout_percentage":10,"sort_key":"beta"}]}→{"groups":[{"rollout_percentage":20,"sort_key":"beta"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			change := history.Change{Path: tc.path, To: json.RawMessage(tc.to)}
			if tc.from != "" {
				change.From = json.RawMessage(tc.from)
			}
			var told []string
			for _, of := range changesIn(&history.Record{Changes: []history.Change{change}}, "production") {
				told = append(told, of.Field+" "+string(of.Before)+"→"+string(of.After))
			}
			if got := strings.Join(told, ", "); got != tc.want {
				t.Errorf("told is %q, want %q", got, tc.want)
			}
		})
	}
}
