// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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

	// pending is the number of environments in which this flag has changes that are not published, or that do not fit.
	// Defaults to 0, so that the column PENDING is never empty.
	//
	// +kubebuilder:default=0
	// +optional
	Pending int32 `json:"pending,omitempty"`

	// lastChangedTime is when the spec, or in which environments the flag is forced off, last changed.
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
	// +listType=atomic
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
	// +listType=atomic
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
	// ServingStateLastGood: the flag does not compile or does not fit there, and what was served last stays.
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
