// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// The keys of the variations of a flag that is created here: on and off of a flag without variants, and the one that is
// false of one with variants.
const (
	onKey  = "on"
	offKey = "off"
)

// references find what filters refer to.
type references struct {
	// audience returns the name of the audience of an id, and empty where there is none.
	audience func(id string) string
	// flag returns the flag of a key or id, and nil where there is none.
	flag func(id string) *v1alpha1.FeatureFlag
}

// newFlag makes the variations of a flag that has none: true and false, or the variants and what is served to everybody
// else.
func newFlag(flag *v1alpha1.FeatureFlag, filters *Filters) {
	spec := &flag.Spec
	spec.Bucketing = v1alpha1.BucketingPostHogSHA1
	if filters == nil || filters.Multivariate == nil || len(filters.Multivariate.Variants) == 0 {
		spec.Type, spec.DefaultVariation = v1alpha1.FlagTypeBoolean, offKey
		spec.Variations = []v1alpha1.Variation{
			{Key: offKey, Value: v1alpha1.JSON{Raw: []byte("false")}},
			{Key: onKey, Value: v1alpha1.JSON{Raw: []byte("true")}},
		}
		return
	}
	taken := func(key string) bool {
		return slices.ContainsFunc(filters.Multivariate.Variants, func(v Variant) bool { return v.Key == key })
	}
	spec.Type, spec.DefaultVariation = v1alpha1.FlagTypeString, server.Label(offKey, offKey, taken)
	spec.Variations = []v1alpha1.Variation{{Key: spec.DefaultVariation, Value: v1alpha1.JSON{Raw: []byte(`"false"`)}}}
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

func (w *writer) isBoolean() bool { return w.flag.Spec.Type == v1alpha1.FlagTypeBoolean }

func (w *writer) variation(key string) *v1alpha1.Variation {
	for i := range w.flag.Spec.Variations {
		if w.flag.Spec.Variations[i].Key == key {
			return &w.flag.Spec.Variations[i]
		}
	}
	return nil
}

// booleanVariation is the key of the variation of a Boolean flag with that value.
func (w *writer) booleanVariation(value bool) string {
	for i := range w.flag.Spec.Variations {
		if isTrue(w.flag.Spec.Variations[i].Value.Raw) == value {
			return w.flag.Spec.Variations[i].Key
		}
	}
	return ""
}

// variants adds those that are new and removes those that are gone.
func (w *writer) variants() {
	multivariate := w.filters.Multivariate
	if w.isBoolean() {
		if multivariate != nil && len(multivariate.Variants) > 0 {
			w.refuse("filters.multivariate", "a flag without variants cannot get any; create another flag")
		}
		return
	}
	if multivariate == nil || len(multivariate.Variants) == 0 {
		w.refuse("filters.multivariate", "a flag with variants keeps at least one")
		return
	}
	named := map[string]bool{}
	for i, variant := range multivariate.Variants {
		field := fmt.Sprintf("filters.multivariate.variants[%d].", i)
		existing := w.variation(variant.Key)
		switch {
		case named[variant.Key]:
			w.refuse(field+"key", "there is another variant %q", variant.Key)
		case existing == nil && w.flag.Spec.Type != v1alpha1.FlagTypeString:
			w.refuse(field+"key", "a variant of a flag of type %s needs a value, which cannot be given here", w.flag.Spec.Type)
		case existing == nil:
			value, _ := json.Marshal(variant.Key) // Every string has a JSON form.
			w.flag.Spec.Variations = append(w.flag.Spec.Variations, v1alpha1.Variation{
				Key: variant.Key, DisplayName: variant.Name, Value: v1alpha1.JSON{Raw: value},
			})
		case variant.Name != "":
			existing.DisplayName = variant.Name
		}
		named[variant.Key] = true
	}
	w.flag.Spec.Variations = slices.DeleteFunc(w.flag.Spec.Variations, func(variation v1alpha1.Variation) bool {
		return !named[variation.Key] && variation.Key != w.flag.Spec.DefaultVariation
	})
}

// payloads replaces those that filters show.
func (w *writer) payloads() {
	if w.filters.Payloads == nil {
		return
	}
	for _, key := range sortedKeys(w.filters.Payloads) {
		field, text := "filters.payloads."+key, string(w.filters.Payloads[key])
		variation := w.payloadVariation(key)
		switch {
		case variation == nil:
			w.refuse(field, "there is no variant %q", key)
		case text == redacted && variation.PayloadFrom == nil:
			w.refuse(field, "stands for a payload from a Secret, which this variant has not")
		case text == redacted:
		case !json.Valid([]byte(text)):
			w.refuse(field, "is not JSON; a text is written with quotes, as \"\\\"text\\\"\"")
		default:
			variation.PayloadFrom = nil
			variation.Payload = &v1alpha1.JSON{Raw: []byte(text)}
		}
	}
	for i := range w.flag.Spec.Variations {
		variation := &w.flag.Spec.Variations[i]
		key := variation.Key
		if w.isBoolean() {
			key = payloadTrue
		}
		_, stays := w.filters.Payloads[key]
		if w.payloadVariation(key) == variation && !stays {
			variation.Payload, variation.PayloadFrom = nil, nil
		}
	}
}

// payloadVariation is the variation that a payload belongs to.
func (w *writer) payloadVariation(key string) *v1alpha1.Variation {
	if !w.isBoolean() {
		return w.variation(key)
	}
	if key != payloadTrue {
		return nil
	}
	return w.variation(w.booleanVariation(true))
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

// kept is how many groups, from the one at i on, are those that show one thing of the flag as it is: a rule has a group
// for each of its audiences.
func (w *writer) kept(i int) int {
	key := w.filters.Groups[i].SortKey
	var shows []Group
	for _, group := range w.shown.Filters.Groups {
		if key != "" && group.SortKey == key {
			shows = append(shows, group)
		}
	}
	if len(shows) == 0 || len(w.filters.Groups)-i < len(shows) {
		return 0
	}
	if !strings.Contains(key, ":") && ruleOf(w.config, key) != nil {
		return 0 // It was kept before.
	}
	for j := range shows {
		if !isSame(&shows[j], &w.filters.Groups[i+j]) {
			return 0
		}
	}
	split := shows[0].Variant == nil && !w.isBoolean()
	if split && !reflect.DeepEqual(percentages(w.shown.Filters.Multivariate), percentages(w.filters.Multivariate)) {
		return 0
	}
	return len(shows)
}

// isSame reports whether two groups say the same.
func isSame(a, b *Group) bool {
	return share(a) == share(b) && variantKey(a) == variantKey(b) && a.Description == b.Description &&
		slices.EqualFunc(a.Properties, b.Properties, isSameProperty)
}

func isSameProperty(a, b Property) bool {
	if cmp.Or(a.Type, typePerson) != cmp.Or(b.Type, typePerson) || a.Key != b.Key || a.Operator != b.Operator {
		return false
	}
	return canonical(a.Value) == canonical(b.Value)
}

// canonical is a value as JSON, so that what was read and what is shown compare.
func canonical(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(data)
}

func share(group *Group) float64 {
	if group.RolloutPercentage == nil {
		return 100
	}
	return *group.RolloutPercentage
}

func variantKey(group *Group) string {
	if group.Variant == nil {
		return ""
	}
	return *group.Variant
}

func percentages(multivariate *Multivariate) []Variant {
	if multivariate == nil {
		return nil
	}
	shares := slices.Clone(multivariate.Variants)
	for i := range shares {
		shares[i].Name = ""
	}
	return shares
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

// flagProperties are the dependencies of a group.
func flagProperties(group *Group) []Property {
	var found []Property
	for _, property := range group.Properties {
		if property.Type == typeFlag {
			found = append(found, property)
		}
	}
	return found
}

func (w *writer) hasOtherPrerequisites(i int) bool {
	return !slices.EqualFunc(flagProperties(&w.filters.Groups[0]), flagProperties(&w.filters.Groups[i]), isSameProperty)
}

// prerequisites makes those of the environment of the properties of a group.
func (w *writer) prerequisites(i int) {
	for j := range w.filters.Groups[i].Properties {
		property := &w.filters.Groups[i].Properties[j]
		if property.Type != typeFlag {
			continue
		}
		field := fmt.Sprintf("%s.properties[%d].", groupField(i), j)
		if property.Operator != flagEvaluatesTo {
			w.refuse(field+"operator", "a property of type flag has the operator %s", flagEvaluatesTo)
			continue
		}
		other := w.references.flag(property.Key)
		if other == nil {
			w.refuse(field+"key", "there is no flag %q", property.Key)
			continue
		}
		variations := variationsOf(other, property.Value)
		if len(variations) == 0 {
			w.refuse(field+"value", "flag %q never evaluates to that", other.Key())
			continue
		}
		w.config.Prerequisites = append(
			w.config.Prerequisites,
			v1alpha1.Prerequisite{Flag: other.Key(), Variations: variations},
		)
	}
}

// variationsOf are the variations of a flag that clients see as that value.
func variationsOf(flag *v1alpha1.FeatureFlag, value any) []string {
	var found []string
	for i := range flag.Spec.Variations {
		variation := &flag.Spec.Variations[i]
		isDefault := variation.Key == flag.Spec.DefaultVariation
		matches := false
		if flag.Spec.Type == v1alpha1.FlagTypeBoolean {
			matches = value == isTrue(variation.Value.Raw)
		} else if text, isText := value.(string); isText {
			matches = variation.Key == text
		} else if flag.Spec.Bucketing == v1alpha1.BucketingPostHogSHA1 {
			matches = value == !isDefault
		} else {
			matches = value == true
		}
		if matches {
			found = append(found, variation.Key)
		}
	}
	return found
}

// rule makes a rule of a group, or changes the one that its sort key names.
func (w *writer) rule(before *v1alpha1.EnvironmentConfig, i int) {
	group := &w.filters.Groups[i]
	rule := v1alpha1.Rule{HashAttribute: w.hashAttribute}
	old := ruleOf(before, group.SortKey)
	if old != nil && ruleOf(w.config, old.Name) == nil {
		rule = *old.DeepCopy()
	} else {
		rule.Name = w.newName(before, i)
	}
	rule.Enabled = new(true)
	rule.DisplayName = cmp.Or(group.Description, rule.DisplayName)
	rule.Audiences, rule.Conditions, rule.Variation = nil, nil, ""
	if group.AggregationGroupTypeIndex != nil {
		w.refuse(groupField(i)+".aggregation_group_type_index", "flags are released to people, not to groups of them")
	}
	thousandths, exact := thousandthsOf(share(group))
	if !exact {
		w.refuse(groupField(i)+".rollout_percentage", "has at most three decimals")
	}
	rule.Traffic = server.Percent(thousandths)
	w.serve(&rule, i)
	var properties []int
	for j := range group.Properties {
		if w.test(&rule, old, i, j) {
			properties = append(properties, j)
		}
	}
	w.addRule(rule, i, properties)
}

// serve sets what the rule of a group serves.
func (w *writer) serve(rule *v1alpha1.Rule, i int) {
	group := &w.filters.Groups[i]
	if w.isBoolean() {
		if group.Variant != nil && *group.Variant != "" {
			w.refuse(groupField(i)+".variant", "the flag has no variants")
		}
		rule.Variation, rule.Split = w.booleanVariation(true), nil
		return
	}
	if key := variantKey(group); key != "" {
		if w.variation(key) == nil {
			w.refuse(groupField(i)+".variant", "there is no variant %q", key)
		}
		rule.Variation, rule.Split = key, nil
		return
	}
	rule.Split = w.split()
}

// split shares people out between the variants.
func (w *writer) split() []v1alpha1.SplitEntry {
	if w.filters.Multivariate == nil {
		return nil
	}
	var split []v1alpha1.SplitEntry
	total, whole := int32(0), true
	for i, variant := range w.filters.Multivariate.Variants {
		thousandths, exact := thousandthsOf(variant.RolloutPercentage)
		if field := fmt.Sprintf("filters.multivariate.variants[%d].rollout_percentage", i); !exact && !w.refused(field) {
			w.refuse(field, "has at most three decimals")
		}
		total += thousandths
		whole = whole && thousandths%1000 == 0
		split = append(split, v1alpha1.SplitEntry{Variation: variant.Key, Weight: thousandths})
	}
	if field := "filters.multivariate.variants"; total != v1alpha1.FullTraffic && !w.refused(field) {
		w.refuse(field, "the shares sum to %s, not to 100%%", server.Percent(total))
	}
	for i := range split {
		if whole {
			split[i].Weight /= 1000
		}
	}
	return split
}

func (w *writer) refused(field string) bool {
	return slices.ContainsFunc(w.mistakes, func(mistake server.FieldError) bool { return mistake.Field == field })
}

// thousandthsOf is a share in thousandths of a percent, and whether it has no more decimals.
func thousandthsOf(percent float64) (int32, bool) {
	thousandths := math.Round(percent * 1000)
	return int32(thousandths), math.Abs(percent*1000-thousandths) < 1e-6
}

// test adds a property of a group to its rule, and reports whether it made a condition of it. A property that shows a
// condition of the rule as it was keeps that condition.
func (w *writer) test(rule, old *v1alpha1.Rule, i, j int) bool {
	property := &w.filters.Groups[i].Properties[j]
	name := fmt.Sprintf("%s.properties[%d].", groupField(i), j)
	if !isNothing(property.Negation) || property.GroupTypeIndex != nil {
		w.refuse(name+"negation", "negation and groups are not possible here")
	}
	switch property.Type {
	case typeFlag:
		return false
	case typeCohort:
		w.cohort(rule, property, name)
		return false
	case "", typePerson:
	default:
		w.refuse(name+"type", "%q is none of %s, %s and %s", property.Type, typePerson, typeCohort, typeFlag)
		return false
	}
	if kept := shownCondition(old, property); kept != nil {
		rule.Conditions = append(rule.Conditions, *kept)
		return true
	}
	found, field, err := condition(property)
	if err != nil {
		w.refuse(name+field, "%v", err)
		return false
	}
	rule.Conditions = append(rule.Conditions, found)
	return true
}

// shownCondition is the condition of a rule that a property shows, and nil where it shows none.
func shownCondition(rule *v1alpha1.Rule, property *Property) *v1alpha1.Condition {
	if rule == nil {
		return nil
	}
	for i := range rule.Conditions {
		from := &rule.Conditions[i]
		shows, _ := (&surroundings{}).property(&datafile.Condition{
			Attribute: from.Attribute, Operator: datafile.Operator(from.Operator), Values: from.Values,
		})
		if isSameProperty(shows, *property) {
			return from
		}
	}
	return nil
}

// cohort adds the audience that a property names.
func (w *writer) cohort(rule *v1alpha1.Rule, property *Property, field string) {
	if property.Operator != "" && property.Operator != "in" && property.Operator != "exact" {
		w.refuse(field+"operator", "a cohort can be required only: operator in")
	}
	id, _ := scalar(property.Value)
	name := w.audience(id)
	switch {
	case name == "":
		w.refuse(field+"value", "there is no cohort %s", canonical(property.Value))
	case len(rule.Audiences) > 0:
		w.refuse(field+"value", "a group cannot require two cohorts")
	default:
		rule.Audiences = []string{name}
	}
}

// newName is a name that no rule has or had.
func (w *writer) newName(before *v1alpha1.EnvironmentConfig, i int) string {
	group := &w.filters.Groups[i]
	taken := func(label string) bool { return ruleOf(w.config, label) != nil }
	// A flag that is copied from another project keeps the names of its rules.
	if w.flag.UID == "" && group.SortKey != "" && server.Label(group.SortKey, "", taken) == group.SortKey {
		return group.SortKey
	}
	return server.Label(group.Description, "group-"+strconv.Itoa(i+1), func(label string) bool {
		named := func(other Group) bool { return other.SortKey == label }
		return ruleOf(w.config, label) != nil || ruleOf(before, label) != nil || slices.ContainsFunc(w.filters.Groups, named)
	})
}

// rulePath is the path of a rule, and of what is in it.
var rulePath = regexp.MustCompile(`^spec\.environments\[\d+\]\.rules\[(\d+)\](?:\.conditions\[(\d+)\])?(.*)$`)

// payloadPath is the path of a variation's payload.
var payloadPath = regexp.MustCompile(`^spec\.variations\[(\d+)\]\.payload`)

// rename gives the names that fields of the flag have in the request.
func (w *writer) rename(path string) string {
	if found := payloadPath.FindStringSubmatch(path); found != nil && w != nil {
		if i, err := strconv.Atoi(found[1]); err == nil && i < len(w.flag.Spec.Variations) {
			key := w.flag.Spec.Variations[i].Key
			if w.isBoolean() {
				key = payloadTrue
			}
			return "filters.payloads." + key
		}
	}
	if found := rulePath.FindStringSubmatch(path); found != nil && w != nil {
		rule, _ := strconv.Atoi(found[1])
		if rule >= len(w.places) {
			return "filters.groups"
		}
		name := groupField(w.places[rule])
		if condition, err := strconv.Atoi(found[2]); err == nil && condition < len(w.properties[rule]) {
			name += fmt.Sprintf(".properties[%d]", w.properties[rule][condition])
			return name + map[bool]string{true: ".operator", false: ".value"}[found[3] == ".operator"]
		}
		if strings.HasPrefix(found[3], ".audiences") || strings.HasPrefix(found[3], ".conditions") {
			return name + ".properties"
		}
		return name
	}
	return renameField(path)
}

// names are those that fields have here.
var names = []struct{ from, to string }{
	{
		"spec.key",
		"key",
	},
	{"spec.displayName", "name"},
	{"spec.tags", "tags"},
	{"spec.archived", "deleted"},
	{"spec.runtime", "evaluation_runtime"},
	{
		"spec.variations",
		"filters.multivariate.variants",
	},
	{"spec.environments", "filters.groups"},
	{"metadata.name", "key"},
	{"spec.bucketing", "bucketing_identifier"},
}

// renameField gives the name of a field that no group has.
func renameField(path string) string {
	for _, name := range names {
		if rest, has := strings.CutPrefix(path, name.from); has && (rest == "" || rest[0] == '[' || rest[0] == '.') {
			if name.from == "spec.environments" {
				rest = ""
			}
			return name.to + rest
		}
	}
	return path
}
