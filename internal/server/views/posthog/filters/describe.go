// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// What PostHog's clients call false is
//   - of a Boolean flag, the variation with the value false;
//   - of another flag that hashes as PostHog does, the default variation where no rule or override decided;
//   - of every other flag, nothing: it always serves one of its values, which is a variant.

// Surroundings are what a flag's definition refers to.
type Surroundings struct {
	// Flag returns another flag of the environment, and nil where there is none.
	Flag func(key string) *datafile.Flag
	// Cohort returns the id of an audience, and 0 where there is none.
	Cohort func(audience string) int64
	// Audience returns an audience, and nil where there is none or it breaks a rule of its Kind.
	Audience func(name string) *datafile.Audience
	// Local is true for clients that evaluate: every test is written so that they find exactly what the engine finds. Else
	// people read it.
	Local bool
}

// Description is how a flag is served, in PostHog's form.
type Description struct {
	Filters Filters
	// Lost is what the filters do not show, and writing them would lose.
	Lost []string
	// Remote is why a client that evaluates by itself could come to another answer than the engine. Empty means that it
	// cannot.
	Remote []string
}

func (d *Description) lose(format string, arguments ...any) {
	d.Lost = append(d.Lost, fmt.Sprintf(format, arguments...))
	d.remote(format, arguments...)
}

func (d *Description) remote(format string, arguments ...any) {
	if reason := fmt.Sprintf(format, arguments...); !slices.Contains(d.Remote, reason) {
		d.Remote = append(d.Remote, reason)
	}
}

// step is one thing that may decide: overrides, a rule, or the variation that is served where nothing else decides.
type step struct {
	// what is its name in messages.
	what   string
	groups []Group
	// variation is what it serves, and empty where the hash chooses.
	variation string
	// undecided is true for the default that is served where no override or rule decides.
	undecided bool
	// isDefault is true for what is served where no override or rule decides.
	isDefault bool
}

// Describe says in PostHog's form how a flag is served.
func (s *Surroundings) Describe(key string, form *datafile.Flag) *Description {
	d := &describer{Surroundings: s, key: key, form: form, Description: &Description{}}
	d.Filters.Groups = []Group{}
	steps := d.steps()
	// What serves false at the end is what becomes of everybody else anyway.
	end := len(steps)
	for end > 0 && d.isFalse(&steps[end-1]) {
		end--
	}
	for i := range steps[end:] {
		if last := &steps[end+i]; !last.isDefault {
			d.Lost = append(d.Lost, last.what+" serves false")
		}
	}
	steps = steps[:end]
	served := map[string]bool{}
	for i := range steps {
		if d.isFalse(&steps[i]) {
			d.lose("%s serves false before something else serves true", steps[i].what)
			continue
		}
		served[steps[i].variation] = true
		d.Filters.Groups = append(d.Filters.Groups, steps[i].groups...)
	}
	d.variants(served)
	d.payloads()
	d.order()
	return d.Description
}

// describer makes one description.
type describer struct {
	*Surroundings
	*Description

	key  string
	form *datafile.Flag
	// split is the one that all splits of the flag must equal.
	split []datafile.Weight
}

func (d *describer) isBoolean() bool { return d.form.Type == datafile.Boolean }

// isFalse reports whether a step serves what clients call false.
func (d *describer) isFalse(s *step) bool {
	switch {
	case s.variation == "":
		return false
	case d.isBoolean():
		return !isTrue(valueOf(d.form, s.variation))
	default:
		return s.undecided && d.form.Bucketing == datafile.PostHogSHA1
	}
}

// valueOf is the JSON value of a variation.
func valueOf(form *datafile.Flag, key string) []byte {
	for i := range form.Variations {
		if form.Variations[i].Key == key {
			return form.Variations[i].Value
		}
	}
	return nil
}

// steps are what may decide, in order.
func (d *describer) steps() []step {
	form := d.form
	if !form.Enabled && form.CodeDefault {
		return nil // Clients call it false.
	}
	if !form.Enabled {
		return []step{d.otherwise(form.DefaultVariation, true, nil)}
	}
	if form.Schedule != nil {
		d.remote("a schedule decides")
	}
	required := d.prerequisites()
	var steps []step
	for _, variation := range slices.Sorted(maps.Values(form.Overrides)) {
		if len(steps) == 0 || steps[len(steps)-1].variation != variation {
			steps = append(steps, d.override(variation, required))
		}
	}
	for i := range form.Rules {
		steps = append(steps, d.rule(&form.Rules[i], required)...)
	}
	if form.Fallthrough != "" {
		return append(steps, d.otherwise(form.Fallthrough, false, required))
	}
	if form.CodeDefault {
		return steps
	}
	return append(steps, d.otherwise(form.DefaultVariation, true, required))
}

// variantOf is the variant of a group that serves a variation.
func (d *describer) variantOf(variation string) *string {
	if d.isBoolean() || variation == "" {
		return nil
	}
	return &variation
}

// otherwise is the step for everybody.
func (d *describer) otherwise(variation string, undecided bool, required []Property) step {
	group := Group{
		Properties: append(
			[]Property{},
			required...),
		RolloutPercentage: new(100.0),
		Variant:           d.variantOf(variation),
		SortKey:           FallthroughKey,
	}
	return step{what: "the default", groups: []Group{group}, variation: variation, undecided: undecided, isDefault: true}
}

// override is the step for the targeting keys that are pinned to a variation.
func (d *describer) override(variation string, required []Property) step {
	var keys []string
	for key, pinned := range d.form.Overrides {
		if pinned == variation {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	property, remote := d.Property(&datafile.Condition{Attribute: TargetingKey, Operator: datafile.In, Values: keys})
	if remote != "" {
		d.remote("overrides: %s", remote)
	}
	group := Group{
		Properties: append(
			slices.Clone(required),
			property,
		),
		RolloutPercentage: new(100.0),
		Variant:           d.variantOf(variation),
		SortKey:           OverrideKey + variation,
	}
	return step{what: fmt.Sprintf("the overrides for %q", variation), groups: []Group{group}, variation: variation}
}

// rule is the step of a rule, with one group for each of its audiences.
func (d *describer) rule(rule *datafile.Rule, required []Property) []step {
	s := step{what: fmt.Sprintf("rule %q", rule.Name), variation: rule.Variation}
	if len(rule.Split) > 0 {
		var shows bool
		if s.variation, shows = d.splitOf(rule); !shows {
			return nil
		}
	}
	rollout := 100.0
	if rule.Traffic != nil {
		rollout = float64(*rule.Traffic) / 1000
	}
	hashes := s.variation == "" || rollout > 0 && rollout < 100
	switch {
	case hashes && d.form.Bucketing != datafile.PostHogSHA1:
		d.remote("a hash that PostHog does not have decides")
	case hashes && rule.HashAttribute != "":
		d.remote("%s hashes %s", s.what, rule.HashAttribute)
	}
	if rollout != math.Trunc(rollout) {
		d.remote("%s has a share that is not whole percent", s.what)
	}
	group := Group{
		Properties:        slices.Clone(required),
		RolloutPercentage: &rollout,
		Variant:           d.variantOf(s.variation),
		SortKey:           rule.Name,
	}
	var conditions []Property
	for i := range rule.Conditions {
		property, remote := d.Property(&rule.Conditions[i])
		if remote != "" {
			d.remote("%s: %s", s.what, remote)
		}
		conditions = append(conditions, property)
	}
	for _, name := range rule.Audiences {
		inAudience := group
		inAudience.Properties = append(slices.Clone(group.Properties), d.cohortOf(name))
		inAudience.Properties = append(inAudience.Properties, conditions...)
		s.groups = append(s.groups, inAudience)
	}
	if len(rule.Audiences) == 0 {
		group.Properties = append(append([]Property{}, group.Properties...), conditions...)
		s.groups = []Group{group}
	}
	return []step{s}
}

// cohortOf is the property that an audience is.
func (d *describer) cohortOf(name string) Property {
	id := d.Cohort(name)
	if id == 0 {
		d.remote("audience %q does not exist", name)
	} else if audience := d.Audience(name); audience != nil {
		if _, remote := CohortForm(audience); remote != "" {
			d.remote("audience %q: %s", name, remote)
		}
	}
	return Property{Key: "id", Type: typeCohort, Value: id, Operator: "in"}
}

// splitOf is the variation that a split serves to everybody, and empty where the hash chooses. It is false where the
// filters cannot show the split.
func (d *describer) splitOf(rule *datafile.Rule) (string, bool) {
	only, variations := "", 0
	for _, weight := range rule.Split {
		if weight.Weight > 0 {
			only = weight.Variation
			variations++
		}
	}
	switch {
	case variations == 1:
		return only, true
	case d.isBoolean():
		d.lose("rule %q splits a flag that has no variants", rule.Name)
		return "", false
	case d.split == nil:
		d.split = rule.Split
	case !slices.Equal(d.split, rule.Split):
		d.lose("rule %q splits otherwise than another rule", rule.Name)
		return "", false
	}
	return "", true
}

// variants lists those that the flag can serve; the split's come first, in its order.
func (d *describer) variants(served map[string]bool) {
	if d.isBoolean() {
		return
	}
	total, known := int64(0), map[string]bool{}
	for _, weight := range d.split {
		total += int64(weight.Weight)
	}
	d.Filters.Multivariate = &Multivariate{Variants: []Variant{}}
	add := func(key string, percent float64) {
		known[key] = true
		d.Filters.Multivariate.Variants = append(
			d.Filters.Multivariate.Variants,
			Variant{Key: key, RolloutPercentage: percent},
		)
	}
	for _, weight := range d.split {
		thousandths := int64(weight.Weight) * 100_000 / total
		if thousandths*total != int64(weight.Weight)*100_000 || thousandths%1000 != 0 {
			d.remote("the split has a share that is not whole percent")
		}
		add(weight.Variation, float64(thousandths)/1000)
	}
	for i := range d.form.Variations {
		key := d.form.Variations[i].Key
		unused := key == d.form.DefaultVariation && !served[key]
		if !known[key] && !unused {
			add(key, 0)
		}
	}
}

// payloads gives those of what the flag can serve.
func (d *describer) payloads() {
	d.Filters.Payloads = map[string]Payload{}
	for i := range d.form.Variations {
		variation := &d.form.Variations[i]
		if len(variation.Payload) == 0 {
			continue
		}
		switch {
		case !d.isBoolean():
			d.Filters.Payloads[variation.Key] = payloadOf(variation.Payload)
		case isTrue(variation.Value):
			d.Filters.Payloads[payloadTrue] = payloadOf(variation.Payload)
		}
	}
}

// order looks whether clients agree on the order of the groups: older ones look at those with a variant first.
func (d *describer) order() {
	chosen := false
	for i := range d.Filters.Groups {
		chosen = chosen || d.Filters.Groups[i].Variant == nil
		if chosen && d.Filters.Groups[i].Variant != nil {
			d.remote("a group with a variant follows one without")
		}
	}
}

// keyOf is the property that an attribute is.
func keyOf(attribute string) string {
	if attribute == TargetingKey {
		return DistinctID
	}
	return attribute
}

// joined is an expression for any of the texts, literally.
func joined(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, text := range texts {
		quoted = append(quoted, quote(text))
	}
	return "(?:" + strings.Join(quoted, "|") + ")"
}
