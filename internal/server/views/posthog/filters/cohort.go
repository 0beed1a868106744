// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import "github.com/jackstaff-dev/jackstaff/sdk/datafile"

// CohortForm is an audience in PostHog's form, for clients that evaluate. It is false where they cannot.
func CohortForm(audience *datafile.Audience) (*Cohort, bool) {
	d := &describer{Surroundings: &Surroundings{Local: true}}
	cohort := &Cohort{Type: "OR"}
	add := func(conditions []datafile.Condition) bool {
		group := CohortGroup{Type: "AND"}
		for i := range conditions {
			property, remote := d.Property(&conditions[i])
			if remote != "" {
				return false
			}
			group.Values = append(group.Values, property)
		}
		cohort.Values = append(cohort.Values, group)
		return true
	}
	if len(audience.Members) > 0 &&
		!add([]datafile.Condition{{Attribute: TargetingKey, Operator: datafile.In, Values: audience.Members}}) {
		return nil, false
	}
	for i := range audience.Groups {
		if !add(audience.Groups[i].Conditions) {
			return nil, false
		}
	}
	return cohort, len(cohort.Values) > 0 // Older clients take an empty cohort for everybody.
}
