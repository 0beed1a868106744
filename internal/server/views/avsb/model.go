// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
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
	DefaultVariationKey string      `json:"defaultVariationKey" doc:"What is served while the flag is disabled, except in environments with codeDefault."`
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
	DefaultVariationID *string    `json:"defaultVariationId" doc:"What is served while the flag is enabled and no rule matches. Null: the code's own default."`
	CodeDefault        bool       `json:"codeDefault,omitempty" doc:"Whether the code's own default is served while the flag is disabled here."`
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

// targetingKey is the attribute that identifies users where a rule names none.
const targetingKey = "targetingKey"

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
	// Without a time zone it is shown as UTC, and what is only shown is not written.
	if asked.Timezone.Sent && asked.Timezone.Value != cmp.Or(after.TimeZone, "UTC") {
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

// isInstant reports whether a time is shown as another one, which is to the second.
func isInstant(at *metav1.Time, as time.Time) bool {
	return at != nil && server.Time(at.Time) == server.Time(as)
}

func setInstant(field **metav1.Time, asked server.Optional[time.Time]) {
	switch {
	case asked.Null:
		*field = nil
	case asked.Sent && !isInstant(*field, asked.Value):
		*field = &metav1.Time{Time: asked.Value.UTC().Truncate(time.Second)}
	}
}
