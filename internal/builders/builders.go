// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package builders makes the Kinds for tests in one readable expression each.
//
//	builders.MakeFlag("new-checkout", "shop").Boolean().
//		Environment("production").
//		Rule(builders.MakeRule("beta").Audiences("beta-testers").Serve("on")).
//		Obj()
//
// What a builder is not told it leaves out, as a manifest would; Defaulted adds what admission would add.
package builders

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// FlagBuilder builds a FeatureFlag.
type FlagBuilder struct{ flag v1alpha1.FeatureFlag }

// MakeFlag begins a flag that has only a name and a namespace.
func MakeFlag(name, namespace string) *FlagBuilder {
	return &FlagBuilder{flag: v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}}
}

// Obj returns the flag.
func (b *FlagBuilder) Obj() *v1alpha1.FeatureFlag { return b.flag.DeepCopy() }

// Defaulted sets what admission would set.
func (b *FlagBuilder) Defaulted() *FlagBuilder { b.flag.Default(); return b }

// Key sets spec.key.
func (b *FlagBuilder) Key(key string) *FlagBuilder { b.flag.Spec.Key = key; return b }

// Created sets the creation timestamp and the UID, which decide who holds a key.
func (b *FlagBuilder) Created(at time.Time, uid string) *FlagBuilder {
	b.flag.CreationTimestamp, b.flag.UID = metav1.NewTime(at), types.UID(uid)
	return b
}

// Annotation sets an annotation.
func (b *FlagBuilder) Annotation(name, value string) *FlagBuilder {
	metav1.SetMetaDataAnnotation(&b.flag.ObjectMeta, name, value)
	return b
}

// Observed makes the operator have seen the flag, and know that it was never enabled in those environments.
func (b *FlagBuilder) Observed(neverEnabledIn ...string) *FlagBuilder {
	b.flag.Status.ObservedGeneration, b.flag.Status.NeverEnabledIn = max(1, b.flag.Generation), neverEnabledIn
	return b
}

// Boolean makes a Boolean flag with the variations off and on, of which off is the default.
func (b *FlagBuilder) Boolean() *FlagBuilder {
	return b.Type(v1alpha1.FlagTypeBoolean).Variation("off", "false").Variation("on", "true").DefaultVariation("off")
}

// Type sets the type.
func (b *FlagBuilder) Type(flagType v1alpha1.FlagType) *FlagBuilder {
	b.flag.Spec.Type = flagType
	return b
}

// Variation adds a variation whose value is the JSON text value. The first one becomes the default where none is set.
func (b *FlagBuilder) Variation(key, value string) *FlagBuilder {
	b.flag.Spec.Variations = append(
		b.flag.Spec.Variations,
		v1alpha1.Variation{Key: key, Value: v1alpha1.JSON{Raw: []byte(value)}},
	)
	if b.flag.Spec.DefaultVariation == "" {
		b.flag.Spec.DefaultVariation = key
	}
	return b
}

// DefaultVariation sets spec.defaultVariation.
func (b *FlagBuilder) DefaultVariation(key string) *FlagBuilder {
	b.flag.Spec.DefaultVariation = key
	return b
}

// Bucketing sets the hash.
func (b *FlagBuilder) Bucketing(bucketing v1alpha1.Bucketing) *FlagBuilder {
	b.flag.Spec.Bucketing = bucketing
	return b
}

// Archived archives the flag.
func (b *FlagBuilder) Archived() *FlagBuilder { b.flag.Spec.Archived = true; return b }

// Spec changes the spec in a way that no other method has a name for.
func (b *FlagBuilder) Spec(change func(*v1alpha1.FeatureFlagSpec)) *FlagBuilder {
	change(&b.flag.Spec)
	return b
}

// Environment adds an environment in which the flag is enabled. The methods below speak of the environment added last,
// and add production where there is none.
func (b *FlagBuilder) Environment(name string) *FlagBuilder {
	b.flag.Spec.Environments = append(b.flag.Spec.Environments, v1alpha1.EnvironmentConfig{Name: name, Enabled: true})
	return b
}

func (b *FlagBuilder) last() *v1alpha1.EnvironmentConfig {
	if len(b.flag.Spec.Environments) == 0 {
		b.Environment("production")
	}
	return &b.flag.Spec.Environments[len(b.flag.Spec.Environments)-1]
}

// Disabled disables the flag in the environment.
func (b *FlagBuilder) Disabled() *FlagBuilder { b.last().Enabled = false; return b }

// CodeDefault leaves the value to the code where nothing decides in the environment.
func (b *FlagBuilder) CodeDefault() *FlagBuilder {
	b.last().CodeDefault = true
	return b
}

// Fallthrough sets the environment's own default variation.
func (b *FlagBuilder) Fallthrough(variation string) *FlagBuilder {
	b.last().DefaultVariation = variation
	return b
}

// Schedule sets the environment's schedule; a zero time leaves that instant out.
func (b *FlagBuilder) Schedule(enableAt, disableAt time.Time) *FlagBuilder {
	schedule := &v1alpha1.Schedule{}
	if !enableAt.IsZero() {
		schedule.EnableAt = new(metav1.NewTime(enableAt))
	}
	if !disableAt.IsZero() {
		schedule.DisableAt = new(metav1.NewTime(disableAt))
	}
	b.last().Schedule = schedule
	return b
}

// Prerequisite adds a prerequisite to the environment.
func (b *FlagBuilder) Prerequisite(flag string, variations ...string) *FlagBuilder {
	environment := b.last()
	environment.Prerequisites = append(
		environment.Prerequisites,
		v1alpha1.Prerequisite{Flag: flag, Variations: variations},
	)
	return b
}

// Override adds an override to the environment.
func (b *FlagBuilder) Override(targetingKey, variation string) *FlagBuilder {
	environment := b.last()
	environment.Overrides = append(
		environment.Overrides,
		v1alpha1.Override{TargetingKey: targetingKey, Variation: variation},
	)
	return b
}

// Rule adds rules to the environment.
func (b *FlagBuilder) Rule(rules ...*RuleBuilder) *FlagBuilder {
	environment := b.last()
	for _, rule := range rules {
		environment.Rules = append(environment.Rules, *rule.rule.DeepCopy())
	}
	return b
}

// RuleBuilder builds a Rule.
type RuleBuilder struct{ rule v1alpha1.Rule }

// MakeRule begins a rule that has only a name.
func MakeRule(name string) *RuleBuilder { return &RuleBuilder{rule: v1alpha1.Rule{Name: name}} }

// ABTest makes the rule an experiment that measures metrics.
func (b *RuleBuilder) ABTest(metrics ...string) *RuleBuilder {
	b.rule.Type, b.rule.Metrics = v1alpha1.RuleTypeABTest, metrics
	return b
}

// Disabled leaves the rule out of evaluation.
func (b *RuleBuilder) Disabled() *RuleBuilder { b.rule.Enabled = new(false); return b }

// Audiences sets the audiences.
func (b *RuleBuilder) Audiences(names ...string) *RuleBuilder { b.rule.Audiences = names; return b }

// Condition adds a condition.
func (b *RuleBuilder) Condition(attribute string, operator v1alpha1.Operator, values ...string) *RuleBuilder {
	b.rule.Conditions = append(b.rule.Conditions, MakeCondition(attribute, operator, values...))
	return b
}

// Traffic sets the share of subjects, such as "12.5%".
func (b *RuleBuilder) Traffic(percent v1alpha1.Percent) *RuleBuilder {
	b.rule.Traffic = percent
	return b
}

// Serve sets the variation that the rule serves.
func (b *RuleBuilder) Serve(variation string) *RuleBuilder { b.rule.Variation = variation; return b }

// Split adds a variation with its weight to the rule's split.
func (b *RuleBuilder) Split(variation string, weight int32) *RuleBuilder {
	b.rule.Split = append(b.rule.Split, v1alpha1.SplitEntry{Variation: variation, Weight: weight})
	return b
}

// HashBy sets the hash attribute.
func (b *RuleBuilder) HashBy(attribute string) *RuleBuilder {
	b.rule.HashAttribute = attribute
	return b
}

// Unsalted hashes subjects without a salt.
func (b *RuleBuilder) Unsalted() *RuleBuilder { b.rule.Unsalted = true; return b }

// Salt sets the salt.
func (b *RuleBuilder) Salt(salt string) *RuleBuilder { b.rule.Salt = salt; return b }

// MakeCondition makes a condition.
func MakeCondition(attribute string, operator v1alpha1.Operator, values ...string) v1alpha1.Condition {
	return v1alpha1.Condition{Attribute: attribute, Operator: operator, Values: values}
}

// EnvironmentBuilder builds a FlagEnvironment.
type EnvironmentBuilder struct{ environment v1alpha1.FlagEnvironment }

// MakeEnvironment begins an environment that has only a name and a namespace.
func MakeEnvironment(name, namespace string) *EnvironmentBuilder {
	return &EnvironmentBuilder{
		environment: v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}},
	}
}

// Obj returns the environment.
func (b *EnvironmentBuilder) Obj() *v1alpha1.FlagEnvironment { return b.environment.DeepCopy() }

// Defaulted sets what admission would set.
func (b *EnvironmentBuilder) Defaulted() *EnvironmentBuilder { b.environment.Default(); return b }

// Annotation sets an annotation.
func (b *EnvironmentBuilder) Annotation(name, value string) *EnvironmentBuilder {
	metav1.SetMetaDataAnnotation(&b.environment.ObjectMeta, name, value)
	return b
}

// Production guards the environment.
func (b *EnvironmentBuilder) Production() *EnvironmentBuilder {
	b.environment.Spec.Production = true
	return b
}

// Manual makes publishing wait for a request.
func (b *EnvironmentBuilder) Manual() *EnvironmentBuilder {
	b.environment.Spec.Publish.Mode = v1alpha1.PublishModeManual
	return b
}

// Spec changes the spec in a way that no other method has a name for.
func (b *EnvironmentBuilder) Spec(change func(*v1alpha1.FlagEnvironmentSpec)) *EnvironmentBuilder {
	change(&b.environment.Spec)
	return b
}

// AudienceBuilder builds a FlagAudience.
type AudienceBuilder struct{ audience v1alpha1.FlagAudience }

// MakeAudience begins an audience that has only a name and a namespace, and so holds for nobody.
func MakeAudience(name, namespace string) *AudienceBuilder {
	return &AudienceBuilder{
		audience: v1alpha1.FlagAudience{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}},
	}
}

// Obj returns the audience.
func (b *AudienceBuilder) Obj() *v1alpha1.FlagAudience { return b.audience.DeepCopy() }

// Members adds members.
func (b *AudienceBuilder) Members(targetingKeys ...string) *AudienceBuilder {
	b.audience.Spec.Members = append(b.audience.Spec.Members, targetingKeys...)
	return b
}

// Group adds a group of conditions that must all hold.
func (b *AudienceBuilder) Group(conditions ...v1alpha1.Condition) *AudienceBuilder {
	b.audience.Spec.MatchAny = append(b.audience.Spec.MatchAny, v1alpha1.ConditionGroup{Conditions: conditions})
	return b
}

// EventBuilder builds a FlagEvent.
type EventBuilder struct{ event v1alpha1.FlagEvent }

// MakeEvent begins an event of type Conversion that has only a name and a namespace.
func MakeEvent(name, namespace string) *EventBuilder {
	return &EventBuilder{event: v1alpha1.FlagEvent{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       v1alpha1.FlagEventSpec{Type: v1alpha1.EventTypeConversion},
	}}
}

// Obj returns the event.
func (b *EventBuilder) Obj() *v1alpha1.FlagEvent { return b.event.DeepCopy() }

// Defaulted sets what admission would set.
func (b *EventBuilder) Defaulted() *EventBuilder { b.event.Default(); return b }

// Key sets spec.key.
func (b *EventBuilder) Key(key string) *EventBuilder { b.event.Spec.Key = key; return b }

// Created sets the creation timestamp and the UID, which decide who holds a key.
func (b *EventBuilder) Created(at time.Time, uid string) *EventBuilder {
	b.event.CreationTimestamp, b.event.UID = metav1.NewTime(at), types.UID(uid)
	return b
}

// Numeric makes the event measure a value in unit.
func (b *EventBuilder) Numeric(unit string) *EventBuilder {
	b.event.Spec.Type, b.event.Spec.Unit = v1alpha1.EventTypeNumeric, unit
	return b
}
