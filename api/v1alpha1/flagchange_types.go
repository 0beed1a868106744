// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ChangedObject identifies the object that was changed.
type ChangedObject struct {
	// kind is FeatureFlag, FlagEnvironment, FlagAudience or FlagEvent.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// name is the object's name. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key is the key of a flag or event, and empty for other Kinds. At most 128 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key,omitempty"`

	// uid is the object's UID. At most 128 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid,omitempty"`
}

// ChangeActor is the user who made a change, as the API server knows them.
type ChangeActor struct {
	// name is the user name, at most 256 bytes of it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`

	// uid is the user's UID. Empty means that the user has none. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	UID string `json:"uid,omitempty"`
}

// ChangedField is one changed field.
type ChangedField struct {
	// path leads to the field. Elements of lists are named by their keys, such as
	// spec.environments[production].enabled. At most 4096 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`

	// from is the value before. Absent means that there was none.
	//
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	From *JSON `json:"from,omitempty"`

	// to is the value after. Absent means that there is none.
	//
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	To *JSON `json:"to,omitempty"`

	// digested is true where from and to are not the values themselves, which are too large, but "sha256:…" of them.
	//
	// +optional
	Digested bool `json:"digested,omitempty"`
}

// OlderChange is what stays of a change without its detail.
type OlderChange struct {
	// id is the id of the change.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// action says what was done, such as flag.toggled.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action"`

	// actor made the change.
	//
	// +required
	Actor ChangeActor `json:"actor"`

	// time is when the change was admitted.
	//
	// +required
	Time metav1.MicroTime `json:"time"`

	// summary says in a few words what changed. At most 100 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=100
	Summary string `json:"summary,omitempty"`
}

// FlagChangeSpec is who changed what and when. It is immutable.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a change record is immutable"
type FlagChangeSpec struct {
	// id is the change's own, unique in the cluster, and a DNS label.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// object is what was changed.
	//
	// +required
	Object ChangedObject `json:"object"`

	// action says what was done, such as flag.toggled; changes.folded stands for the changes in older.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action"`

	// actor made the change.
	//
	// +optional
	Actor ChangeActor `json:"actor,omitzero"`

	// time is when the change was admitted.
	//
	// +required
	Time metav1.MicroTime `json:"time"`

	// environments are the names of the environments whose part of a flag changed, in order. Empty means that the change
	// is of no environment's part alone. At most 50.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=63
	Environments []string `json:"environments,omitempty"`

	// summary says in one line what changed, such as "production: off→on". At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Summary string `json:"summary,omitempty"`

	// enables is true where the change enabled a flag in an environment in which it was not.
	//
	// +optional
	Enables bool `json:"enables,omitempty"`

	// changes are the changed fields by path, without those that found no place. At most 256.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Changes []ChangedField `json:"changes,omitempty"`

	// omitted is the number of changed fields that found no place in changes.
	//
	// +optional
	Omitted int32 `json:"omitted,omitempty"`

	// lost is the number of changes right before this one whose records found no place.
	//
	// +optional
	Lost int32 `json:"lost,omitempty"`

	// specGzip is the object's spec after the change, as JSON, compressed by gzip, in base64. Empty means that it was
	// replaced by a later change before it could be kept, or is too large. At most 256 KiB.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	SpecGzip string `json:"specGzip,omitempty"`

	// older are, oldest first, the changes whose detail is no longer kept. At most 500.
	//
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=500
	Older []OlderChange `json:"older,omitempty"`
}

// ChangeRevision is the revision of an environment that published a change.
type ChangeRevision struct {
	// environment is the name of the environment.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Environment string `json:"environment"`

	// revision is the first revision that served the object as it was after the change.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision"`
}

// FlagChangeStatus says what became of a change.
type FlagChangeStatus struct {
	// published sums revisions up in one line, such as "production/43 staging/12". At most 4096 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Published string `json:"published,omitempty"`

	// revisions are the revisions that published the change, one an environment. At most 50.
	//
	// +optional
	// +listType=map
	// +listMapKey=environment
	// +kubebuilder:validation:MaxItems=50
	Revisions []ChangeRevision `json:"revisions,omitempty"`
}

// FlagChange is the record of one admitted change of a flag, environment, audience or event. Only the operator writes
// it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ffc,categories=flags
// +kubebuilder:selectablefield:JSONPath=`.spec.object.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.object.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.object.key`
// +kubebuilder:selectablefield:JSONPath=`.spec.actor.name`
// +kubebuilder:printcolumn:name="When",type=date,JSONPath=`.spec.time`
// +kubebuilder:printcolumn:name="Who",type=string,JSONPath=`.spec.actor.name`
// +kubebuilder:printcolumn:name="Object",type=string,JSONPath=`.spec.object.name`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.spec.summary`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.published`
// +kubebuilder:printcolumn:name="Kind",type=string,priority=1,JSONPath=`.spec.object.kind`
// +kubebuilder:printcolumn:name="Environments",type=string,priority=1,JSONPath=`.spec.environments[*]`
// +genclient
type FlagChange struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is who changed what and when. It is immutable.
	//
	// +required
	Spec FlagChangeSpec `json:"spec"`

	// status says what became of the change.
	//
	// +optional
	Status FlagChangeStatus `json:"status,omitzero"`
}

// FlagChangeList is a list of FlagChanges.
//
// +kubebuilder:object:root=true
type FlagChangeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FlagChange `json:"items"`
}
