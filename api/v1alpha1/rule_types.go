// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
