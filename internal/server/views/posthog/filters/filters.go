// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filters translates between the rules of a flag and the filters of PostHog's API, in both directions, and says
// what either side cannot express.
package filters

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Filters are whom a flag is released to, in PostHog's form. The last fields are what other flags of PostHog may have:
// they are read, and refused where they say something.
type Filters struct {
	Groups       []Group            `json:"groups,omitempty" maxItems:"101" doc:"Who gets the flag: the first group that holds decides."`
	Multivariate *Multivariate      `json:"multivariate,omitempty" doc:"The variants of a flag that has more to say than true."`
	Payloads     map[string]Payload `json:"payloads,omitempty" nullable:"true" doc:"JSON, or JSON as text, by variant; \"true\" is the variant of a flag without variants."`

	AggregationGroupTypeIndex *int `json:"aggregation_group_type_index,omitempty" nullable:"true" doc:"Only null is possible: flags are released to people."`
	SuperGroups               any  `json:"super_groups,omitempty" doc:"Only null or [] is possible."`
	Holdout                   any  `json:"holdout,omitempty" doc:"Only null is possible."`
	HoldoutGroups             any  `json:"holdout_groups,omitempty" doc:"Only null or [] is possible."`
	FeatureEnrollment         any  `json:"feature_enrollment,omitempty" doc:"Only null or false is possible."`
	EarlyExit                 any  `json:"early_exit,omitempty" doc:"Only null or false is possible."`

	// noVariants is true where multivariate is null, rather than missing.
	noVariants bool
}

// UnmarshalJSON reads filters. Null for the payloads says that there are none.
func (f *Filters) UnmarshalJSON(data []byte) error {
	type plain Filters
	if err := json.Unmarshal(data, (*plain)(f)); err != nil {
		return err
	}
	sent := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	f.noVariants = string(sent["multivariate"]) == "null"
	if string(sent["payloads"]) == "null" {
		f.Payloads = map[string]Payload{}
	}
	return nil
}

// Payload is JSON as text. It is read from such a text, or from the JSON itself.
type Payload string

// UnmarshalJSON reads a text as it is, and any other JSON as the text of it.
func (p *Payload) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, (*string)(p))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return err
	}
	*p = Payload(compact.String())
	return nil
}

// Schema allows everything.
func (Payload) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// Group is a set of people: those for whom all properties hold, or a share of them.
type Group struct {
	Properties        []Property `json:"properties" required:"false" nullable:"true" maxItems:"71" doc:"What must hold, all of it."`
	RolloutPercentage *float64   `json:"rollout_percentage" required:"false" nullable:"true" minimum:"0" maximum:"100" doc:"The share of these people, with up to three decimals. Null is all of them."`
	Variant           *string    `json:"variant" required:"false" nullable:"true" doc:"The variant that they get. Null is the one that the hash chooses."`
	SortKey           string     `json:"sort_key,omitempty" maxLength:"512" doc:"Where the group comes from: the name of a rule, or override: and a variation, or fallthrough:."`
	Description       string     `json:"description,omitempty" maxLength:"256" doc:"The rule's name for people."`

	AggregationGroupTypeIndex *int `json:"aggregation_group_type_index,omitempty" nullable:"true" doc:"Only null is possible."`
	UsersAffected             any  `json:"users_affected,omitempty" doc:"Ignored."`
}

// Property is one test of a property of a person, of the membership in a cohort, or of another flag.
type Property struct {
	Key             string   `json:"key" minLength:"1" maxLength:"256" doc:"The property; id for a cohort; key or id of the other flag."`
	Type            string   `json:"type,omitempty" doc:"person, cohort or flag. Default person."`
	Value           any      `json:"value,omitempty" doc:"What it is compared with: a string, number, boolean or list of these; the id of a cohort; true, false or the variant of the other flag."`
	Operator        string   `json:"operator,omitempty" nullable:"true" doc:"How it is compared. Default exact."`
	DependencyChain []string `json:"dependency_chain,omitempty" doc:"The flags to evaluate, the other flag last. Derived."`

	Label           any `json:"label,omitempty" doc:"Ignored."`
	CohortName      any `json:"cohort_name,omitempty" doc:"Ignored."`
	Negation        any `json:"negation,omitempty" doc:"Only null or false is possible."`
	GroupTypeIndex  any `json:"group_type_index,omitempty" doc:"Only null is possible."`
	DependsOnFlagID any `json:"depends_on_flag_id,omitempty" doc:"Ignored."`
}

// UnmarshalJSON reads a property, and integers of any size as what they are.
func (p *Property) UnmarshalJSON(data []byte) error {
	type plain Property
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode((*plain)(p))
}

// TransformSchema lists the operators: PostHog's, and those of the Kinds that PostHog has no word for.
func (Property) TransformSchema(_ huma.Registry, schema *huma.Schema) *huma.Schema {
	return server.DescribeEnum(schema, "operator", propertyOperators()...)
}

// propertyOperators are all operators that a property is shown with.
func propertyOperators() []string {
	names := []string{"is_set", "is_not_set", "in", FlagEvaluatesTo}
	for _, operator := range []string{"exact", "icontains", "starts_with", "ends_with", "regex"} {
		negation := "not_" + operator
		if operator == "exact" {
			negation = "is_not"
		}
		names = append(names, operator, negation)
	}
	names = append(names, slices.Sorted(maps.Keys(ordered))...)
	for _, operator := range validation.Operators() {
		if _, known := same[datafile.Operator(operator)]; !known {
			names = append(names, string(operator))
		}
	}
	return names
}

// Multivariate holds the variants.
type Multivariate struct {
	_ struct{} `nullable:"true"`

	Variants []Variant `json:"variants" maxItems:"50" doc:"The variants, in the order in which the hash shares people out."`
}

// Variant is one variant.
type Variant struct {
	Key               string  `json:"key" minLength:"1" maxLength:"128" doc:"What code gets."`
	Name              string  `json:"name,omitempty" nullable:"true" maxLength:"256" doc:"Its name for people."`
	RolloutPercentage float64 `json:"rollout_percentage" minimum:"0" maximum:"100" doc:"Its share, with up to three decimals; the sum is 100."`
}

// Cohort is an audience, in PostHog's form: groups of properties of which one must hold.
type Cohort struct {
	Type   string        `json:"type" doc:"OR."`
	Values []CohortGroup `json:"values" doc:"The groups."`
}

// CohortGroup is properties that must all hold.
type CohortGroup struct {
	Type   string     `json:"type" doc:"AND."`
	Values []Property `json:"values" doc:"The properties."`
}

const (
	// TypePerson is the type of a property of a person.
	TypePerson = "person"
	typeCohort = "cohort"
	// TypeFlag is the type of a dependency on another flag.
	TypeFlag = "flag"

	// FlagEvaluatesTo is the operator of a dependency on another flag.
	FlagEvaluatesTo = "flag_evaluates_to"

	// DistinctID is the property of a person that the targeting key is.
	DistinctID = "distinct_id"
	// TargetingKey is the attribute of an evaluation that DistinctID is.
	TargetingKey = "targetingKey"
	// DeviceID is the property that a flag hashes whose bucketing identifier is the device.
	DeviceID = "$device_id"

	// OverrideKey and FallthroughKey begin the sort keys of groups that are no rules. A rule's name holds no colon.
	OverrideKey = "override:"
	// FallthroughKey begins that of what is served where no rule matches.
	FallthroughKey = "fallthrough:"

	// payloadTrue is the key of the payload of a flag without variants.
	payloadTrue = "true"
	// Redacted stands for a payload that comes from a Secret.
	Redacted = `"********* (encrypted)"`
)

// isTrue reports whether a JSON value is true.
func isTrue(value []byte) bool { return string(value) == "true" }

// AsText is JSON as the text that payloads are given as.
func AsText(payload json.RawMessage) string { return string(payload) }

// payloadOf is JSON as a payload.
func payloadOf(payload json.RawMessage) Payload { return Payload(payload) }

// sortedKeys are the keys of a map, in order.
func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

// ShownFilters are the filters of an answer.
type ShownFilters struct {
	Groups       []Group            `json:"groups"`
	Multivariate *Multivariate      `json:"multivariate"`
	Payloads     map[string]Payload `json:"payloads"`
}

// Shown are filters as answers have them.
func Shown(filters *Filters) ShownFilters {
	return ShownFilters{Groups: filters.Groups, Multivariate: filters.Multivariate, Payloads: filters.Payloads}
}
