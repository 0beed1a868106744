// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Configuration sums up what a flag serves at a time: On or Off where every context gets the same answer, Off where
// that is the flag's default variation, else Mixed. A nil form serves nothing, which is Off.
func Configuration(form *datafile.Flag, now time.Time) v1alpha1.Configuration {
	if form == nil || !form.Enabled || !form.Schedule.OnAt(now) {
		return v1alpha1.ConfigurationOff
	}
	served := servedVariations(form)
	switch {
	case len(served) > 1:
		return v1alpha1.ConfigurationMixed
	case served[offVariation(form)]:
		return v1alpha1.ConfigurationOff
	default:
		return v1alpha1.ConfigurationOn
	}
}

// OnlyVariation returns the one variation that every context gets at any time, and whether there is such a one.
func OnlyVariation(form *datafile.Flag) (string, bool) {
	if form == nil {
		return "", false
	}
	served := map[string]bool{offVariation(form): true}
	if form.Enabled {
		served = servedVariations(form)
		if form.Schedule != nil {
			served[offVariation(form)] = true
		}
	}
	if len(served) != 1 || served[codeDefault] {
		return "", false
	}
	for variation := range served {
		return variation, true
	}
	return "", false
}

// NextChange returns the first instant after now at which a schedule turns the flag on or off, and whether there is
// one.
func NextChange(form *datafile.Flag, now time.Time) (time.Time, bool) {
	if form == nil || form.Schedule == nil {
		return time.Time{}, false
	}
	instants, err := form.Schedule.Instants()
	if err != nil {
		return time.Time{}, false
	}
	next, ok := instants.Next(now.Unix())
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(next, 0).UTC(), true
}

// OnBySchedule reports whether the schedule of a flag that is enabled has it on at a time. Without one it is on.
func OnBySchedule(schedule *v1alpha1.Schedule, now time.Time) bool {
	return compileSchedule(schedule).OnAt(now)
}

// codeDefault stands for the default of the code that asks, among the keys of variations.
const codeDefault = ""

// offVariation is the key of the variation that is served while the flag is off.
func offVariation(form *datafile.Flag) string {
	if form.CodeDefault {
		return codeDefault
	}
	return form.DefaultVariation
}

// servedVariations are the keys of the variations that some context may get while the flag is on.
func servedVariations(form *datafile.Flag) map[string]bool {
	served := map[string]bool{}
	if len(form.Prerequisites) > 0 {
		served[offVariation(form)] = true
	}
	for _, variation := range form.Overrides {
		served[variation] = true
	}
	for i := range form.Rules {
		rule := &form.Rules[i]
		if rule.Traffic != nil && *rule.Traffic == 0 {
			continue
		}
		if rule.Variation != "" {
			served[rule.Variation] = true
		}
		for _, entry := range rule.Split {
			if entry.Weight > 0 {
				served[entry.Variation] = true
			}
		}
		if len(rule.Audiences) == 0 && len(rule.Conditions) == 0 && rule.Traffic == nil && rule.Split == nil {
			return served // Nothing after this rule is reached.
		}
	}
	if form.Fallthrough != "" {
		served[form.Fallthrough] = true
	} else {
		served[offVariation(form)] = true
	}
	return served
}
