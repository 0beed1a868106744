// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventType says how an experiment measures an event.
//
// +kubebuilder:validation:Enum=Conversion;Numeric
type EventType string

// The types of an event: Conversion counts subjects that did it, Numeric takes the mean of a value.
const (
	EventTypeConversion EventType = "Conversion"
	EventTypeNumeric    EventType = "Numeric"
)

// FlagEventSpec says what an experiment measures.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.key) || has(self.key) && self.key == oldSelf.key",message="key is immutable",fieldPath=".key"
type FlagEventSpec struct {
	// key is what code tracks. It is unique in the namespace and immutable; empty means metadata.name.
	// It begins with a letter or digit and goes on with letters, digits and . _ / -, at most 128 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`
	Key string `json:"key,omitempty"`

	// displayName is the event's name for people. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// description says when the event happens. It is not published. At most 4096 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Description string `json:"description,omitempty"`

	// type says how the event is measured. It is immutable.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type is immutable"
	Type EventType `json:"type"`

	// unit is the unit of a Numeric event's value, such as EUR. Empty means none. At most 32 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Unit string `json:"unit,omitempty"`
}

// FlagEventStatus is what the operator has made of an event.
type FlagEventStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// usedBy are the keys of unarchived flags that measure the event, in order, the first 100.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=128
	UsedBy []string `json:"usedBy,omitempty"`

	// usedByCount is the number of unarchived flags that measure the event.
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

// FlagEvent is what an experiment measures.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ffev,categories=flags
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.spec.key`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Used By",type=integer,JSONPath=`.status.usedByCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +genclient
type FlagEvent struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what an experiment measures.
	//
	// +required
	Spec FlagEventSpec `json:"spec"`

	// status is what the operator has made of the event. Until it has looked at the object, observedGeneration is -1, by
	// which tools see that the object is not ready yet.
	//
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status FlagEventStatus `json:"status,omitzero"`
}

// FlagEventList is a list of FlagEvents.
//
// +kubebuilder:object:root=true
type FlagEventList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FlagEvent `json:"items"`
}
