// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// These are the most frequent mistakes in manifests. Each one has to name its field and what to write instead, and must
// not hide the others.
func TestTypes(t *testing.T) {
	for name, tc := range map[string]struct {
		manifest string
		want     []string
		// meant is the spec as it is read on, where the test looks at it.
		meant string
	}{
		"nothing wrong": {
			manifest: `{type: Boolean, variations: [{key: "on", value: true}], environments: [{name: a, enabled: true}]}`,
		},
		"unquoted on and off": {
			manifest: `{variations: [{key: off, value: false}, {key: on, value: true}], defaultVariation: off}`,
			want: []string{
				`spec.defaultVariation: Invalid value: "false": must be text; YAML reads on, off, yes, no, y, n, true and false as a boolean unless they are in quotes: write "off" in quotes`,
				`spec.variations[0].key: Invalid value: "false": must be text; YAML reads on, off, yes, no, y, n, true and false as a boolean unless they are in quotes: write "off" in quotes`,
				`spec.variations[1].key: Invalid value: "true": must be text; YAML reads on, off, yes, no, y, n, true and false as a boolean unless they are in quotes: write "on" in quotes`,
			},
			meant: `{"defaultVariation":"off","variations":[{"key":"off","value":false},{"key":"on","value":true}]}`,
		},
		"numbers in values": {
			manifest: `{environments: [{name: a, rules: [{name: r, conditions: [{attribute: country, operator: In, values: [1, 2.5, x]}]}]}]}`,
			want: []string{
				`spec.environments[0].rules[0].conditions[0].values[0]: Invalid value: "1": must be text, and is a number; write "1" in quotes`,
				`spec.environments[0].rules[0].conditions[0].values[1]: Invalid value: "2.5": must be text, and is a number; write "2.5" in quotes`,
			},
		},
		"a single value": {
			manifest: `{environments: [{name: a, rules: [{name: r, conditions: [{attribute: country, operator: In, values: DE}]}]}]}`,
			want:     []string{`spec.environments[0].rules[0].conditions[0].values: Invalid value: "\"DE\"": must be a list, and is a single value; write ["DE"]`},
			meant:    `{"environments":[{"name":"a","rules":[{"conditions":[{"attribute":"country","operator":"In","values":["DE"]}],"name":"r"}]}]}`,
		},
		"traffic as a number": {
			manifest: `{environments: [{name: a, rules: [{name: r, traffic: 12.5}]}]}`,
			want:     []string{`spec.environments[0].rules[0].traffic: Invalid value: "12.5": must be text, and is a number; write "12.5%" in quotes`},
		},
		"weights": {
			manifest: `{environments: [{name: a, rules: [{name: r, split: [{variation: "on", weight: 12.5}, {variation: "off", weight: "50"}]}]}]}`,
			want: []string{
				`spec.environments[0].rules[0].split[0].weight: Invalid value: "12.5": must be a whole number; shares such as 12.5 and 87.5 are written 125 and 875`,
				`spec.environments[0].rules[0].split[1].weight: Invalid value: "\"50\"": must be a whole number without quotes, and is text`,
			},
		},
		"times and booleans": {
			manifest: `{archived: "no", environments: [{name: a, enabled: "true", schedule: {enableAt: tomorrow, disableAt: "2027-03-15"}}]}`,
			want: []string{
				`spec.archived: Invalid value: "\"no\"": must be true or false without quotes, and is text`,
				`spec.environments[0].enabled: Invalid value: "\"true\"": must be true or false without quotes, and is text`,
				`spec.environments[0].schedule.disableAt: Invalid value: "2027-03-15": must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`,
				`spec.environments[0].schedule.enableAt: Invalid value: "tomorrow": must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`,
			},
			meant: `{"archived":false,"environments":[{"enabled":true,"name":"a","schedule":{}}]}`,
		},
		"an object for a list": {
			manifest: `{environments: {name: a}, tags: [1], metadata: {jira: 12}}`,
			want: []string{
				`spec.environments: Invalid value: "{\"name\":\"a\"}": must be a list, and is an object; begin each entry with "- "`,
				`spec.metadata[jira]: Invalid value: "12": must be text, and is a number; write "12" in quotes`,
				`spec.tags[0]: Invalid value: "1": must be text, and is a number; write "1" in quotes`,
			},
		},
		"no object at all": {
			manifest: `[]`,
			want:     []string{`spec: Invalid value: "[]": must be an object with fields, and is a list`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := yaml.YAMLToJSON([]byte(tc.manifest))
			if err != nil {
				t.Fatal(err)
			}
			fields := map[string]any{}
			if err := utiljson.Unmarshal([]byte(`{"spec":`+string(data)+`}`), &fields); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, err := range Types(fields, &v1alpha1.FeatureFlag{}) {
				got = append(got, err.Error())
			}
			if delta := cmp.Diff(sortedTexts(tc.want), sortedTexts(got)); delta != "" {
				t.Errorf("mistakes (-want +got):\n%s", delta)
			}
			read, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(read, &v1alpha1.FeatureFlag{}); err != nil {
				t.Errorf("what was probably meant cannot be read: %v", err)
			}
			if spec, _ := json.Marshal(fields["spec"]); tc.meant != "" && string(spec) != tc.meant {
				t.Errorf("what was probably meant is %s, want %s", spec, tc.meant)
			}
		})
	}
}

func sortedTexts(texts []string) []string {
	sorted := slices.Clone(texts)
	slices.Sort(sorted)
	return sorted
}
