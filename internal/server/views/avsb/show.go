// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// names are two names of the same things, the Kinds' and the view's.
type names[T ~string] map[T]string

// kind is the Kinds' name for the view's. The schema has refused what is none.
func (n names[T]) kind(shown string) T {
	for kind, name := range n {
		if name == shown {
			return kind
		}
	}
	return ""
}

// showFields shows a flag without its environments.
func showFields(flag *v1alpha1.FeatureFlag, environments []*v1alpha1.FlagEnvironment) FlagFields {
	fields := FlagFields{
		ID: string(
			flag.UID,
		),
		Name:                displayName(flag),
		Key:                 flag.Key(),
		Description:         flag.Spec.Description,
		Type:                flagTypes[flag.Spec.Type],
		Status:              statusOf(flag, environments),
		IsStale:             flag.Status.Stale != nil,
		DefaultVariationKey: flag.Spec.DefaultVariation,
		Variations:          make([]Variation, 0, len(flag.Spec.Variations)),
	}
	for i := range flag.Spec.Variations {
		variation := &flag.Spec.Variations[i]
		fields.Variations = append(fields.Variations, Variation{
			ID:    variation.Key,
			Name:  cmp.Or(variation.DisplayName, variation.Key),
			Key:   variation.Key,
			Value: string(variation.Value.Raw),
		})
	}
	return fields
}

// displayName is the flag's name for people.
func displayName(flag *v1alpha1.FeatureFlag) string { return cmp.Or(flag.Spec.DisplayName, flag.Key()) }

func showTail(flag *v1alpha1.FeatureFlag) FlagTail {
	return FlagTail{
		CreatedAt: server.Time(flag.CreationTimestamp.Time),
		UpdatedAt: server.Time(server.UpdatedAt(flag)),
		ManagedBy: gitops.ManagerOf(flag),
	}
}

// statusOf is the phase of a flag as its spec says it, for the operator's word on it comes a moment later. Only what
// was is the operator's to know.
func statusOf(flag *v1alpha1.FeatureFlag, environments []*v1alpha1.FlagEnvironment) string {
	isOn := func(environment *v1alpha1.FlagEnvironment) bool { return flag.EnabledIn(environment.Name) }
	switch {
	case flag.Spec.Archived:
		return "ARCHIVED"
	case slices.ContainsFunc(environments, isOn):
		return "ACTIVE"
	case flag.Status.FirstEnabledTime != nil:
		return "INACTIVE"
	default:
		return "DRAFT"
	}
}

func showSummary(
	flag *v1alpha1.FeatureFlag, environments []*v1alpha1.FlagEnvironment, now time.Time,
) FlagSummary {
	summary := FlagSummary{
		FlagFields:         showFields(flag, environments),
		EnvironmentConfigs: make([]ConfigState, 0, len(environments)),
		FlagTail:           showTail(flag),
	}
	for _, environment := range environments {
		summary.EnvironmentConfigs = append(summary.EnvironmentConfigs, showState(flag, environment, now))
	}
	return summary
}

func showFlag(flag *v1alpha1.FeatureFlag, around *surroundings, now time.Time) Flag {
	shown := Flag{
		FlagFields: showFields(flag, around.environments), EnvironmentConfigs: make([]Config, 0, len(around.environments)),
		Audiences: []AudienceReference{}, FlagTail: showTail(flag),
	}
	named := map[string]bool{}
	for _, environment := range around.environments {
		shown.EnvironmentConfigs = append(shown.EnvironmentConfigs, showConfig(flag, environment, around, now))
		if config := flag.In(environment.Name); config != nil {
			for i := range config.Rules {
				for _, name := range config.Rules[i].Audiences {
					if !named[name] {
						named[name] = true
						shown.Audiences = append(shown.Audiences, around.audience(name))
					}
				}
			}
		}
	}
	return shown
}

// audience shows an audience that a rule names. Where there is none of that name, the name has to do.
func (s *surroundings) audience(name string) AudienceReference {
	if audience, found := s.audiences[name]; found {
		return AudienceReference{ID: string(audience.UID), Name: cmp.Or(audience.Spec.DisplayName, name), Key: name}
	}
	return AudienceReference{ID: name, Name: name, Key: name}
}

func showState(
	flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, now time.Time,
) ConfigState {
	return ConfigState{
		EnvironmentID: string(
			environment.UID,
		),
		EnvironmentKey:    environment.Name,
		EnvironmentName:   environmentName(environment),
		IsProduction:      environment.Spec.Production,
		Enabled:           server.EnabledAt(flag, environment.Name, now),
		HasPendingChanges: isPending(flag, environment.Name),
	}
}

func environmentName(environment *v1alpha1.FlagEnvironment) string {
	return cmp.Or(environment.Spec.DisplayName, environment.Name)
}

// isPending reports whether a flag has changes that an environment has not published. Until the operator has looked at
// what was written, it counts as pending wherever the flag is set up.
func isPending(flag *v1alpha1.FeatureFlag, environment string) bool {
	if flag.Generation != flag.Status.ObservedGeneration && flag.In(environment) != nil {
		return true
	}
	i := slices.IndexFunc(
		flag.Status.Environments,
		func(state v1alpha1.EnvironmentState) bool { return state.Name == environment },
	)
	if i < 0 {
		return !flag.Spec.Archived
	}
	return flag.Status.Environments[i].State.IsPending()
}

func showConfig(
	flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, around *surroundings, now time.Time,
) Config {
	shown := Config{
		ConfigState:        showState(flag, environment, now),
		DefaultVariationID: server.DefaultIn(flag, environment.Name),
		CodeDefault:        server.CodeDefaultIn(flag, environment.Name),
		Rules:              []Rule{},
		Overrides:          []Override{},
	}
	config := flag.In(environment.Name)
	if config == nil {
		return shown
	}
	if schedule := config.Schedule; schedule != nil {
		shown.SchedulingEnabled = true
		shown.ScheduledEnableAt, shown.ScheduledDisableAt = instant(schedule.EnableAt), instant(schedule.DisableAt)
		shown.Timezone = new(cmp.Or(schedule.TimeZone, "UTC"))
	}
	for i := range config.Rules {
		shown.Rules = append(shown.Rules, showRule(config, i, around))
	}
	shown.Overrides = showOverrides(config)
	return shown
}

func instant(at *metav1.Time) *string {
	if at == nil {
		return nil
	}
	return new(server.Time(at.Time))
}

func showOverrides(config *v1alpha1.EnvironmentConfig) []Override {
	overrides := make([]Override, 0, len(config.Overrides))
	for _, override := range config.Overrides {
		overrides = append(overrides, Override{UserID: override.TargetingKey, VariationID: override.Variation})
	}
	return overrides
}

// showRule shows the rule at a place.
func showRule(config *v1alpha1.EnvironmentConfig, place int, around *surroundings) Rule {
	rule := &config.Rules[place]
	shown := Rule{
		ID:                rule.Name,
		Type:              ruleTypes[cmp.Or(rule.Type, v1alpha1.RuleTypeTargetedDelivery)],
		Name:              ruleName(rule),
		Enabled:           rule.IsEnabled(),
		SortOrder:         place,
		TrafficAllocation: traffic(rule),
		Variations: sharesOf(
			rule,
		),
		AudienceIDs:   make([]string, 0, len(rule.Audiences)),
		Conditions:    showConditions(rule.Conditions),
		HashAttribute: cmp.Or(rule.HashAttribute, targetingKey),
	}
	for _, name := range rule.Audiences {
		shown.AudienceIDs = append(shown.AudienceIDs, around.audience(name).ID)
	}
	return shown
}

func ruleName(rule *v1alpha1.Rule) string { return cmp.Or(rule.DisplayName, rule.Name) }

// traffic is a rule's traffic from 0 to 1. What no admission has looked at, and is malformed, includes nobody.
func traffic(rule *v1alpha1.Rule) float64 {
	thousandths, err := rule.Traffic.Thousandths()
	if err != nil {
		return 0
	}
	return float64(thousandths) / v1alpha1.FullTraffic
}

// sharesOf are the shares that a rule gives its variations, which sum to 1.
func sharesOf(rule *v1alpha1.Rule) []Share {
	if len(rule.Split) == 0 {
		return []Share{{VariationID: rule.Variation, Percentage: 1}}
	}
	sum := 0.0
	for _, entry := range rule.Split {
		sum += float64(entry.Weight)
	}
	shares := make([]Share, 0, len(rule.Split))
	for _, entry := range rule.Split {
		shares = append(shares, Share{VariationID: entry.Variation, Percentage: float64(entry.Weight) / max(sum, 1)})
	}
	return shares
}

func showConditions(conditions []v1alpha1.Condition) []Condition {
	shown := make([]Condition, 0, len(conditions))
	for _, condition := range conditions {
		shown = append(
			shown,
			Condition{Attribute: condition.Attribute, Operator: string(condition.Operator), Values: condition.Values},
		)
	}
	return shown
}

func showEnvironment(environment *v1alpha1.FlagEnvironment) Environment {
	status := &environment.Status
	shown := Environment{
		ID: string(
			environment.UID,
		),
		Name:              environmentName(environment),
		Key:               environment.Name,
		IsProduction:      environment.Spec.Production,
		PublishMode:       publishModeOf(environment),
		HasPendingChanges: status.Flags.Pending > 0 || status.PublishedRevision == 0,
		Revision:          status.PublishedRevision,
		PublishedAt:       instant(status.PublishedAt),
		SDKs:              make([]SDK, 0, len(status.SDKs)),
		CreatedAt:         server.Time(environment.CreationTimestamp.Time),
		UpdatedAt:         server.Time(server.UpdatedAt(environment)),
	}
	for _, sdk := range status.SDKs {
		shown.SDKs = append(shown.SDKs, SDK{Type: sdk.Type, Version: sdk.Version, LastSeenAt: server.Time(sdk.LastSeen.Time)})
	}
	return shown
}

func showEvent(event *v1alpha1.FlagEvent) Event {
	return Event{
		ID: string(
			event.UID,
		),
		Name:        cmp.Or(event.Spec.DisplayName, event.Name),
		Key:         event.Key(),
		Description: event.Spec.Description,
		Type:        eventTypes[event.Spec.Type],
		CreatedAt:   server.Time(event.CreationTimestamp.Time),
		UpdatedAt:   server.Time(server.UpdatedAt(event)),
	}
}

func showAudienceFields(audience *v1alpha1.FlagAudience) AudienceFields {
	return AudienceFields{
		ID: string(audience.UID), Name: cmp.Or(audience.Spec.DisplayName, audience.Name), Key: audience.Name,
		MemberCount: len(audience.Spec.Members), UsedBy: append([]string{}, audience.Status.UsedBy...),
		CreatedAt: server.Time(audience.CreationTimestamp.Time), UpdatedAt: server.Time(server.UpdatedAt(audience)),
	}
}

func showAudience(audience *v1alpha1.FlagAudience) Audience {
	shown := Audience{
		AudienceFields: showAudienceFields(audience), Members: append([]string{}, audience.Spec.Members...),
		MatchAny: make([]Group, 0, len(audience.Spec.MatchAny)),
	}
	for i := range audience.Spec.MatchAny {
		shown.MatchAny = append(shown.MatchAny, Group{Conditions: showConditions(audience.Spec.MatchAny[i].Conditions)})
	}
	return shown
}

// publishModeOf is the publish mode in the view's words, which has none for an environment that another cluster serves:
// nothing is published by itself there.
func publishModeOf(environment *v1alpha1.FlagEnvironment) string {
	if environment.IsElsewhere() {
		return publishModes[v1alpha1.PublishModeManual]
	}
	return publishModes[cmp.Or(environment.Spec.Publish.Mode, v1alpha1.PublishModeAutomatic)]
}
