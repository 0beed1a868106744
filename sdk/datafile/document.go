// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package datafile is the published document of one environment: its types, its canonical JSON, its digest and its
// reader.
//
// A document is a header and three sections of parts: flags by key, audiences by name, events by key. Its JSON is
// canonical: object keys sorted by their UTF-8 bytes, no white space, numbers in the shortest form that reads back as
// the same float64, so that equal documents are equal bytes.
//
// # Stability
//
// The module is at v0: a name may change with a minor version, and the changelog says so. What a document means does
// not change without a new major version of the document: a reader takes every document of its major version, and
// ignores fields that it does not know.
package datafile

import "encoding/json"

// SchemaVersion is the version of the document that this package writes. A reader refuses another major version and
// ignores fields that it does not know in a later minor version.
const SchemaVersion = "1.0"

// Header says what a document is of. It never holds a time.
type Header struct {
	// Compressed, where not empty, says that this document is only a header, and names the key that holds the whole
	// document as gzip.
	Compressed string
	// Environment is the name of the environment.
	Environment string
	// Project is the namespace of the environment.
	Project string
	// Revision is the number of the document, at least 1 where it is published and 0 where it is not.
	Revision int64
	// SchemaVersion is "major.minor".
	SchemaVersion string
}

// SetID is what OpenFeature's clients call the flags of an environment: the project, a dot and the environment. The name
// of a namespace has no dots.
func (h Header) SetID() string { return h.Project + "." + h.Environment }

// Document is a whole datafile in memory.
type Document struct {
	Header

	// Flags are the flags by key.
	Flags map[string]*Flag
	// Audiences are the audiences by name.
	Audiences map[string]*Audience
	// Events are the events by key.
	Events map[string]*Event
}

// The fields of every type below stand in the order of their JSON names, which makes encoding/json write them sorted.

// Flag is how one flag is served in the environment.
type Flag struct {
	// Bucketing names the hash. Empty means Murmur3.
	Bucketing Bucketing `json:"bucketing,omitempty"`
	// CodeDefault serves no variation in the place of DefaultVariation, so that code gets the default that it asked with.
	CodeDefault bool `json:"codeDefault,omitempty"`
	// DefaultVariation is the key of the variation served while the flag is off or a prerequisite is not met, and where
	// nothing else decides.
	DefaultVariation string `json:"defaultVariation"`
	// Enabled is false where the flag is off whatever the time; then Fallthrough, Schedule, Prerequisites, Overrides and
	// Rules are left out.
	Enabled bool `json:"enabled"`
	// Fallthrough is the key of the variation served while the flag is on and no override or rule decides. Empty means
	// DefaultVariation, or with CodeDefault no variation.
	Fallthrough string `json:"fallthrough,omitempty"`
	// Metadata is what the flag's author publishes with it.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Overrides are variation keys by targeting key.
	Overrides map[string]string `json:"overrides,omitempty"`
	// Prerequisites must all be met. A flag that the document does not hold meets none.
	Prerequisites []Prerequisite `json:"prerequisites,omitempty"`
	// Retained marks a flag that is gone and stays only because another flag's last good form requires it: it is evaluated
	// as a prerequisite, and asked for by its key it is not found.
	Retained bool `json:"retained,omitempty"`
	// Rules are in the order in which they are evaluated; disabled ones are left out.
	Rules []Rule `json:"rules,omitempty"`
	// Runtime is Server or Client where only such SDK keys receive the flag. Empty means All.
	Runtime Runtime `json:"runtime,omitempty"`
	// Schedule turns the flag on or off at an instant.
	Schedule *Schedule `json:"schedule,omitempty"`
	// Type is the type of the values.
	Type FlagType `json:"type"`
	// Variations are the values in the author's order, at least one.
	Variations []Variation `json:"variations"`
}

// FlagType is the type of a flag's values.
type FlagType string

// The types of a flag's values. A JSON flag's values are objects and arrays.
const (
	Boolean FlagType = "Boolean"
	String  FlagType = "String"
	Number  FlagType = "Number"
	JSON    FlagType = "JSON"
)

// Bucketing names the hash that assigns subjects.
type Bucketing string

// The hashes. The empty Bucketing is Murmur3.
const (
	Murmur3     Bucketing = "Murmur3"
	PostHogSHA1 Bucketing = "PostHogSHA1"
)

// Runtime says which SDK keys receive a flag.
type Runtime string

// The runtimes. The empty Runtime is all of them.
const (
	Server Runtime = "Server"
	Client Runtime = "Client"
)

// Variation is one of a flag's values.
type Variation struct {
	// Key names the variation in its flag.
	Key string `json:"key"`
	// Payload is a canonical JSON value that goes along with Value. Empty means none.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Value is the canonical JSON value.
	Value json.RawMessage `json:"value"`
}

// Schedule holds instants as RFC 3339 times in UTC, of whole seconds. At least one is set and the two differ.
// With EnableAt alone the flag is on from then; with DisableAt alone until then. With both it is on in
// [EnableAt, DisableAt) where EnableAt is earlier, else off in [DisableAt, EnableAt).
type Schedule struct {
	DisableAt string `json:"disableAt,omitempty"`
	EnableAt  string `json:"enableAt,omitempty"`
}

// Prerequisite is another flag of the document and the variation keys of it that satisfy, sorted.
type Prerequisite struct {
	Flag       string   `json:"flag"`
	Variations []string `json:"variations"`
}

// Rule matches where the context is in any of the audiences (or there are none) and all conditions hold; it decides
// where its traffic includes the subject too.
type Rule struct {
	// Audiences are names of audiences of the document, sorted. One that the document does not hold holds for nobody.
	Audiences []string `json:"audiences,omitempty"`
	// Conditions must all hold.
	Conditions []Condition `json:"conditions,omitempty"`
	// HashAttribute is the dot path of the subject. Empty means targetingKey.
	HashAttribute string `json:"hashAttribute,omitempty"`
	// Metrics are keys of events, sorted.
	Metrics []string `json:"metrics,omitempty"`
	// Name identifies the rule in its flag.
	Name string `json:"name"`
	// Salt goes into the hash before the subject. It is set where Split or Traffic needs a hash, except with PostHogSHA1
	// and where the author wants none.
	Salt string `json:"salt,omitempty"`
	// Split shares subjects out between variations, in order. Exactly one of Split and Variation is set.
	Split []Weight `json:"split,omitempty"`
	// Traffic is the share of subjects that the rule includes, in thousandths of a percent, 0 to 99999. Absent means all.
	Traffic *int32 `json:"traffic,omitempty"`
	// Type says what the rule is for. Empty means targeted delivery.
	Type RuleType `json:"type,omitempty"`
	// Variation is the key of the variation served.
	Variation string `json:"variation,omitempty"`
}

// RuleType says what a rule is for.
type RuleType string

// ABTest marks a rule that is an experiment. The empty RuleType is targeted delivery.
const ABTest RuleType = "ABTest"

// Weight is one variation's share of a split, relative to the sum of the split's weights, which is 1 to 2147483647.
type Weight struct {
	Variation string `json:"variation"`
	Weight    int32  `json:"weight"`
}

// Condition compares the attribute at a dot path of the context, or the targeting key under the path "targetingKey",
// with values.
type Condition struct {
	Attribute string   `json:"attribute"`
	Operator  Operator `json:"operator"`
	Values    []string `json:"values,omitempty"`
}

// Operator compares an attribute with values. A missing attribute, or one of the wrong type, makes a positive operator
// false and a negative one (Not…, DoesNotExist) true.
type Operator string

// The operators.
const (
	In                       Operator = "In"
	NotIn                    Operator = "NotIn"
	Exists                   Operator = "Exists"
	DoesNotExist             Operator = "DoesNotExist"
	GreaterThan              Operator = "GreaterThan"
	GreaterThanOrEqual       Operator = "GreaterThanOrEqual"
	LessThan                 Operator = "LessThan"
	LessThanOrEqual          Operator = "LessThanOrEqual"
	StartsWith               Operator = "StartsWith"
	NotStartsWith            Operator = "NotStartsWith"
	EndsWith                 Operator = "EndsWith"
	NotEndsWith              Operator = "NotEndsWith"
	Contains                 Operator = "Contains"
	NotContains              Operator = "NotContains"
	SemVerEqual              Operator = "SemVerEqual"
	SemVerGreaterThan        Operator = "SemVerGreaterThan"
	SemVerGreaterThanOrEqual Operator = "SemVerGreaterThanOrEqual"
	SemVerLessThan           Operator = "SemVerLessThan"
	SemVerLessThanOrEqual    Operator = "SemVerLessThanOrEqual"
	SemVerTilde              Operator = "SemVerTilde"
	SemVerCaret              Operator = "SemVerCaret"
	Before                   Operator = "Before"
	After                    Operator = "After"
	BeforeUnix               Operator = "BeforeUnix"
	AfterUnix                Operator = "AfterUnix"
	Matches                  Operator = "Matches"
	NotMatches               Operator = "NotMatches"
	InCIDR                   Operator = "InCIDR"
	NotInCIDR                Operator = "NotInCIDR"
	EqualFold                Operator = "EqualFold"
	NotEqualFold             Operator = "NotEqualFold"
	ContainsFold             Operator = "ContainsFold"
	NotContainsFold          Operator = "NotContainsFold"
)

// Audience holds for a context whose targeting key is one of Members, or for which all conditions of any group hold.
type Audience struct {
	// Groups are conditions that must all hold, group by group.
	Groups []Group `json:"groups,omitempty"`
	// Members are targeting keys, sorted.
	Members []string `json:"members,omitempty"`
}

// Group is a list of conditions that must all hold, at least one.
type Group struct {
	Conditions []Condition `json:"conditions"`
}

// Event is what an experiment measures.
type Event struct {
	// Type is Conversion or Numeric.
	Type EventType `json:"type"`
	// Unit is the unit of a Numeric event's value.
	Unit string `json:"unit,omitempty"`
}

// EventType says how an event is measured.
type EventType string

// The types of an event.
const (
	Conversion EventType = "Conversion"
	Numeric    EventType = "Numeric"
)
