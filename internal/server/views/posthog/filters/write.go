// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// References find what filters refer to.
type References struct {
	// Audience returns the name of the audience of an id, and empty where there is none.
	Audience func(id string) string
	// Flag returns the flag of a key or id, and nil where there is none.
	Flag func(id string) *v1alpha1.FeatureFlag
}

// Writer changes one environment of a flag to what filters say.
type Writer struct {
	References

	Flag    *v1alpha1.FeatureFlag
	Config  *v1alpha1.EnvironmentConfig
	Filters *Filters
	// Shown is what the filters show of the flag as it is.
	Shown *Description
	// HashAttribute is that of new rules.
	HashAttribute string

	Mistakes []server.FieldError
	// places are the groups that the rules come from, and properties those of their conditions, for the names of fields in
	// answers.
	places     []int
	properties [][]int
}

// Refuse notes what is wrong with a field.
func (w *Writer) Refuse(field, format string, arguments ...any) {
	w.Mistakes = append(w.Mistakes, server.FieldError{Field: field, Message: fmt.Sprintf(format, arguments...)})
}

func groupField(i int) string { return fmt.Sprintf("filters.groups[%d]", i) }

// Write changes the environment. A group that shows what a rule, the overrides or the default serve keeps these as they
// are, and one that names a rule by its sort key changes that rule; so what PostHog has no name for, such as metrics,
// stays. Rules that are disabled, which filters do not show, stay too. Filters without groups or variants leave these
// as they are.
func (w *Writer) Write() {
	w.refuseOthers()
	if w.Filters.noVariants && !w.isBoolean() {
		w.Refuse("filters.multivariate", "a flag with variants keeps at least one; create another flag without variants")
	}
	replaces := w.Filters.Replaces()
	if w.Filters.Groups == nil {
		w.Filters.Groups = w.Shown.Filters.Groups
	}
	if w.Filters.Multivariate == nil {
		w.Filters.Multivariate = w.Shown.Filters.Multivariate
	}
	if replaces {
		w.variants()
	}
	w.payloads()
	if replaces {
		w.groups()
	}
}

// isNothing reports whether a field that is not possible here says nothing.
func isNothing(value any) bool {
	if value == nil || value == false {
		return true
	}
	of := reflect.ValueOf(value)
	return (of.Kind() == reflect.Slice || of.Kind() == reflect.Map) && of.Len() == 0
}

// refuseOthers refuses what flags of PostHog may have and no flag here.
func (w *Writer) refuseOthers() {
	for field, value := range map[string]any{
		"super_groups": w.Filters.SuperGroups, "holdout": w.Filters.Holdout, "holdout_groups": w.Filters.HoldoutGroups,
		"feature_enrollment": w.Filters.FeatureEnrollment, "early_exit": w.Filters.EarlyExit,
	} {
		if !isNothing(value) {
			w.Refuse("filters."+field, "is not possible here")
		}
	}
	if w.Filters.AggregationGroupTypeIndex != nil {
		w.Refuse("filters.aggregation_group_type_index", "flags are released to people, not to groups of them")
	}
	slices.SortFunc(w.Mistakes, func(a, b server.FieldError) int { return cmp.Compare(a.Field, b.Field) })
}

// groups replaces overrides, rules and default.
func (w *Writer) groups() {
	w.recognise()
	before := *w.Config.DeepCopy()
	w.Config.Overrides, w.Config.Rules, w.Config.DefaultVariation = nil, nil, ""
	// Whoever is in no group gets false, which clients take a value that is left to the code for, too.
	if off := w.booleanVariation(false); w.isBoolean() &&
		(off == before.DefaultVariation || off != w.Flag.Spec.DefaultVariation && !w.Config.CodeDefault) {
		w.Config.DefaultVariation = off
	}
	if len(w.Filters.Groups) > 0 {
		w.Config.Prerequisites = nil
	}
	everybody := false
	groups := w.Filters.Groups
	for i := 0; i < len(groups); {
		if w.hasOtherPrerequisites(i) {
			w.Refuse(
				groupField(i)+".properties",
				"a flag depends on others as a whole: every group has the same properties of type flag",
			)
			return
		}
		if i == 0 {
			w.prerequisites(i)
		}
		run, alike := w.kept(i), w.alike(i)
		if alike > run {
			run = 0 // More audiences than the rule had.
		}
		key := groups[i].SortKey
		switch {
		case run > 0 && strings.HasPrefix(key, OverrideKey):
			w.keepOverrides(&before, strings.TrimPrefix(key, OverrideKey))
		case run > 0 && w.isFallthrough(i):
			w.Config.DefaultVariation = before.DefaultVariation
			everybody = true
		case w.isFallthrough(i):
			w.Config.DefaultVariation = w.served(i)
			everybody = true
		case run > 0:
			w.addRule(*ruleOf(&before, key), i, nil)
		default:
			w.rule(&before, i, alike)
			run = alike
		}
		i += max(run, 1)
	}
	for i := range before.Rules {
		rule := &before.Rules[i]
		if rule.Enabled != nil && !*rule.Enabled && ruleOf(w.Config, rule.Name) == nil {
			w.addRule(*rule, len(groups), nil)
		}
	}
	if !everybody && !w.isBoolean() && !w.Config.CodeDefault && w.Flag.Spec.Bucketing != v1alpha1.BucketingPostHogSHA1 {
		w.Refuse(
			"filters.groups",
			"this flag always serves one of its values: the last group, with the sort key %s, has no properties and all people",
			FallthroughKey,
		)
	}
	w.order()
}

// order puts rules that serve a variation before those that split, because PostHog's older clients look at them in that
// order. The groups that show what is there already are in their own order.
func (w *Writer) order() {
	if w.isBoolean() || w.Flag.Spec.Bucketing != v1alpha1.BucketingPostHogSHA1 {
		return
	}
	positions := make([]int, len(w.Config.Rules))
	for i := range positions {
		positions[i] = i
	}
	slices.SortStableFunc(positions, func(a, b int) int {
		return cmp.Compare(min(len(w.Config.Rules[a].Split), 1), min(len(w.Config.Rules[b].Split), 1))
	})
	rules, places, properties := w.Config.Rules, w.places, w.properties
	w.Config.Rules, w.places, w.properties = nil, nil, nil
	for _, i := range positions {
		w.Config.Rules = append(w.Config.Rules, rules[i])
		w.places, w.properties = append(w.places, places[i]), append(w.properties, properties[i])
	}
}

// isFallthrough reports whether a group is what is served to everybody else.
func (w *Writer) isFallthrough(i int) bool {
	group := &w.Filters.Groups[i]
	onlyFlags := !slices.ContainsFunc(group.Properties, func(p Property) bool { return p.Type != TypeFlag })
	return group.SortKey == FallthroughKey && i == len(w.Filters.Groups)-1 && onlyFlags && share(group) == 100 &&
		w.served(i) != ""
}

// served is the variation that a group serves, and empty where the hash chooses.
func (w *Writer) served(i int) string {
	if w.isBoolean() {
		return w.booleanVariation(true)
	}
	return variantKey(&w.Filters.Groups[i])
}

func ruleOf(config *v1alpha1.EnvironmentConfig, name string) *v1alpha1.Rule {
	for i := range config.Rules {
		if config.Rules[i].Name == name {
			return &config.Rules[i]
		}
	}
	return nil
}

func (w *Writer) keepOverrides(before *v1alpha1.EnvironmentConfig, variation string) {
	for _, override := range before.Overrides {
		if override.Variation == variation {
			w.Config.Overrides = append(w.Config.Overrides, override)
		}
	}
}

// addRule adds a rule that comes from a group, and its conditions from properties of it.
func (w *Writer) addRule(rule v1alpha1.Rule, group int, properties []int) {
	w.Config.Rules = append(w.Config.Rules, rule)
	w.places, w.properties = append(w.places, group), append(w.properties, properties)
}
