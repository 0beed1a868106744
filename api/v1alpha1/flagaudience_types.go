// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FlagAudienceSpec says which contexts are in an audience: those whose targeting key is a member, and those for which
// all conditions of any group hold. An empty audience holds for nobody.
type FlagAudienceSpec struct {
	// displayName is the audience's name for people. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// members are targeting keys of 1 to 256 bytes, at most 20000.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Members []string `json:"members,omitempty"`

	// matchAny are groups of conditions, at most 50. The audience holds where all conditions of any group hold.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	MatchAny []ConditionGroup `json:"matchAny,omitempty"`
}

// ConditionGroup is a list of conditions that must all hold.
type ConditionGroup struct {
	// conditions must all hold, 1 to 50.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Conditions []Condition `json:"conditions"`
}

// FlagAudienceStatus is what the operator has made of an audience.
type FlagAudienceStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// members is the number of spec.members.
	//
	// +optional
	Members int32 `json:"members"`

	// usedBy are the keys of unarchived flags that name the audience, in order, the first 100.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=128
	UsedBy []string `json:"usedBy,omitempty"`

	// usedByCount is the number of unarchived flags that name the audience.
	//
	// +optional
	UsedByCount int32 `json:"usedByCount"`

	// conditions are Ready and Accepted.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// FlagAudience is a named set of contexts that rules refer to.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ffa,categories=flags
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Members",type=integer,JSONPath=`.status.members`
// +kubebuilder:printcolumn:name="Used By",type=integer,JSONPath=`.status.usedByCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +genclient
type FlagAudience struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which contexts are in the audience.
	//
	// +required
	Spec FlagAudienceSpec `json:"spec"`

	// status is what the operator has made of the audience. Until it has looked at the object, observedGeneration is -1,
	// by which tools see that the object is not ready yet.
	//
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status FlagAudienceStatus `json:"status,omitzero"`
}

// FlagAudienceList is a list of FlagAudiences.
//
// +kubebuilder:object:root=true
type FlagAudienceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FlagAudience `json:"items"`
}
