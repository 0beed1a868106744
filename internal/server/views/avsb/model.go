// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// Variation is one of the values that a flag can take.
type Variation struct {
	ID    string `json:"id" doc:"The same as key."`
	Name  string `json:"name"`
	Key   string `json:"key"`
	Value string `json:"value" doc:"The value as JSON text, such as false or \"blue\" with its quotes."`
}

// FlagFields are what is shown of a flag everywhere.
type FlagFields struct {
	ID                  string      `json:"id" doc:"The UID of the FeatureFlag."`
	Name                string      `json:"name"`
	Key                 string      `json:"key"`
	Description         string      `json:"description"`
	Type                string      `json:"type" enum:"BOOLEAN,STRING,NUMBER,JSON"`
	Status              string      `json:"status" enum:"DRAFT,ACTIVE,INACTIVE,ARCHIVED"`
	IsStale             bool        `json:"isStale" doc:"True where the flag has served one variation to everybody for long."`
	DefaultVariationKey string      `json:"defaultVariationKey" doc:"What is served while the flag is disabled."`
	Variations          []Variation `json:"variations" nullable:"false"`
}

// FlagTail are the fields of a flag that come last.
type FlagTail struct {
	CreatedAt string          `json:"createdAt" format:"date-time"`
	UpdatedAt string          `json:"updatedAt" format:"date-time"`
	ManagedBy *gitops.Manager `json:"managedBy,omitempty" doc:"The GitOps tool that owns the flag."`
}

// FlagSummary is a flag in a list.
type FlagSummary struct {
	FlagFields
	EnvironmentConfigs []ConfigState `json:"environmentConfigs" nullable:"false" doc:"In the order of the environments."`
	FlagTail
}

// Flag is a flag with everything that decides what it serves.
type Flag struct {
	FlagFields
	EnvironmentConfigs []Config            `json:"environmentConfigs" nullable:"false" doc:"In the order of the environments."`
	Audiences          []AudienceReference `json:"audiences" nullable:"false" doc:"The audiences that rules name."`
	FlagTail
}

// AudienceReference is an audience that a rule names.
type AudienceReference struct {
	ID   string `json:"id" doc:"The UID of the FlagAudience, and its name where there is none."`
	Name string `json:"name"`
	Key  string `json:"key" doc:"The name of the FlagAudience."`
}

// ConfigState is whether a flag is on in an environment.
type ConfigState struct {
	EnvironmentID     string `json:"environmentId" doc:"The UID of the FlagEnvironment."`
	EnvironmentKey    string `json:"environmentKey" doc:"The name of the FlagEnvironment."`
	EnvironmentName   string `json:"environmentName"`
	IsProduction      bool   `json:"isProduction"`
	Enabled           bool   `json:"enabled"`
	HasPendingChanges bool   `json:"hasPendingChanges" doc:"True until what is said here is published."`
}

// Config is how a flag is served in an environment.
type Config struct {
	ConfigState
	DefaultVariationID string     `json:"defaultVariationId" doc:"What is served while the flag is enabled and no rule matches."`
	SchedulingEnabled  bool       `json:"schedulingEnabled"`
	ScheduledEnableAt  *string    `json:"scheduledEnableAt" format:"date-time"`
	ScheduledDisableAt *string    `json:"scheduledDisableAt" format:"date-time"`
	Timezone           *string    `json:"timezone"`
	Rules              []Rule     `json:"rules" nullable:"false"`
	Overrides          []Override `json:"overrides" nullable:"false"`
}

// Override pins a user to a variation.
type Override struct {
	UserID      string `json:"userId" doc:"The targeting key, at most 256 bytes."`
	VariationID string `json:"variationId"`
}

// Rule is whom a rule includes and what it serves them.
type Rule struct {
	ID                string      `json:"id" doc:"The name of the rule, which never changes."`
	Type              string      `json:"type" enum:"AB_TEST,TARGETED_DELIVERY"`
	Name              string      `json:"name"`
	Enabled           bool        `json:"enabled"`
	SortOrder         int         `json:"sortOrder" doc:"Where the rule stands, from 0. Rules of type AB_TEST are evaluated before the others."`
	TrafficAllocation float64     `json:"trafficAllocation" minimum:"0" maximum:"1"`
	Variations        []Share     `json:"variations" nullable:"false"`
	AudienceIDs       []string    `json:"audienceIds" nullable:"false"`
	Conditions        []Condition `json:"conditions" nullable:"false"`
	HashAttribute     string      `json:"hashAttribute"`
}

// Share is the part of a rule's users that gets a variation.
type Share struct {
	VariationID string  `json:"variationId"`
	Percentage  float64 `json:"percentage" minimum:"0" maximum:"1"`
}

// Condition is one test of one attribute.
type Condition struct {
	Attribute string   `json:"attribute" doc:"The dot path of an attribute of the context."`
	Operator  string   `json:"operator" doc:"An operator of the Kinds, such as In, Exists or SemVerGreaterThan."`
	Values    []string `json:"values,omitempty"`
}

// TransformSchema lists the operators.
func (Condition) TransformSchema(_ huma.Registry, schema *huma.Schema) *huma.Schema {
	return server.DescribeEnum(schema, "operator", validation.Operators()...)
}

// Environment is where flags are served.
type Environment struct {
	ID                string  `json:"id" doc:"The UID of the FlagEnvironment."`
	Name              string  `json:"name"`
	Key               string  `json:"key" doc:"The name of the FlagEnvironment."`
	IsProduction      bool    `json:"isProduction"`
	PublishMode       string  `json:"publishMode" enum:"AUTOMATIC,MANUAL"`
	HasPendingChanges bool    `json:"hasPendingChanges"`
	Revision          int64   `json:"revision" doc:"The published revision, and 0 where nothing is published yet."`
	PublishedAt       *string `json:"publishedAt" format:"date-time"`
	SDKs              []SDK   `json:"sdks" nullable:"false" doc:"The SDKs that have sent heartbeats."`
	CreatedAt         string  `json:"createdAt" format:"date-time"`
	UpdatedAt         string  `json:"updatedAt" format:"date-time"`
}

// SDK is an SDK that has sent a heartbeat.
type SDK struct {
	Type       string `json:"sdkType"`
	Version    string `json:"sdkVersion"`
	LastSeenAt string `json:"lastSeenAt" format:"date-time"`
}

// Event is what an experiment measures.
type Event struct {
	ID          string `json:"id" doc:"The UID of the FlagEvent."`
	Name        string `json:"name"`
	Key         string `json:"key"`
	Description string `json:"description"`
	Type        string `json:"type" enum:"CONVERSION,NUMERIC"`
	CreatedAt   string `json:"createdAt" format:"date-time"`
	UpdatedAt   string `json:"updatedAt" format:"date-time"`
}

// AudienceFields are what is shown of an audience everywhere.
type AudienceFields struct {
	ID          string   `json:"id" doc:"The UID of the FlagAudience."`
	Name        string   `json:"name"`
	Key         string   `json:"key" doc:"The name of the FlagAudience."`
	MemberCount int      `json:"memberCount"`
	UsedBy      []string `json:"usedBy" nullable:"false" doc:"The keys of unarchived flags whose rules name the audience, the first 100."`
	CreatedAt   string   `json:"createdAt" format:"date-time"`
	UpdatedAt   string   `json:"updatedAt" format:"date-time"`
}

// Audience is a named set of contexts.
type Audience struct {
	AudienceFields
	Members  []string `json:"members" nullable:"false" doc:"Targeting keys."`
	MatchAny []Group  `json:"matchAny" nullable:"false" doc:"Whoever fits any of these groups is in the audience."`
}

// Group is a list of conditions that must all hold.
type Group struct {
	Conditions []Condition `json:"conditions" nullable:"false"`
}

// names are two names of the same things, the Kinds' and the view's.
type names[T ~string] map[T]string

var (
	flagTypes = names[v1alpha1.FlagType]{
		v1alpha1.FlagTypeBoolean: "BOOLEAN",
		v1alpha1.FlagTypeString:  "STRING",
		v1alpha1.FlagTypeNumber:  "NUMBER",
		v1alpha1.FlagTypeJSON:    "JSON",
	}
	ruleTypes = names[v1alpha1.RuleType]{
		v1alpha1.RuleTypeABTest:           "AB_TEST",
		v1alpha1.RuleTypeTargetedDelivery: "TARGETED_DELIVERY",
	}
	publishModes = names[v1alpha1.PublishMode]{
		v1alpha1.PublishModeAutomatic: "AUTOMATIC",
		v1alpha1.PublishModeManual:    "MANUAL",
	}
	eventTypes = names[v1alpha1.EventType]{
		v1alpha1.EventTypeConversion: "CONVERSION",
		v1alpha1.EventTypeNumeric:    "NUMERIC",
	}
)

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
		Name:                cmp.Or(flag.Spec.DisplayName, flag.Name),
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
		DefaultVariationID: flag.Spec.DefaultVariation,
		Rules:              []Rule{},
		Overrides:          []Override{},
	}
	config := flag.In(environment.Name)
	if config == nil {
		return shown
	}
	shown.DefaultVariationID = cmp.Or(config.DefaultVariation, flag.Spec.DefaultVariation)
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

// targetingKey is the attribute that identifies users where a rule names none.
const targetingKey = "targetingKey"

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

func readConditions(conditions []Condition) []v1alpha1.Condition {
	var read []v1alpha1.Condition
	for _, condition := range conditions {
		read = append(
			read,
			v1alpha1.Condition{
				Attribute: condition.Attribute,
				Operator:  v1alpha1.Operator(condition.Operator),
				Values:    condition.Values,
			},
		)
	}
	return read
}

// splitTotal is the sum of the weights that shares are stored as, and tolerance how far their sum may be from 1.
const (
	splitTotal = 100000
	tolerance  = 1e-6
)

// setShares sets what a rule serves. Shares that it has already stay as they are stored, so that nobody moves.
func setShares(rule *v1alpha1.Rule, flag *v1alpha1.FeatureFlag, shares []Share) error {
	sum := 0.0
	for i := range shares {
		shares[i].VariationID = variationKey(flag, shares[i].VariationID)
		sum += shares[i].Percentage
	}
	if math.Abs(sum-1) > tolerance {
		return server.InvalidField("variations", "the percentages sum to %.6g and not to 1", sum)
	}
	if sameShares(sharesOf(rule), shares) {
		return nil
	}
	rule.Variation, rule.Split = "", nil
	if len(shares) == 1 {
		rule.Variation = shares[0].VariationID
		return nil
	}
	for i, share := range shares {
		weight := int32(math.Round(share.Percentage * splitTotal))
		if weight == 0 && share.Percentage > 0 {
			return server.InvalidField(fmt.Sprintf("variations[%d].percentage", i), "the smallest share is %g", 1.0/splitTotal)
		}
		rule.Split = append(rule.Split, v1alpha1.SplitEntry{Variation: share.VariationID, Weight: weight})
	}
	return nil
}

func sameShares(a, b []Share) bool {
	return slices.EqualFunc(a, b, func(a, b Share) bool {
		return a.VariationID == b.VariationID && math.Abs(a.Percentage-b.Percentage) <= tolerance
	})
}

// setTraffic sets whom a rule includes.
func setTraffic(rule *v1alpha1.Rule, allocation float64) error {
	thousandths := math.Round(allocation * v1alpha1.FullTraffic)
	if math.Abs(allocation*v1alpha1.FullTraffic-thousandths) > tolerance {
		return server.InvalidField("trafficAllocation", "has at most five decimals")
	}
	if allocation != traffic(rule) || rule.Traffic == "" {
		rule.Traffic = server.Percent(int32(thousandths))
	}
	return nil
}

// variationKey is the key of the variation that an id stands for: as key, else as name. What stands for none stays as
// it is.
func variationKey(flag *v1alpha1.FeatureFlag, id string) string {
	if variationAt(flag, id) >= 0 {
		return id
	}
	for i := range flag.Spec.Variations {
		if flag.Spec.Variations[i].DisplayName == id && id != "" {
			return flag.Spec.Variations[i].Key
		}
	}
	return id
}

// variationAt is the place of the variation of a key, and -1 where there is none.
func variationAt(flag *v1alpha1.FeatureFlag, key string) int {
	return slices.IndexFunc(flag.Spec.Variations, func(variation v1alpha1.Variation) bool { return variation.Key == key })
}

// ruleAt is the place of the rule that an id stands for: as the rule's name, else as its name for people.
func ruleAt(config *v1alpha1.EnvironmentConfig, id string) (int, error) {
	var names []string
	if config != nil {
		for _, isIt := range []func(v1alpha1.Rule) bool{
			func(rule v1alpha1.Rule) bool { return rule.Name == id },
			func(rule v1alpha1.Rule) bool { return rule.DisplayName == id },
		} {
			if i := slices.IndexFunc(config.Rules, isIt); i >= 0 {
				return i, nil
			}
		}
		for i := range config.Rules {
			names = append(names, config.Rules[i].Name)
		}
	}
	return 0, server.NotFoundAmong("rule", id, names)
}

// jsonText reads the JSON text of a value.
func jsonText(text string) (v1alpha1.JSON, error) {
	if !json.Valid([]byte(text)) {
		return v1alpha1.JSON{}, fmt.Errorf(
			"%.100q is not JSON text; that of a string has its quotes, such as %q",
			text,
			`"blue"`,
		)
	}
	return v1alpha1.JSON{Raw: []byte(text)}, nil
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

// renames are the view's names for what begins the path of a field, in the order in which they are tried.
var renames = []struct {
	path *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.rules\[\d+\](\.|$)`), ""},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.schedule\.enableAt$`), "scheduledEnableAt"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.schedule\.disableAt$`), "scheduledDisableAt"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.schedule\.timeZone$`), "timezone"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.defaultVariation$`), "defaultVariationId"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.`), ""},
	{regexp.MustCompile(`^spec\.defaultVariation$`), "defaultVariationKey"},
	{regexp.MustCompile(`^spec\.`), ""},
	{regexp.MustCompile(`^metadata\.name$`), "key"},
	// Of what is left, single names.
	{regexp.MustCompile(`\bdisplayName$`), "name"},
	{regexp.MustCompile(`^production$`), "isProduction"},
	{regexp.MustCompile(`^publish\.mode$`), "publishMode"},
	{regexp.MustCompile(`^traffic$`), "trafficAllocation"},
	{regexp.MustCompile(`^audiences\b`), "audienceIds"},
	{regexp.MustCompile(`\btargetingKey$`), "userId"},
	{regexp.MustCompile(`^variation$`), "variations[0].variationId"},
	{regexp.MustCompile(`^split\b`), "variations"},
	{regexp.MustCompile(`\bvariation$`), "variationId"},
	{regexp.MustCompile(`\bweight$`), "percentage"},
}

// rename gives the view's name for the field of a Kind.
func rename(path string) string {
	for _, rule := range renames {
		if at := rule.path.FindStringIndex(path); at != nil {
			path = path[:at[0]] + rule.name + path[at[1]:]
		}
	}
	return path
}

// schedule makes a schedule from the one before and what a request says of it. It is nil where none is left.
func schedule(before *v1alpha1.Schedule, asked *ConfigChanges) (*v1alpha1.Schedule, error) {
	if asked.SchedulingEnabled != nil && !*asked.SchedulingEnabled {
		for _, at := range []struct {
			name  string
			field server.Optional[time.Time]
		}{{"scheduledEnableAt", asked.ScheduledEnableAt}, {"scheduledDisableAt", asked.ScheduledDisableAt}} {
			if at.field.Sent && !at.field.Null {
				return nil, server.InvalidField(at.name, "schedulingEnabled is false, which clears the schedule")
			}
		}
		return nil, nil
	}
	after := v1alpha1.Schedule{}
	if before != nil {
		after = *before.DeepCopy()
	}
	setInstant(&after.EnableAt, asked.ScheduledEnableAt)
	setInstant(&after.DisableAt, asked.ScheduledDisableAt)
	if asked.Timezone.Sent {
		after.TimeZone = asked.Timezone.Value
	}
	if after.EnableAt != nil || after.DisableAt != nil {
		return &after, nil
	}
	if asked.SchedulingEnabled != nil || asked.Timezone.Value != "" {
		return nil, server.InvalidField("scheduledEnableAt", "a schedule has scheduledEnableAt, scheduledDisableAt or both")
	}
	return nil, nil
}

func setInstant(field **metav1.Time, asked server.Optional[time.Time]) {
	switch {
	case asked.Null:
		*field = nil
	case asked.Sent:
		*field = &metav1.Time{Time: asked.Value.UTC().Truncate(time.Second)}
	}
}

// publishModeOf is the publish mode in the view's words, which has none for an environment that another cluster serves:
// nothing is published by itself there.
func publishModeOf(environment *v1alpha1.FlagEnvironment) string {
	if environment.IsElsewhere() {
		return publishModes[v1alpha1.PublishModeManual]
	}
	return publishModes[cmp.Or(environment.Spec.Publish.Mode, v1alpha1.PublishModeAutomatic)]
}
