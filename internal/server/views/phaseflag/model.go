// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// Flag is a flag as one environment has it.
type Flag struct {
	ID                  string          `json:"id" doc:"The UID of the FeatureFlag."`
	Key                 string          `json:"key" doc:"What code asks for."`
	Name                string          `json:"name" doc:"The name for people."`
	Description         string          `json:"description" doc:"What the flag does."`
	FlagType            string          `json:"flag_type" enum:"boolean,string,number,json" doc:"The type of the values."`
	Status              string          `json:"status" enum:"active,inactive,archived" doc:"Inactive: it was enabled before, and is in no environment now."`
	Enabled             bool            `json:"enabled" doc:"Whether the flag is on in the environment."`
	Variations          []Variation     `json:"variations" nullable:"false" doc:"The values that the flag can take."`
	DefaultVariation    *string         `json:"default_variation" doc:"The key of the variation that is served when no rule matches. Null: the code's own default is."`
	CodeDefault         bool            `json:"code_default,omitempty" doc:"Whether the code's own default is served while the flag is off in the environment."`
	TargetingRulesCount *int            `json:"targeting_rules_count,omitempty" doc:"How many rules there are. Only in lists."`
	TargetingRules      []Rule          `json:"targeting_rules,omitzero" nullable:"false" doc:"The rules in the order of evaluation. Not in lists."`
	EnvironmentID       string          `json:"environment_id" doc:"The UID of the FlagEnvironment."`
	CreatedAt           time.Time       `json:"created_at" doc:"When the flag was created."`
	UpdatedAt           time.Time       `json:"updated_at" doc:"When the flag was last changed."`
	Tags                []string        `json:"tags" nullable:"false" doc:"Words to find the flag by."`
	Classification      string          `json:"classification" enum:"release,experiment,ops_killswitch,permission,migration" doc:"What the flag is for."`
	ManagedBy           *gitops.Manager `json:"managed_by,omitempty" doc:"The GitOps tool that owns the flag and would undo changes."`
}

// Variation is one of the values of a flag.
type Variation struct {
	Key   string          `json:"key" minLength:"1" maxLength:"128" doc:"A key that is unique in the flag."`
	Name  string          `json:"name" maxLength:"256" doc:"The name for people."`
	Value json.RawMessage `json:"value" doc:"The value, of the flag's type."`
}

// Rule says who gets which variation. In requests it takes id, priority and what follows variation only where they
// matter.
type Rule struct {
	ID                string      `json:"id,omitempty" doc:"What identifies the rule in its environment. In a request it must be the id of a rule that is there."`
	Priority          int         `json:"priority,omitempty" minimum:"1" maximum:"1000000" doc:"Where it stands in evaluation, from 1. Default: its place in the list."`
	Name              string      `json:"name,omitempty" maxLength:"256" doc:"The name for people."`
	Conditions        []Condition `json:"conditions" required:"false" nullable:"false" doc:"All must hold. Empty: everybody."`
	Variation         string      `json:"variation,omitempty" doc:"The key of the variation that is served. Exactly one of variation and percentage_rollout is set."`
	PercentageRollout []Share     `json:"percentage_rollout,omitempty" nullable:"false" doc:"Shares subjects out between variations. The percentages sum to 100."`
	Enabled           *bool       `json:"enabled,omitempty" doc:"Whether the rule is included. It is shown where it is not."`
	Audiences         []string    `json:"audiences,omitempty" nullable:"false" doc:"Names of audiences, in one of which the context must be. Empty: everybody."`
	TrafficPercentage *float64    `json:"traffic_percentage,omitempty" minimum:"0" maximum:"100" doc:"The share of matching subjects that the rule includes. It is shown where it is not 100."`
}

// Condition is one test of one attribute.
type Condition struct {
	Attribute string          `json:"attribute" minLength:"1" maxLength:"256" doc:"The dot path of the attribute. targetingKey is the user key."`
	Operator  string          `json:"operator" doc:"How the attribute is compared, such as is, one_of or gte."`
	Value     json.RawMessage `json:"value,omitempty" doc:"A string, number or boolean, or a list of these. Absent with exists and not_exists."`
}

// TransformSchema lists the operators.
func (Condition) TransformSchema(_ huma.Registry, schema *huma.Schema) *huma.Schema {
	names := make([]string, len(operators))
	for i := range operators {
		names[i] = operators[i].name
	}
	return server.DescribeEnum(schema, "operator", names...)
}

// Share is one variation's share of a rollout.
type Share struct {
	Variation  string  `json:"variation" doc:"The key of the variation."`
	Percentage float64 `json:"percentage" minimum:"0" maximum:"100" doc:"Its share, with at most three decimals."`
}

// NewFlag is the body of a request to create a flag.
type NewFlag struct {
	Key              string      `json:"key" pattern:"^[a-z0-9][a-z0-9-]{0,127}$" patternDescription:"a slug: lowercase letters, digits and hyphens, at most 128" doc:"A unique slug. It cannot be changed later."`
	Name             string      `json:"name" minLength:"1" maxLength:"256" doc:"The name for people."`
	Description      string      `json:"description,omitempty" maxLength:"4096" doc:"What the flag does."`
	FlagType         string      `json:"flag_type" enum:"boolean,string,number,json" doc:"The type of the values."`
	Variations       []Variation `json:"variations" nullable:"false" minItems:"1" maxItems:"50" doc:"The values that the flag can take."`
	DefaultVariation string      `json:"default_variation" doc:"The key of the variation that is served when no rule matches."`
	Tags             []string    `json:"tags,omitempty" nullable:"false" maxItems:"50" doc:"Words to find the flag by."`
	Classification   string      `json:"classification,omitempty" enum:"release,experiment,ops_killswitch,permission,migration" doc:"What the flag is for. Default release."`
}

// Update is the body of a request to change a flag. What it leaves out stays.
type Update struct {
	Key              *string                 `json:"key,omitempty" doc:"The flag's key, which cannot be changed."`
	Name             *string                 `json:"name,omitempty" minLength:"1" maxLength:"256" doc:"The name for people."`
	Description      server.Optional[string] `json:"description,omitzero" maxLength:"4096" doc:"What the flag does. Null: none."`
	FlagType         *string                 `json:"flag_type,omitempty" enum:"boolean,string,number,json" doc:"The flag's type, which cannot be changed."`
	Variations       []Variation             `json:"variations,omitempty" nullable:"false" minItems:"1" maxItems:"50" doc:"All values that the flag can take."`
	DefaultVariation server.Optional[string] `json:"default_variation,omitzero" minLength:"1" doc:"The key of the variation that is served in this environment when no rule matches. Null, where code_default is true: the code's own default."`
	TargetingRules   []Rule                  `json:"targeting_rules,omitempty" nullable:"false" maxItems:"100" doc:"All rules of this environment."`
	Tags             []string                `json:"tags,omitempty" nullable:"false" maxItems:"50" doc:"Words to find the flag by."`
	Classification   *string                 `json:"classification,omitempty" enum:"release,experiment,ops_killswitch,permission,migration" doc:"What the flag is for."`
	Archived         *bool                   `json:"archived,omitempty" doc:"False restores an archived flag."`
	ReadOnly
}

// ReadOnly are the fields of a flag that PUT does not change. They may be sent back as they were read.
type ReadOnly struct {
	ID                  json.RawMessage `json:"id,omitempty" doc:"Read-only."`
	Status              json.RawMessage `json:"status,omitempty" doc:"Read-only: archived and toggle change it."`
	Enabled             json.RawMessage `json:"enabled,omitempty" doc:"Read-only: POST toggle changes it."`
	TargetingRulesCount json.RawMessage `json:"targeting_rules_count,omitempty" doc:"Read-only."`
	CodeDefault         json.RawMessage `json:"code_default,omitempty" doc:"Read-only: the flag's manifest says it."`
	EnvironmentID       json.RawMessage `json:"environment_id,omitempty" doc:"Read-only: the query parameter says it."`
	CreatedAt           json.RawMessage `json:"created_at,omitempty" doc:"Read-only."`
	UpdatedAt           json.RawMessage `json:"updated_at,omitempty" doc:"Not looked at, because every change moves it; If-Match compares."`
	ManagedBy           json.RawMessage `json:"managed_by,omitempty" doc:"Read-only."`
}

// isSentBack reports whether a body has what nobody writes who has not read the flag.
func (r *ReadOnly) isSentBack() bool { return r.ID != nil || r.CreatedAt != nil || r.UpdatedAt != nil }

// check refuses fields that a request wants to be others than they are. A flag that was read may also be as it was
// before the operator saw it; alone, the status that it had then would ask for that of a flag that is on.
func (r *ReadOnly) check(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, now time.Time) error {
	var before []any
	if r.isSentBack() {
		before = append(before, summarize(server.Unobserved(flag), environment, now))
	}
	return server.CheckReadOnly(r, summarize(flag, environment, now), map[string]string{
		"status":  "archived and POST …/toggle change it",
		"enabled": "POST …/toggle changes it",
	}, before...)
}

// The names that the view has for what the Kinds enumerate.
var (
	types = map[string]v1alpha1.FlagType{
		"boolean": v1alpha1.FlagTypeBoolean,
		"string":  v1alpha1.FlagTypeString,
		"number":  v1alpha1.FlagTypeNumber,
		"json":    v1alpha1.FlagTypeJSON,
	}
	classifications = map[string]v1alpha1.Classification{
		"release":        v1alpha1.ClassificationRelease,
		"experiment":     v1alpha1.ClassificationExperiment,
		"ops_killswitch": v1alpha1.ClassificationKillSwitch,
		"permission":     v1alpha1.ClassificationPermission,
		"migration":      v1alpha1.ClassificationMigration,
	}
)

// nameOf is the name that stands for a value in one of the maps above.
func nameOf[T comparable](names map[string]T, value T) string {
	for name, candidate := range names {
		if candidate == value {
			return name
		}
	}
	return ""
}

// show makes the whole flag as the environment has it.
func show(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, now time.Time) *Flag {
	shown := showWithoutRules(flag, environment, now)
	shown.TargetingRules = showRules(flag.In(environment.Name), spellingsOf(flag, environment.Name))
	return shown
}

// summarize makes the flag as lists have it.
func summarize(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, now time.Time) *Flag {
	shown, count := showWithoutRules(flag, environment, now), 0
	if config := flag.In(environment.Name); config != nil {
		count = len(config.Rules)
	}
	shown.TargetingRulesCount = &count
	return shown
}

func showWithoutRules(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, now time.Time) *Flag {
	shown := &Flag{
		ID:               string(flag.UID),
		Key:              flag.Key(),
		Name:             displayName(flag),
		Description:      flag.Spec.Description,
		FlagType:         nameOf(types, flag.Spec.Type),
		Status:           statusOf(flag),
		Enabled:          server.EnabledAt(flag, environment.Name, now),
		Variations:       make([]Variation, len(flag.Spec.Variations)),
		DefaultVariation: server.DefaultIn(flag, environment.Name),
		CodeDefault:      server.CodeDefaultIn(flag, environment.Name),
		EnvironmentID: string(
			environment.UID,
		),
		CreatedAt: flag.CreationTimestamp.UTC(),
		UpdatedAt: server.UpdatedAt(flag).UTC(),
		Tags: append(
			[]string{},
			flag.Spec.Tags...),
		Classification: nameOf(classifications, flag.Spec.Classification),
		ManagedBy:      gitops.ManagerOf(flag),
	}
	for i, variation := range flag.Spec.Variations {
		shown.Variations[i] = Variation{
			Key:   variation.Key,
			Name:  cmp.Or(variation.DisplayName, variation.Key),
			Value: variation.Value.Raw,
		}
	}
	return shown
}

// displayName is the name for people.
func displayName(flag *v1alpha1.FeatureFlag) string { return cmp.Or(flag.Spec.DisplayName, flag.Key()) }

// statusOf is where a flag is in its life. It looks at the spec first, behind which the status lags.
func statusOf(flag *v1alpha1.FeatureFlag) string {
	isOn := slices.ContainsFunc(
		flag.Spec.Environments,
		func(config v1alpha1.EnvironmentConfig) bool { return flag.EnabledIn(config.Name) },
	)
	switch {
	case flag.Spec.Archived:
		return "archived"
	case !isOn && (flag.Status.FirstEnabledTime != nil || flag.Status.Phase == v1alpha1.PhaseActive):
		return "inactive"
	default:
		return "active"
	}
}

// create makes the flag of a request, whose part for the environment is disabled.
func (n *NewFlag) create(environment string) (*v1alpha1.FeatureFlag, error) {
	flag := &v1alpha1.FeatureFlag{Spec: v1alpha1.FeatureFlagSpec{
		Key: n.Key, DisplayName: n.Name, Description: n.Description, Type: types[n.FlagType], Tags: n.Tags,
		Classification: classifications[n.Classification], DefaultVariation: n.DefaultVariation,
		Environments: []v1alpha1.EnvironmentConfig{{Name: environment}},
	}}
	var err error
	flag.Spec.Variations, err = variations(nil, n.Variations)
	return flag, err
}

// variations makes the variations that a request gives. What the view does not show of one stays with its key.
func variations(before []v1alpha1.Variation, given []Variation) ([]v1alpha1.Variation, error) {
	made := make([]v1alpha1.Variation, len(given))
	for i, variation := range given {
		if kept := slices.IndexFunc(before, func(v v1alpha1.Variation) bool { return v.Key == variation.Key }); kept >= 0 {
			made[i] = before[kept]
		}
		if variation.Name != cmp.Or(made[i].DisplayName, made[i].Key) { // A name that is only shown is not written.
			made[i].DisplayName = variation.Name
		}
		made[i].Key = variation.Key
		if err := made[i].Value.UnmarshalJSON(variation.Value); err != nil {
			return nil, server.InvalidField(fmt.Sprintf("variations[%d].value", i), "%v", err)
		}
	}
	return made, nil
}

// apply makes the changes of a request to a flag, in the part of the environment where it has to do with that. It
// returns which of the request's rules became which of the flag's.
func (u *Update) apply(flag *v1alpha1.FeatureFlag, environment string) (order []int, err error) {
	if u.Key != nil && *u.Key != flag.Key() {
		return nil, server.InvalidField("key", "is immutable; it is %q", flag.Key())
	}
	if u.FlagType != nil && types[*u.FlagType] != flag.Spec.Type {
		return nil, server.InvalidField("flag_type", "is immutable; it is %q", nameOf(types, flag.Spec.Type))
	}
	if u.Name != nil && *u.Name != displayName(flag) { // A name that is only shown is not written.
		flag.Spec.DisplayName = *u.Name
	}
	if u.Description.Sent {
		flag.Spec.Description = u.Description.Value
	}
	set(&flag.Spec.Archived, u.Archived)
	if u.Classification != nil {
		flag.Spec.Classification = classifications[*u.Classification]
	}
	if u.Tags != nil {
		flag.Spec.Tags = u.Tags
	}
	if u.Variations != nil {
		if flag.Spec.Variations, err = variations(flag.Spec.Variations, u.Variations); err != nil {
			return nil, err
		}
	}
	if err := u.applyDefault(flag, environment); err != nil {
		return nil, err
	}
	if u.TargetingRules != nil {
		if config := flag.In(environment); config == nil && len(u.TargetingRules) == 0 {
			return nil, nil // The flag has no part there and needs none.
		}
		part := server.Part(flag, environment)
		if part.Rules, order, err = replaceRules(part.Rules, u.TargetingRules); err == nil {
			err = keepSpellings(flag, part, u.TargetingRules, order)
		}
	}
	return order, err
}

// applyDefault changes what is served in an environment when no rule matches. What came back as it was read changes
// nothing.
func (u *Update) applyDefault(flag *v1alpha1.FeatureFlag, environment string) error {
	asked, is := u.DefaultVariation, server.DefaultIn(flag, environment)
	switch {
	case !asked.Sent, asked.Null && is == nil, is != nil && !asked.Null && asked.Value == *is:
		return nil
	case asked.Null:
		return server.LeaveDefault(flag, environment, "default_variation")
	default:
		server.Part(flag, environment).DefaultVariation = asked.Value
		return nil
	}
}

// set changes a field that a request gives.
func set[T any](field, given *T) {
	if given != nil {
		*field = *given
	}
}

// part is what a request changes of a flag.
func (u *Update) part(flag *v1alpha1.FeatureFlag, environment string) any {
	var part []any
	add := func(given bool, value any) {
		if given {
			part = append(part, value)
		}
	}
	add(u.Name != nil, flag.Spec.DisplayName)
	add(u.Description.Sent, flag.Spec.Description)
	add(u.Archived != nil, flag.Spec.Archived)
	add(u.Classification != nil, flag.Spec.Classification)
	add(u.Tags != nil, flag.Spec.Tags)
	add(u.Variations != nil, flag.Spec.Variations)
	add(u.DefaultVariation.Sent, server.DefaultIn(flag, environment))
	if config := flag.In(environment); config != nil {
		add(u.TargetingRules != nil, config.Rules)
	}
	return part
}

// names gives the view's names for fields of a flag, of which the part of the environment is at an index. Order says
// which of the request's rules became which of the flag's; without it they are in the same order.
func names(flag *v1alpha1.FeatureFlag, environment string, order []int) server.Rename {
	index := slices.IndexFunc(
		flag.Spec.Environments,
		func(config v1alpha1.EnvironmentConfig) bool { return config.Name == environment },
	)
	own := fmt.Sprintf("environments[%d].", index) // No path has the index -1.
	return func(path string) string {
		path = strings.TrimPrefix(path, "spec.")
		if path == "type" {
			return "flag_type"
		}
		if inPart, ok := strings.CutPrefix(path, own); ok {
			path = renameRule(inPart, order)
		}
		return fieldNames.Replace(path)
	}
}

// single is the path of a value that the request does not give as a list, of which the Kind has one.
func (u *Update) single(path string) string {
	for i, rule := range u.TargetingRules {
		for j, condition := range rule.Conditions {
			value := fmt.Sprintf("targeting_rules[%d].conditions[%d].value", i, j)
			if path == value+"[0]" && !bytes.HasPrefix(condition.Value, []byte("[")) {
				return value
			}
		}
	}
	return path
}

var fieldNames = strings.NewReplacer("displayName", "name", "defaultVariation", "default_variation")
