// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// rule makes a rule of a group and those that differ from it in the audience only, or changes the one that their sort
// key names.
func (w *Writer) rule(before *v1alpha1.EnvironmentConfig, i, alike int) {
	group := &w.Filters.Groups[i]
	rule := v1alpha1.Rule{HashAttribute: w.HashAttribute}
	old := ruleOf(before, group.SortKey)
	switch {
	case old == nil:
		rule.Name = w.newName(before, i)
	case ruleOf(w.Config, old.Name) == nil:
		rule = *old.DeepCopy()
	default:
		w.refuseTorn(i)
		rule.Name = w.newName(before, i)
	}
	rule.Enabled = new(true)
	rule.DisplayName = cmp.Or(group.Description, rule.DisplayName)
	rule.Audiences, rule.Conditions, rule.Variation = nil, nil, ""
	if group.AggregationGroupTypeIndex != nil {
		w.Refuse(groupField(i)+".aggregation_group_type_index", "flags are released to people, not to groups of them")
	}
	thousandths, exact := thousandthsOf(share(group))
	if !exact {
		w.Refuse(groupField(i)+".rollout_percentage", "has at most three decimals")
	}
	rule.Traffic = server.Percent(thousandths)
	w.serve(&rule, i)
	var properties []int
	for j := range group.Properties {
		if w.test(&rule, old, i, j) {
			properties = append(properties, j)
		}
	}
	for j := i + 1; j < i+alike; j++ {
		w.moreAudiences(&rule, j)
	}
	w.addRule(rule, i, properties)
}

// serve sets what the rule of a group serves.
func (w *Writer) serve(rule *v1alpha1.Rule, i int) {
	group := &w.Filters.Groups[i]
	if w.isBoolean() {
		if group.Variant != nil && *group.Variant != "" {
			w.Refuse(groupField(i)+".variant", "the flag has no variants")
		}
		rule.Variation, rule.Split = w.booleanVariation(true), nil
		return
	}
	if key := variantKey(group); key != "" {
		if w.variation(key) == nil {
			w.Refuse(groupField(i)+".variant", "there is no variant %q", key)
		}
		rule.Variation, rule.Split = key, nil
		return
	}
	rule.Split = w.split()
}

// split shares people out between the variants.
func (w *Writer) split() []v1alpha1.SplitEntry {
	if w.Filters.Multivariate == nil {
		return nil
	}
	var split []v1alpha1.SplitEntry
	total, whole := int32(0), true
	for i, variant := range w.Filters.Multivariate.Variants {
		thousandths, exact := thousandthsOf(variant.RolloutPercentage)
		if field := fmt.Sprintf("filters.multivariate.variants[%d].rollout_percentage", i); !exact && !w.refused(field) {
			w.Refuse(field, "has at most three decimals")
		}
		total += thousandths
		whole = whole && thousandths%1000 == 0
		split = append(split, v1alpha1.SplitEntry{Variation: variant.Key, Weight: thousandths})
	}
	if field := "filters.multivariate.variants"; total != v1alpha1.FullTraffic && !w.refused(field) {
		w.Refuse(field, "the shares sum to %s, not to 100%%", server.Percent(total))
	}
	for i := range split {
		if whole {
			split[i].Weight /= 1000
		}
	}
	return split
}

func (w *Writer) refused(field string) bool {
	return slices.ContainsFunc(w.Mistakes, func(mistake server.FieldError) bool { return mistake.Field == field })
}

// thousandthsOf is a share in thousandths of a percent, and whether it has no more decimals.
func thousandthsOf(percent float64) (int32, bool) {
	thousandths := math.Round(percent * 1000)
	return int32(thousandths), math.Abs(percent*1000-thousandths) < 1e-6
}

// test adds a property of a group to its rule, and reports whether it made a condition of it. A property that shows a
// condition of the rule as it was keeps that condition.
func (w *Writer) test(rule, old *v1alpha1.Rule, i, j int) bool {
	property := &w.Filters.Groups[i].Properties[j]
	name := propertyField(i, j)
	w.possible(property, i, j)
	switch property.Type {
	case TypeFlag:
		return false
	case typeCohort:
		w.cohort(rule, property, name)
		return false
	case "", TypePerson:
	default:
		w.Refuse(name+"type", "%q is none of %s, %s and %s", property.Type, TypePerson, typeCohort, TypeFlag)
		return false
	}
	if kept := shownCondition(old, property); kept != nil {
		rule.Conditions = append(rule.Conditions, *kept)
		return true
	}
	found, field, err := condition(property)
	if err != nil {
		w.Refuse(name+field, "%v", err)
		return false
	}
	rule.Conditions = append(rule.Conditions, found)
	return true
}

// propertyField begins the names of the fields of a property.
func propertyField(i, j int) string { return fmt.Sprintf("%s.properties[%d].", groupField(i), j) }

// possible refuses what properties of PostHog may say and none here.
func (w *Writer) possible(property *Property, i, j int) {
	if !isNothing(property.Negation) || property.GroupTypeIndex != nil {
		w.Refuse(propertyField(i, j)+"negation", "negation and groups are not possible here")
	}
}

// shownCondition is the condition of a rule that a property shows, and nil where it shows none.
func shownCondition(rule *v1alpha1.Rule, property *Property) *v1alpha1.Condition {
	if rule == nil {
		return nil
	}
	for i := range rule.Conditions {
		from := &rule.Conditions[i]
		shows, _ := (&Surroundings{}).Property(&datafile.Condition{
			Attribute: from.Attribute, Operator: datafile.Operator(from.Operator), Values: from.Values,
		})
		if isSameProperty(shows, *property) {
			return from
		}
	}
	return nil
}

// cohort adds the audience that a property names.
func (w *Writer) cohort(rule *v1alpha1.Rule, property *Property, field string) {
	if property.Operator != "" && property.Operator != "in" && property.Operator != "exact" {
		w.Refuse(field+"operator", "a cohort can be required only: operator in")
	}
	id, _ := Scalar(property.Value)
	name := w.Audience(id)
	switch {
	case name == "":
		w.Refuse(field+"value", "there is no cohort %s", Canonical(property.Value))
	case len(rule.Audiences) > 0:
		w.Refuse(field+"value", "a group cannot require two cohorts")
	default:
		rule.Audiences = []string{name}
	}
}

// newName is a name that no rule has or had.
func (w *Writer) newName(before *v1alpha1.EnvironmentConfig, i int) string {
	group := &w.Filters.Groups[i]
	taken := func(label string) bool { return ruleOf(w.Config, label) != nil }
	// A flag that is copied from another project keeps the names of its rules.
	if w.Flag.UID == "" && group.SortKey != "" && server.Label(group.SortKey, "", taken) == group.SortKey {
		return group.SortKey
	}
	return server.Label(group.Description, "group-"+strconv.Itoa(i+1), func(label string) bool {
		named := func(other Group) bool { return other.SortKey == label }
		return ruleOf(w.Config, label) != nil || ruleOf(before, label) != nil || slices.ContainsFunc(w.Filters.Groups, named)
	})
}
