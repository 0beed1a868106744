// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// Whoever reads the history of this API knows its words alone: a brake is a flag that was switched off, and what the
// API has no word for is not told in those of the manifest.
func TestHistoryHasTheWordsOfTheView(t *testing.T) {
	const brake = "metadata.annotations[" + v1alpha1.ForceDisabledAnnotation + "]"
	for name, tc := range map[string]struct {
		changes []history.Change
		want    string
	}{
		"a brake": {
			all(change(brake, "", `"production"`)),
			`{"enabled": {"from": true, "to": false}}`,
		},
		"a brake that ends": {
			all(change(brake, `"production"`, `""`)),
			`{"enabled": {"from": false, "to": true}}`,
		},
		"a brake of another": {
			all(change(brake, `"production"`, `"production,staging"`)),
			`{"environments[staging].enabled": {"from": true, "to": false}}`,
		},
		"on for good": {
			all(change(brake, `"production"`, `""`), change("spec.environments[production].enabled", "false", "true")),
			`{"enabled": {"from": false, "to": true}}`,
		},
		"off and braked": {
			all(change("spec.environments[production].enabled", "true", "false"), change(brake, "", `"production"`)),
			`{"enabled": {"from": true, "to": false}}`,
		},
		"off as a brake ends": {
			all(change("spec.environments[production].enabled", "true", "false"), change(brake, `"production"`, `""`)),
			`{"enabled": {"from": true, "to": false}}`,
		},
		"another annotation": {all(change("metadata.annotations[team]", "", `"x"`)), `{}`},
		"a label":            {all(change("metadata.labels[team]", "", `"x"`)), `{}`},
		"the runtime":        {all(change("spec.runtime", `"All"`, `"Server"`)), `{}`},
		"the bucketing":      {all(change("spec.bucketing", "", `"Murmur3"`)), `{}`},
		"an override": {
			all(change("spec.environments[production].overrides[alice].variation", `"on"`, `"off"`)),
			`{}`,
		},
		"a rule's salt": {
			all(change("spec.environments[production].rules[beta].salt", "", `"s"`)),
			`{}`,
		},
		"a rule's type": {
			all(change("spec.environments[production].rules[beta].type", `"TargetedDelivery"`, `"ABTest"`)),
			`{}`,
		},
		"a payload": {all(change("spec.variations[on].payload", "", `{"a":1}`)), `{}`},
		"a value": {
			all(change("spec.variations[on].value", `"a"`, `"b"`)),
			`{"variations[on].value": {"from": "a", "to": "b"}}`,
		},
		"a schedule": {
			all(change("spec.environments[production].schedule.enableAt", "", `"2027-01-02T03:04:05Z"`)),
			`{"schedule.enable_at": {"from": null, "to": "2027-01-02T03:04:05Z"}}`,
		},
		"a part": {
			all(change("spec.environments[production]", "", `{"name":"production","enabled":true,"overrides":[{"targetingKey":"a","variation":"on"}]}`)),
			`{"enabled": {"from": false, "to": true}}`,
		},
		"a part for another": {
			all(change("spec.environments[staging]", "", `{"name":"staging","enabled":true,"rules":[{"name":"beta","type":"TargetedDelivery","variation":"on","traffic":"10%"}]}`)),
			`{"environments[staging].enabled": {"from": false, "to": true}, "environments[staging].targeting_rules": {"from": null,
				"to": [{"id": "beta", "name": "beta", "priority": 1, "conditions": [], "variation": "on", "traffic_percentage": 10}]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			shows, err := json.Marshal(showRecord(&history.Record{Changes: tc.changes}, "production").Changes)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if json.Unmarshal(shows, &got) != nil || json.Unmarshal([]byte(tc.want), &want) != nil {
				t.Fatalf("%s and %s are not JSON", shows, tc.want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func all(changes ...history.Change) []history.Change { return changes }

func change(path, from, to string) history.Change {
	of := history.Change{Path: path, To: json.RawMessage(to)}
	if from != "" {
		of.From = json.RawMessage(from)
	}
	return of
}
