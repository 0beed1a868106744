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

	// historyLimit is the number of changes that are kept in detail, from 0 to 1000. Of older ones who, what and when
	// stay. Default 25.
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
