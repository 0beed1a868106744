// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FlagType is the type of a flag's values.
//
// +kubebuilder:validation:Enum=Boolean;String;Number;JSON
type FlagType string

// The types of a flag's values. A JSON flag takes objects and arrays.
const (
	FlagTypeBoolean FlagType = "Boolean"
	FlagTypeString  FlagType = "String"
	FlagTypeNumber  FlagType = "Number"
	FlagTypeJSON    FlagType = "JSON"
)

// Classification says what a flag is for. It does not change how the flag is evaluated.
//
// +kubebuilder:validation:Enum=Release;Experiment;KillSwitch;Permission;Migration
type Classification string

// The classifications of a flag.
const (
	ClassificationRelease    Classification = "Release"
	ClassificationExperiment Classification = "Experiment"
	ClassificationKillSwitch Classification = "KillSwitch"
	ClassificationPermission Classification = "Permission"
	ClassificationMigration  Classification = "Migration"
)

// Runtime says which SDK keys receive a flag.
//
// +kubebuilder:validation:Enum=All;Server;Client
type Runtime string

// The runtimes of a flag.
const (
	RuntimeAll    Runtime = "All"
	RuntimeServer Runtime = "Server"
	RuntimeClient Runtime = "Client"
)

// Bucketing names the hash that assigns subjects to traffic and splits.
//
// +kubebuilder:validation:Enum=Murmur3;PostHogSHA1
type Bucketing string

// The hashes. Murmur3 is flagd's; PostHogSHA1 keeps the assignments of a flag that comes from PostHog.
const (
	BucketingMurmur3     Bucketing = "Murmur3"
	BucketingPostHogSHA1 Bucketing = "PostHogSHA1"
)

// RuleType says what a rule is for. Rules of type ABTest are evaluated before rules of type TargetedDelivery.
//
// +kubebuilder:validation:Enum=TargetedDelivery;ABTest
type RuleType string

// The types of a rule.
const (
	RuleTypeTargetedDelivery RuleType = "TargetedDelivery"
	RuleTypeABTest           RuleType = "ABTest"
)

// FeatureFlagSpec is what a flag serves, to whom, in each environment.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.key) || has(self.key) && self.key == oldSelf.key",message="key is immutable",fieldPath=".key"
// +kubebuilder:validation:XValidation:rule="self.type != 'Boolean' || size(self.variations) == 2",message="a Boolean flag has exactly two variations, true and false",fieldPath=".variations"
// +kubebuilder:validation:XValidation:rule="self.variations.exists(v, v.key == self.defaultVariation)",message="names no variation of this flag",fieldPath=".defaultVariation"
type FeatureFlagSpec struct {
	// key is what code asks for. It is unique in the namespace and immutable; empty means metadata.name.
	// It has 1 to 128 printable characters, does not begin with a dot, and neither begins nor ends with a space.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^\p{C}\p{Z}.](( |[^\p{C}\p{Z}])*[^\p{C}\p{Z}])?$`
	Key string `json:"key,omitempty"`

	// displayName is the flag's name for people. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// description says what the flag does. It is not published. At most 4096 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Description string `json:"description,omitempty"`

	// type is the type of the flag's values. It is immutable.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type is immutable"
	Type FlagType `json:"type"`

	// classification says what the flag is for. Default Release.
	//
	// +optional
	// +kubebuilder:default=Release
	Classification Classification `json:"classification,omitempty"`

	// tags are words to find the flag by. At most 50 of at most 128 characters.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Tags []string `json:"tags,omitempty"`

	// runtime says which SDK keys receive the flag. Default All.
	//
	// +optional
	// +kubebuilder:default=All
	Runtime Runtime `json:"runtime,omitempty"`

	// owner is free text that says who answers for the flag. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Owner string `json:"owner,omitempty"`

	// metadata is published with the flag. At most 50 entries; a name has 1 to 128 bytes, a value at most 1024 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=50
	// +kubebuilder:validation:AdditionalProperties:MaxLength=1024
	Metadata map[string]string `json:"metadata,omitempty"`

	// archived takes the flag out of every datafile and keeps it on record. Default false.
	//
	// +optional
	Archived bool `json:"archived,omitempty"`

	// bucketing names the hash that assigns subjects to traffic and splits. Default Murmur3.
	//
	// +optional
	// +kubebuilder:default=Murmur3
	Bucketing Bucketing `json:"bucketing,omitempty"`

	// historyLimit is the number of changes that are kept in detail, from 0 to 1000. Of older ones who, what and when stay.
	// Default 25.
	//
	// +optional
	// +kubebuilder:default=25
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	HistoryLimit *int32 `json:"historyLimit,omitempty"`

	// variations are the values that the flag can take, 1 to 50. A Boolean flag has exactly two, true and false; where it
	// names none, admission gives it off and on, and off for defaultVariation.
	//
	// +required
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Variations []Variation `json:"variations"`

	// defaultVariation is the key of the variation that is served while the flag is disabled, and where nothing else
	// decides.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	DefaultVariation string `json:"defaultVariation"`

	// environments is how the flag is served in each environment, at most 50. In an environment without an entry the flag
	// is disabled.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	Environments []EnvironmentConfig `json:"environments,omitempty"`
}

// Variation is one of the values that a flag can take.
type Variation struct {
	// key names the variation in this flag: 1 to 128 printable characters, such as 10% or "dark blue".
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^( |[^\p{C}\p{Z}])+$`
	Key string `json:"key"`

	// displayName is the variation's name for people. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// value is what code gets: a JSON value of the flag's type. Integers lie between -(2^53-1) and 2^53-1, so that every
	// language reads the same number.
	//
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Value JSON `json:"value"`

	// payload is a JSON value that goes along with the variation. Empty means none.
	//
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Payload *JSON `json:"payload,omitempty"`

	// payloadFrom takes the payload from a Secret, which excludes payload. Such a payload is never written to a datafile.
	//
	// +optional
	PayloadFrom *PayloadSource `json:"payloadFrom,omitempty"`
}

// PayloadSource says where a secret payload is kept.
type PayloadSource struct {
	// secretKeyRef is the key of a Secret of the flag's namespace.
	//
	// +required
	SecretKeyRef SecretKeySelector `json:"secretKeyRef"`
}

// SecretKeySelector chooses one key of a Secret of the same namespace.
type SecretKeySelector struct {
	// name is the Secret's name. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key is the key in the Secret's data. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// EnvironmentConfig is how a flag is served in one environment.
type EnvironmentConfig struct {
	// name is the name of a FlagEnvironment of the flag's namespace.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// enabled turns the flag on. While it is off, everybody gets spec.defaultVariation, or with codeDefault the default of
	// the code that asks. Default false.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// defaultVariation is served while the flag is enabled and no rule matches. Empty means spec.defaultVariation.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DefaultVariation string `json:"defaultVariation,omitempty"`

	// codeDefault serves no variation where spec.defaultVariation would be served in this environment, so that code gets
	// the default that it asked with: while the flag is off or a prerequisite is not met, and, without a defaultVariation
	// of the environment, where no rule matches. Default false.
	//
	// +optional
	CodeDefault bool `json:"codeDefault,omitempty"`

	// schedule turns an enabled flag on or off at an instant. Empty means no schedule.
	//
	// +optional
	Schedule *Schedule `json:"schedule,omitempty"`

	// prerequisites are other flags that must serve certain variations, else this flag serves spec.defaultVariation. At
	// most 20.
	//
	// +optional
	// +listType=map
	// +listMapKey=flag
	// +kubebuilder:validation:MaxItems=20
	Prerequisites []Prerequisite `json:"prerequisites,omitempty"`

	// overrides pin single targeting keys to variations, before any rule. At most 1000.
	//
	// +optional
	// +listType=map
	// +listMapKey=targetingKey
	// +kubebuilder:validation:MaxItems=1000
	Overrides []Override `json:"overrides,omitempty"`

	// rules decide in order, those of type ABTest first: the first rule that matches, whose traffic includes the subject,
	// serves. At most 100.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Rules []Rule `json:"rules,omitempty"`
}

// Schedule turns an enabled flag on or off at an instant, by the clock of whoever evaluates.
// With enableAt alone the flag is on from then; with disableAt alone until then. With both it is on in [enableAt,
// disableAt) where enableAt is earlier, else off in [disableAt, enableAt).
type Schedule struct {
	// enableAt is the instant from which the flag is on. Empty means no such instant.
	//
	// +optional
	// +nullable
	EnableAt *metav1.Time `json:"enableAt,omitempty"`

	// disableAt is the instant from which the flag is off. Empty means no such instant.
	//
	// +optional
	// +nullable
	DisableAt *metav1.Time `json:"disableAt,omitempty"`

	// timeZone is the name in the tz database of the zone in which people see the instants, such as America/New_York.
	// The instants themselves do not depend on it. Empty means UTC.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}

// Prerequisite is another flag of the same environment and the variations of it that satisfy.
type Prerequisite struct {
	// flag is the key of the other flag.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^\p{C}\p{Z}.](( |[^\p{C}\p{Z}])*[^\p{C}\p{Z}])?$`
	Flag string `json:"flag"`

	// variations are the keys of the other flag's variations that satisfy, 1 to 50.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Variations []string `json:"variations"`
}

// Override pins one targeting key to one variation.
type Override struct {
	// targetingKey is the subject's targeting key. 1 to 256 bytes.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	TargetingKey string `json:"targetingKey"`

	// variation is the key of the variation that the subject gets.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Variation string `json:"variation"`
}

// Rule is a condition plus what it serves. It matches when the context is in any of its audiences (or it names none)
// and all of its conditions hold.
//
// +kubebuilder:validation:XValidation:rule="has(self.variation) != has(self.split)",message="exactly one of variation and split is required"
type Rule struct {
	// name identifies the rule in this environment; it is a DNS label of at most 63 characters. The default salt depends
	// on it, so renaming a rule moves subjects between variations.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// displayName is the rule's name for people. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// type says what the rule is for. Default TargetedDelivery.
	//
	// +optional
	// +kubebuilder:default=TargetedDelivery
	Type RuleType `json:"type,omitempty"`

	// enabled includes the rule. Default true.
	//
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`

	// audiences are names of FlagAudiences of the flag's namespace, of which the context must be in one. Empty means
	// everybody. At most 20.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Audiences []string `json:"audiences,omitempty"`

	// conditions must all hold. At most 50.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Conditions []Condition `json:"conditions,omitempty"`

	// traffic is the share of matching subjects that the rule includes; the others go on to the next rule. Default 100%.
	//
	// +optional
	// +kubebuilder:default="100%"
	Traffic Percent `json:"traffic,omitempty"`

	// variation is the key of the variation that the rule serves. Exactly one of variation and split is set.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Variation string `json:"variation,omitempty"`

	// split shares subjects out between variations. Exactly one of variation and split is set. 1 to 50 entries.
	//
	// +optional
	// +listType=map
	// +listMapKey=variation
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Split []SplitEntry `json:"split,omitempty"`

	// hashAttribute is the dot path of the attribute that identifies the subject; it must be a string in the context.
	// Default targetingKey.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	HashAttribute string `json:"hashAttribute,omitempty"`

	// salt goes into the hash before the subject. Empty means the flag's key, "/", the rule's name and "/". At most 256
	// characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Salt string `json:"salt,omitempty"`

	// unsalted hashes the subject alone, without any salt, as flagd does for a fractional of an attribute. All flags with
	// such a rule deal subjects alike. Not together with salt, nor with bucketing PostHogSHA1. Default false.
	//
	// +optional
	Unsalted bool `json:"unsalted,omitempty"`

	// metrics are keys of FlagEvents that the rule's experiment measures. At most 50.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Metrics []string `json:"metrics,omitempty"`
}

// SplitEntry is one variation's share of a split.
type SplitEntry struct {
	// variation is the key of the variation.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Variation string `json:"variation"`

	// weight is the variation's share relative to the other weights of the split, whose sum is 1 to 2147483647.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Weight int32 `json:"weight"`
}

// Phase is where a flag is in its life.
//
// +kubebuilder:validation:Enum=Draft;Active;Inactive;Archived
type Phase string

// The phases of a flag: Draft until first enabled in any environment; then Active while enabled somewhere, else
// Inactive.
const (
	PhaseDraft    Phase = "Draft"
	PhaseActive   Phase = "Active"
	PhaseInactive Phase = "Inactive"
	PhaseArchived Phase = "Archived"
)

// Configuration sums up what a flag serves in one environment.
//
// +kubebuilder:validation:Enum=On;Off;Mixed
type Configuration string

// The configurations: On and Off where every context gets the same answer (Off: while disabled, or where that answer is
// spec.defaultVariation), else Mixed.
const (
	ConfigurationOn    Configuration = "On"
	ConfigurationOff   Configuration = "Off"
	ConfigurationMixed Configuration = "Mixed"
)

// StaleReason says why a flag is stale.
//
// +kubebuilder:validation:Enum=FullyRolledOut
type StaleReason string

// StaleReasonFullyRolledOut says that the flag has served one variation to everybody, everywhere, for long.
const StaleReasonFullyRolledOut StaleReason = "FullyRolledOut"

// FeatureFlagStatus is what the operator has made of a flag.
type FeatureFlagStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is where the flag is in its life.
	//
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// summary lists what each environment serves, and what is wanted where that differs, such as
	// "production=on→off (frozen) staging=mixed".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Summary string `json:"summary,omitempty"`

	// pending is the number of environments in which this flag has changes that are not published.
	//
	// +optional
	Pending int32 `json:"pending"`

	// lastChangedTime is when the spec last changed.
	//
	// +optional
	LastChangedTime *metav1.Time `json:"lastChangedTime,omitempty"`

	// lastChangedBy is the user name of whoever made that change. Empty where no change record says so.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastChangedBy string `json:"lastChangedBy,omitempty"`

	// archivedTime is when the flag was archived. Empty while it is not.
	//
	// +optional
	ArchivedTime *metav1.Time `json:"archivedTime,omitempty"`

	// firstEnabledTime is when the flag was first enabled in any environment.
	//
	// +optional
	FirstEnabledTime *metav1.Time `json:"firstEnabledTime,omitempty"`

	// neverEnabledIn are environments of which the operator knows that the flag was never enabled there, the first 100.
	// There the flag is a draft, and editors change it without the verb publish.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=63
	NeverEnabledIn []string `json:"neverEnabledIn,omitempty"`

	// stale says since when and why the flag is stale. Empty while it is not.
	//
	// +optional
	Stale *Stale `json:"stale,omitempty"`

	// environments is the flag's state in each environment of the namespace, in the order of display, the first 100.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Environments []EnvironmentState `json:"environments,omitempty"`

	// conditions are Ready, Accepted, ResolvedRefs, FlagdCompatible and Published.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Stale says since when and why a flag is stale.
type Stale struct {
	// since is when the flag became stale.
	//
	// +required
	Since metav1.Time `json:"since"`

	// reason says why.
	//
	// +required
	Reason StaleReason `json:"reason"`
}

// ServingState says whether an environment serves a flag as its spec and annotations want, and why not.
//
// +kubebuilder:validation:Enum=Served;Pending;AwaitingPublish;Frozen;Pinned;BreakGlass;NotFound;LastGood;KeyTaken;Elsewhere
type ServingState string

// The states of a flag in an environment.
const (
	// ServingStateServed: what is wanted is served.
	ServingStateServed ServingState = "Served"
	// ServingStatePending: what is wanted is being compiled and published.
	ServingStatePending ServingState = "Pending"
	// ServingStateAwaitingPublish: publish mode is Manual, and nobody has asked for a publish since the change.
	ServingStateAwaitingPublish ServingState = "AwaitingPublish"
	// ServingStateFrozen: publishing is suspended.
	ServingStateFrozen ServingState = "Frozen"
	// ServingStatePinned: the environment serves the revision that spec.publish.revision names.
	ServingStatePinned ServingState = "Pinned"
	// ServingStateBreakGlass: somebody wrote the datafile while the operator was away, and that stays.
	ServingStateBreakGlass ServingState = "BreakGlass"
	// ServingStateNotFound: there is no such FlagEnvironment.
	ServingStateNotFound ServingState = "NotFound"
	// ServingStateLastGood: the flag does not compile there, and what was served last stays.
	ServingStateLastGood ServingState = "LastGood"
	// ServingStateKeyTaken: an older flag holds the key and is served instead.
	ServingStateKeyTaken ServingState = "KeyTaken"
	// ServingStateElsewhere: another cluster serves the environment, because its publish mode is None.
	ServingStateElsewhere ServingState = "Elsewhere"
)

// IsPending reports whether a change waits to be published.
func (s ServingState) IsPending() bool {
	switch s {
	case ServingStatePending, ServingStateAwaitingPublish, ServingStateFrozen, ServingStatePinned, ServingStateBreakGlass:
		return true
	case ServingStateServed, ServingStateNotFound, ServingStateLastGood, ServingStateKeyTaken, ServingStateElsewhere:
	}
	return false
}

// EnvironmentState is what is wanted of a flag in one environment beside what the environment serves.
type EnvironmentState struct {
	// name is the name of the FlagEnvironment.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// wanted is what the flag's spec and annotations ask for.
	//
	// +required
	Wanted WantedState `json:"wanted"`

	// served is what the served datafile holds for the flag. Absent where it holds nothing, and while that is not known.
	//
	// +optional
	Served *ServedState `json:"served,omitempty"`

	// state is Served where the environment serves what is wanted, else why it does not.
	//
	// +required
	State ServingState `json:"state"`
}

// WantedState is what a flag's spec and annotations ask for in one environment.
type WantedState struct {
	// enabled is spec's enabled, and false where the flag is force-disabled or archived.
	//
	// +required
	Enabled bool `json:"enabled"`

	// forceDisabled is true where the annotation flags.jackstaff.dev/force-disabled names the environment.
	//
	// +optional
	ForceDisabled bool `json:"forceDisabled,omitempty"`

	// configuration sums up what the flag would serve. Absent where the flag does not compile.
	//
	// +optional
	Configuration Configuration `json:"configuration,omitempty"`
}

// ServedState is what a served datafile holds for a flag.
type ServedState struct {
	// enabled is true where the served flag is on.
	//
	// +required
	Enabled bool `json:"enabled"`

	// configuration sums up what is served.
	//
	// +required
	Configuration Configuration `json:"configuration"`

	// revision is the revision that last changed this flag's part of the datafile. Absent where that is not known.
	//
	// +optional
	Revision int64 `json:"revision,omitempty"`
}

// FeatureFlag is a feature flag of a project.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ffl,categories=flags
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.key`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Environments",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Pending",type=integer,JSONPath=`.status.pending`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Owner",type=string,priority=1,JSONPath=`.spec.owner`
// +kubebuilder:printcolumn:name="Changed",type=date,priority=1,JSONPath=`.status.lastChangedTime`
// +kubebuilder:printcolumn:name="By",type=string,priority=1,JSONPath=`.status.lastChangedBy`
// +kubebuilder:selectablefield:JSONPath=`.spec.key`
// +kubebuilder:selectablefield:JSONPath=`.spec.owner`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name has at most 63 characters"
// +genclient
type FeatureFlag struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata. The name has at most 63 characters.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the flag serves, to whom, in each environment.
	//
	// +required
	Spec FeatureFlagSpec `json:"spec"`

	// status is what the operator has made of the flag. Until it has looked at the object, observedGeneration is -1, by
	// which tools see that the object is not ready yet.
	//
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status FeatureFlagStatus `json:"status,omitzero"`
}

// FeatureFlagList is a list of FeatureFlags.
//
// +kubebuilder:object:root=true
type FeatureFlagList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FeatureFlag `json:"items"`
}
