// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compile turns flags, audiences and events into the contents of a datafile. It knows both the Kinds and the
// document, and nothing of a cluster, a clock or a disk.
package compile

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Flag compiles flag for one environment. A flag without an entry for the environment is disabled there. It fails with
// every rule of validation.FeatureFlag that the flag breaks.
func Flag(flag *v1alpha1.FeatureFlag, environment string) (*datafile.Flag, error) {
	if err := validation.FeatureFlag(flag).ToAggregate(); err != nil {
		return nil, err
	}
	variations, err := compileVariations(flag)
	if err != nil {
		return nil, err
	}
	return compileFlag(flag, environment, variations)
}

// compileVariations compiles the variations of a flag, which are the same in every environment.
func compileVariations(flag *v1alpha1.FeatureFlag) ([]datafile.Variation, error) {
	variations := make([]datafile.Variation, len(flag.Spec.Variations))
	for i := range flag.Spec.Variations {
		variation, err := compileVariation(&flag.Spec.Variations[i])
		if err != nil {
			return nil, fmt.Errorf("spec.variations[%d]: %w", i, err)
		}
		variations[i] = variation
	}
	return variations, nil
}

// compileFlag compiles a flag that breaks no rule, and has those variations.
func compileFlag(
	flag *v1alpha1.FeatureFlag, environment string, variations []datafile.Variation,
) (*datafile.Flag, error) {
	spec := &flag.Spec
	form := &datafile.Flag{
		Bucketing:        optional(datafile.Bucketing(spec.Bucketing), datafile.Murmur3),
		DefaultVariation: spec.DefaultVariation,
		Metadata:         spec.Metadata,
		Runtime:          optional(datafile.Runtime(spec.Runtime), datafile.Runtime(v1alpha1.RuntimeAll)),
		Type:             datafile.FlagType(spec.Type),
		Variations:       variations,
	}
	config := flag.In(environment)
	form.CodeDefault = config != nil && config.CodeDefault
	if !flag.EnabledIn(environment) {
		return form, nil
	}
	form.Enabled = true
	form.Fallthrough = optional(config.DefaultVariation, spec.DefaultVariation)
	if config.CodeDefault {
		form.Fallthrough = config.DefaultVariation // Empty means the code's default.
	}
	form.Schedule = compileSchedule(config.Schedule)
	for _, prerequisite := range config.Prerequisites {
		form.Prerequisites = append(form.Prerequisites, datafile.Prerequisite{
			Flag: prerequisite.Flag, Variations: sorted(prerequisite.Variations),
		})
	}
	if len(config.Overrides) > 0 {
		form.Overrides = make(map[string]string, len(config.Overrides))
		for _, override := range config.Overrides {
			form.Overrides[override.TargetingKey] = override.Variation
		}
	}
	for _, ruleType := range []v1alpha1.RuleType{v1alpha1.RuleTypeABTest, v1alpha1.RuleTypeTargetedDelivery} {
		for i := range config.Rules {
			rule := &config.Rules[i]
			if ruleTypeOf(rule) != ruleType || !rule.IsEnabled() {
				continue
			}
			compiled, err := compileRule(flag, rule)
			if err != nil {
				return nil, fmt.Errorf("rule %q: %w", rule.Name, err)
			}
			form.Rules = append(form.Rules, compiled)
		}
	}
	return form, nil
}

func compileVariation(variation *v1alpha1.Variation) (datafile.Variation, error) {
	value, err := canonical(variation.Value.Raw)
	if err != nil {
		return datafile.Variation{}, fmt.Errorf("value: %w", err)
	}
	compiled := datafile.Variation{Key: variation.Key, Value: value}
	if variation.Payload != nil && !variation.Payload.IsZero() {
		if compiled.Payload, err = canonical(variation.Payload.Raw); err != nil {
			return datafile.Variation{}, fmt.Errorf("payload: %w", err)
		}
	}
	return compiled, nil
}

// canonical is datafile.Canonical. What is canonical already is not held twice.
func canonical(data []byte) ([]byte, error) {
	result, err := datafile.Canonical(data)
	if bytes.Equal(result, data) {
		return data, err
	}
	return result, err
}

func compileSchedule(schedule *v1alpha1.Schedule) *datafile.Schedule {
	if schedule == nil || schedule.EnableAt.IsZero() && schedule.DisableAt.IsZero() {
		return nil
	}
	return &datafile.Schedule{DisableAt: instant(schedule.DisableAt), EnableAt: instant(schedule.EnableAt)}
}

func instant(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func compileRule(flag *v1alpha1.FeatureFlag, rule *v1alpha1.Rule) (datafile.Rule, error) {
	traffic, err := rule.Traffic.Thousandths()
	if err != nil {
		return datafile.Rule{}, err
	}
	compiled := datafile.Rule{
		Audiences:     sorted(rule.Audiences),
		Conditions:    compileConditions(rule.Conditions),
		HashAttribute: optional(rule.HashAttribute, "targetingKey"),
		Metrics:       sorted(rule.Metrics),
		Name:          rule.Name,
		Type:          optional(datafile.RuleType(ruleTypeOf(rule)), datafile.RuleType(v1alpha1.RuleTypeTargetedDelivery)),
		Variation:     rule.Variation,
	}
	for _, entry := range rule.Split {
		compiled.Split = append(compiled.Split, datafile.Weight{Variation: entry.Variation, Weight: entry.Weight})
	}
	if traffic < v1alpha1.FullTraffic {
		compiled.Traffic = &traffic
	}
	hashes := compiled.Split != nil || compiled.Traffic != nil
	if !hashes {
		compiled.HashAttribute = ""
	}
	if hashes && flag.Spec.Bucketing != v1alpha1.BucketingPostHogSHA1 {
		compiled.Salt = rule.Salt
		if compiled.Salt == "" && !rule.Unsalted {
			compiled.Salt = flag.Key() + "/" + rule.Name + "/"
		}
	}
	return compiled, nil
}

func compileConditions(conditions []v1alpha1.Condition) []datafile.Condition {
	var compiled []datafile.Condition
	for _, condition := range conditions {
		compiled = append(compiled, datafile.Condition{
			Attribute: condition.Attribute,
			Operator:  datafile.Operator(condition.Operator),
			Values:    slices.Clone(condition.Values),
		})
	}
	return compiled
}

// Audience compiles an audience. It fails with every rule of validation.FlagAudience that the audience breaks.
func Audience(audience *v1alpha1.FlagAudience) (*datafile.Audience, error) {
	if err := validation.FlagAudience(audience).ToAggregate(); err != nil {
		return nil, err
	}
	return compileAudience(audience), nil
}

// compileAudience compiles an audience that breaks no rule.
func compileAudience(audience *v1alpha1.FlagAudience) *datafile.Audience {
	form := &datafile.Audience{Members: sorted(audience.Spec.Members)}
	for _, group := range audience.Spec.MatchAny {
		form.Groups = append(form.Groups, datafile.Group{Conditions: compileConditions(group.Conditions)})
	}
	return form
}

// Event compiles an event. It fails with every rule of validation.FlagEvent that the event breaks.
func Event(event *v1alpha1.FlagEvent) (*datafile.Event, error) {
	if err := validation.FlagEvent(event).ToAggregate(); err != nil {
		return nil, err
	}
	return &datafile.Event{Type: datafile.EventType(event.Spec.Type), Unit: event.Spec.Unit}, nil
}

func ruleTypeOf(rule *v1alpha1.Rule) v1alpha1.RuleType {
	if rule.Type == "" {
		return v1alpha1.RuleTypeTargetedDelivery
	}
	return rule.Type
}

// optional returns value, and the zero value where it is the default that the document leaves out.
func optional[T comparable](value, byDefault T) T {
	if value == byDefault {
		var zero T
		return zero
	}
	return value
}

// sorted returns the distinct values in order, and nil where there are none.
func sorted(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	result := slices.Clone(values)
	slices.Sort(result)
	return slices.Compact(result)
}
