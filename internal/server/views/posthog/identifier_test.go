// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// In PostHog a flag has one bucketing identifier. Whoever chose the device in production must not get a rollout by
// person in staging, and an environment that has a choice of its own must keep it.
func TestABucketingIdentifierCarriesOver(t *testing.T) {
	const (
		groups   = `{"filters": {"groups": [{"properties": [], "rollout_percentage": 40}]}}`
		none     = `{"filters": {"groups": []}}`
		byDevice = `{"bucketing_identifier": "device_id"}`
		byPerson = `{"bucketing_identifier": "distinct_id"}`
		name     = `{"name": "x"}`
	)
	type step struct{ environment, body string }
	for what, tc := range map[string]struct {
		steps []step
		want  map[string]string
	}{
		"to where nothing hashes": {
			[]step{{"production", byDevice}, {"staging", groups}},
			map[string]string{"production": "device_id", "staging": "device_id"},
		},
		"from groups": {
			[]step{{"production", byDevice}, {"production", groups}, {"staging", groups}},
			map[string]string{"staging": "device_id", "development": "device_id"},
		},
		"and stays a guess until then": {
			[]step{{"production", byDevice}, {"staging", name}, {"production", byPerson}},
			map[string]string{"staging": "distinct_id", "production": "distinct_id"},
		},
		"not to groups that hash the person": {
			[]step{{"staging", groups}, {"production", byDevice}, {"staging", none}, {"staging", groups}},
			map[string]string{"staging": "distinct_id", "production": "device_id"},
		},
		"not over a choice": {
			[]step{{"production", byDevice}, {"staging", byPerson}, {"staging", name}, {"staging", groups}},
			map[string]string{"staging": "distinct_id", "production": "device_id"},
		},
		"not where environments differ": {
			[]step{{"staging", groups}, {"production", byDevice}, {"development", groups}},
			map[string]string{"development": "distinct_id"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			flag := builders.MakeFlag("x", "shop").Boolean().Defaulted().Obj()
			for _, step := range tc.steps {
				fields := &Fields{}
				if err := json.Unmarshal([]byte(step.body), fields); err != nil {
					t.Fatal(err)
				}
				made := (&view{}).change(t.Context(), &lookup.Place{
					Project:     &server.Project{Name: "shop"},
					Environment: builders.MakeEnvironment(step.environment, "shop").Obj(),
				}, fields, false)
				if err := made.apply(flag); err != nil {
					t.Fatal(err)
				}
			}
			stored := server.ViewFields[filters.Kept](flag, filters.ViewName)
			for environment, want := range tc.want {
				if got := stored.Identifier(flag, environment); got != want {
					t.Errorf("%s is shown in %s, and not %s", got, environment, want)
				}
				for _, rule := range rulesIn(flag, environment) {
					if byDevice := rule.HashAttribute == filters.DeviceID; byDevice != (want == "device_id") {
						t.Errorf("a group in %s hashes %q", environment, rule.HashAttribute)
					}
				}
			}
		})
	}
}

func rulesIn(flag *v1alpha1.FeatureFlag, environment string) []v1alpha1.Rule {
	if config := flag.In(environment); config != nil {
		return config.Rules
	}
	return nil
}
