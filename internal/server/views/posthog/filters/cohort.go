// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"cmp"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// CohortForm is an audience in PostHog's form, for clients that evaluate, and why they cannot tell who is in it, which
// is empty where they can.
func CohortForm(audience *datafile.Audience) (form *Cohort, remote string) {
	d := &describer{Surroundings: &Surroundings{Local: true}}
	cohort := &Cohort{Type: "OR"}
	add := func(conditions []datafile.Condition) {
		group := CohortGroup{Type: "AND"}
		for i := range conditions {
			property, why := d.Property(&conditions[i])
			remote = cmp.Or(remote, why)
			group.Values = append(group.Values, property)
		}
		cohort.Values = append(cohort.Values, group)
	}
	if len(audience.Members) > 0 {
		add([]datafile.Condition{{Attribute: TargetingKey, Operator: datafile.In, Values: audience.Members}})
	}
	for i := range audience.Groups {
		add(audience.Groups[i].Conditions)
	}
	switch {
	case remote != "":
		return nil, remote
	case len(cohort.Values) == 0:
		return nil, "older clients take an empty cohort for everybody"
	default:
		return cohort, ""
	}
}
