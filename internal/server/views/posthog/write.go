// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// references find what filters refer to.
type references struct {
	// audience returns the name of the audience of an id, and empty where there is none.
	audience func(id string) string
	// flag returns the flag of a key or id, and nil where there is none.
	flag func(id string) *v1alpha1.FeatureFlag
}

// writer changes one environment of a flag to what filters say.
type writer struct {
	references

	flag    *v1alpha1.FeatureFlag
	config  *v1alpha1.EnvironmentConfig
	filters *Filters
	// shown is what the filters show of the flag as it is.
	shown *description
	// hashAttribute is that of new rules.
	hashAttribute string

	mistakes []server.FieldError
	// places are the groups that the rules come from, and properties those of their conditions, for the names of fields in
	// answers.
	places     []int
	properties [][]int
}

func (w *writer) refuse(field, format string, arguments ...any) {
	w.mistakes = append(w.mistakes, server.FieldError{Field: field, Message: fmt.Sprintf(format, arguments...)})
}

func groupField(i int) string { return fmt.Sprintf("filters.groups[%d]", i) }

// write changes the environment. A group that shows what a rule, the overrides or the default serve keeps these as they
// are, and one that names a rule by its sort key changes that rule; so what PostHog has no name for, such as metrics,
// stays. Rules that are disabled, which filters do not show, stay too. Filters without groups or variants leave these
// as they are.
func (w *writer) write() {
	w.refuseOthers()
	if w.filters.noVariants && !w.isBoolean() {
		w.refuse("filters.multivariate", "a flag with variants keeps at least one; create another flag without variants")
	}
	replaces := w.replaces()
	if w.filters.Groups == nil {
		w.filters.Groups = w.shown.Filters.Groups
	}
	if w.filters.Multivariate == nil {
		w.filters.Multivariate = w.shown.Filters.Multivariate
	}
	if replaces {
		w.variants()
	}
	w.payloads()
	if replaces {
		w.groups()
	}
}

// replaces reports whether filters say whom the flag is released to.
func (w *writer) replaces() bool { return w.filters.Groups != nil || w.filters.Multivariate != nil }

// isNothing reports whether a field that is not possible here says nothing.
func isNothing(value any) bool {
	if value == nil || value == false {
		return true
	}
	of := reflect.ValueOf(value)
	return (of.Kind() == reflect.Slice || of.Kind() == reflect.Map) && of.Len() == 0
}

// refuseOthers refuses what flags of PostHog may have and no flag here.
func (w *writer) refuseOthers() {
	for field, value := range map[string]any{
		"super_groups": w.filters.SuperGroups, "holdout": w.filters.Holdout, "holdout_groups": w.filters.HoldoutGroups,
		"feature_enrollment": w.filters.FeatureEnrollment, "early_exit": w.filters.EarlyExit,
	} {
		if !isNothing(value) {
			w.refuse("filters."+field, "is not possible here")
		}
	}
	if w.filters.AggregationGroupTypeIndex != nil {
		w.refuse("filters.aggregation_group_type_index", "flags are released to people, not to groups of them")
	}
	slices.SortFunc(w.mistakes, func(a, b server.FieldError) int { return cmp.Compare(a.Field, b.Field) })
}

// groups replaces overrides, rules and default.
func (w *writer) groups() {
	before := *w.config.DeepCopy()
	w.config.Overrides, w.config.Rules, w.config.DefaultVariation = nil, nil, ""
	if off := w.booleanVariation(false); w.isBoolean() && off != w.flag.Spec.DefaultVariation {
		w.config.DefaultVariation = off // Whoever is in no group gets false.
	}
	if len(w.filters.Groups) > 0 {
		w.config.Prerequisites = nil
	}
	everybody := false
	groups := w.filters.Groups
	for i := 0; i < len(groups); {
		if w.hasOtherPrerequisites(i) {
			w.refuse(
				groupField(i)+".properties",
				"a flag depends on others as a whole: every group has the same properties of type flag",
			)
			return
		}
		if i == 0 {
			w.prerequisites(i)
		}
		run := w.kept(i)
		key := groups[i].SortKey
		switch {
		case run > 0 && strings.HasPrefix(key, overrideKey):
			w.keepOverrides(&before, strings.TrimPrefix(key, overrideKey))
		case w.isFallthrough(i):
			w.config.DefaultVariation = w.served(i)
			everybody = true
		case run > 0:
			w.addRule(*ruleOf(&before, key), i, nil)
		default:
			w.rule(&before, i)
		}
		i += max(run, 1)
	}
	for i := range before.Rules {
		rule := &before.Rules[i]
		if rule.Enabled != nil && !*rule.Enabled && ruleOf(w.config, rule.Name) == nil {
			w.addRule(*rule, len(groups), nil)
		}
	}
	if !everybody && !w.isBoolean() && w.flag.Spec.Bucketing != v1alpha1.BucketingPostHogSHA1 {
		w.refuse(
			"filters.groups",
			"this flag always serves one of its values: the last group, with the sort key %s, has no properties and all people",
			fallthroughKey,
		)
	}
	w.order()
}

// order puts rules that serve a variation before those that split, because PostHog's older clients look at them in that
// order. The groups that show what is there already are in their own order.
func (w *writer) order() {
	if w.isBoolean() || w.flag.Spec.Bucketing != v1alpha1.BucketingPostHogSHA1 {
		return
	}
	positions := make([]int, len(w.config.Rules))
	for i := range positions {
		positions[i] = i
	}
	slices.SortStableFunc(positions, func(a, b int) int {
		return cmp.Compare(min(len(w.config.Rules[a].Split), 1), min(len(w.config.Rules[b].Split), 1))
	})
	rules, places, properties := w.config.Rules, w.places, w.properties
	w.config.Rules, w.places, w.properties = nil, nil, nil
	for _, i := range positions {
		w.config.Rules = append(w.config.Rules, rules[i])
		w.places, w.properties = append(w.places, places[i]), append(w.properties, properties[i])
	}
}

// isFallthrough reports whether a group is what is served to everybody else.
func (w *writer) isFallthrough(i int) bool {
	group := &w.filters.Groups[i]
	onlyFlags := !slices.ContainsFunc(group.Properties, func(p Property) bool { return p.Type != typeFlag })
	return group.SortKey == fallthroughKey && i == len(w.filters.Groups)-1 && onlyFlags && share(group) == 100 &&
		w.served(i) != ""
}

// served is the variation that a group serves, and empty where the hash chooses.
func (w *writer) served(i int) string {
	if w.isBoolean() {
		return w.booleanVariation(true)
	}
	return variantKey(&w.filters.Groups[i])
}

func ruleOf(config *v1alpha1.EnvironmentConfig, name string) *v1alpha1.Rule {
	for i := range config.Rules {
		if config.Rules[i].Name == name {
			return &config.Rules[i]
		}
	}
	return nil
}

func (w *writer) keepOverrides(before *v1alpha1.EnvironmentConfig, variation string) {
	for _, override := range before.Overrides {
		if override.Variation == variation {
			w.config.Overrides = append(w.config.Overrides, override)
		}
	}
}

// addRule adds a rule that comes from a group, and its conditions from properties of it.
func (w *writer) addRule(rule v1alpha1.Rule, group int, properties []int) {
	w.config.Rules = append(w.config.Rules, rule)
	w.places, w.properties = append(w.places, group), append(w.properties, properties)
}
