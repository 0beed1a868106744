// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PublishMode says what publishes a change.
//
// +kubebuilder:validation:Enum=Automatic;Manual;None
type PublishMode string

// The publish modes: Automatic publishes every change at once, Manual waits for a request, and None publishes nothing,
// because another cluster serves the environment.
const (
	PublishModeAutomatic PublishMode = "Automatic"
	PublishModeManual    PublishMode = "Manual"
	PublishModeNone      PublishMode = "None"
)

// DatafileFormat is a format in which a datafile is published.
//
// +kubebuilder:validation:Enum=Native;Flagd
type DatafileFormat string

// The formats: Native is datafile.json, which can say everything; Flagd is flagd.json, which unmodified OpenFeature
// SDKs read.
const (
	DatafileFormatNative DatafileFormat = "Native"
	DatafileFormatFlagd  DatafileFormat = "Flagd"
)

// Compression says whether the native document is compressed.
//
// +kubebuilder:validation:Enum=Auto;Always;Never
type Compression string

// The compressions: Auto compresses only where the datafile would not fit otherwise.
const (
	CompressionAuto   Compression = "Auto"
	CompressionAlways Compression = "Always"
	CompressionNever  Compression = "Never"
)

// ClientMembers says whether client SDK keys may receive a datafile that names members of audiences or overrides.
//
// +kubebuilder:validation:Enum=Deny;Allow
type ClientMembers string

// The settings of ClientMembers.
const (
	ClientMembersDeny  ClientMembers = "Deny"
	ClientMembersAllow ClientMembers = "Allow"
)

// DeletionPolicy says what becomes of an environment's datafiles when the environment is deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// The deletion policies: Retain leaves the datafiles to the workloads that mount them, Delete removes them.
const (
	DeletionPolicyRetain DeletionPolicy = "Retain"
	DeletionPolicyDelete DeletionPolicy = "Delete"
)

// FlagEnvironmentSpec says how an environment's datafile is published.
type FlagEnvironmentSpec struct {
	// displayName is the environment's name for people. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// production guards the environment: changes to what it serves need the verb publish on it. Left out at creation, it
	// is true where a production environment of the same name has left its files, and false otherwise.
	//
	// +optional
	Production bool `json:"production,omitempty"`

	// order is where the environment stands in lists, lowest first, from 0 to 10000. Default 0.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Order int32 `json:"order,omitempty"`

	// publish says when a change is published.
	//
	// +optional
	// +kubebuilder:default={}
	Publish Publish `json:"publish,omitzero"`

	// datafile says what is published.
	//
	// +optional
	// +kubebuilder:default={}
	Datafile Datafile `json:"datafile,omitzero"`

	// delivery says who else gets the datafile.
	//
	// +optional
	Delivery Delivery `json:"delivery,omitzero"`

	// deletionPolicy says what becomes of the datafiles when the environment is deleted. Default Retain.
	//
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Publish says when a change is published.
type Publish struct {
	// mode says what publishes a change. None declares an environment that another cluster serves: flags may name it, and
	// nothing is compiled or written here. Default Automatic.
	//
	// +optional
	// +kubebuilder:default=Automatic
	Mode PublishMode `json:"mode,omitempty"`

	// suspend stops all publishing, but for flags that are forced off, until it is false again or suspendUntil is past.
	// Default false.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// suspendReason says why publishing is suspended. Admission removes it where suspend is false. At most 256 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	SuspendReason string `json:"suspendReason,omitempty"`

	// suspendUntil is the instant from which publishing is no longer suspended, although suspend is true. Admission
	// removes it where suspend is false, and refuses a new one that is past or more than 366 days ahead. Empty means that
	// only suspend ends the suspension.
	//
	// +optional
	// +nullable
	SuspendUntil *metav1.Time `json:"suspendUntil,omitempty"`

	// revision serves that revision of the history until it is removed. Empty means the newest.
	//
	// +optional
	// +nullable
	// +kubebuilder:validation:Minimum=1
	Revision *int64 `json:"revision,omitempty"`

	// revisionHistoryLimit is the number of newest revisions that are kept, from 1 to 100. Besides them, one an hour is
	// kept for a day and one a day for a week, in UTC, compressed: the one that was served longest. Default 10.
	//
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
}

// Datafile says what is published.
type Datafile struct {
	// name is the name of the ConfigMap. Empty means flags- and the environment's name; any other name begins with flags-
	// and has a dot, so that no other environment can need it. At most 253 characters.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// formats are the formats in which the datafile is published. Default Native and Flagd.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={Native,Flagd}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Formats []DatafileFormat `json:"formats,omitempty"`

	// compression says whether the native document is compressed. Default Auto.
	//
	// +optional
	// +kubebuilder:default=Auto
	Compression Compression `json:"compression,omitempty"`

	// clientMembers says whether client SDK keys may receive a datafile that names members of audiences or overrides.
	// Default Deny.
	//
	// +optional
	// +kubebuilder:default=Deny
	ClientMembers ClientMembers `json:"clientMembers,omitempty"`
}

// Delivery says who else gets the datafile, and how fast.
type Delivery struct {
	// namespaceSelector selects namespaces that get a copy, where they accept it by the annotation
	// flags.jackstaff.dev/accept-from. Absent means none, and an empty selector every namespace. The environment's own
	// namespace never gets one.
	//
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// refreshPods makes running pods that mount the datafile see a new revision at once. It needs an operator that runs
	// with --refresh-pods. Default false.
	//
	// +optional
	RefreshPods bool `json:"refreshPods,omitempty"`

	// acknowledge counts the workloads that report which revision they have loaded. Default false.
	//
	// +optional
	Acknowledge bool `json:"acknowledge,omitempty"`
}

// FlagEnvironment is where flags are served. It owns one datafile.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ffe,categories=flags
// +kubebuilder:printcolumn:name="Production",type=boolean,JSONPath=`.spec.production`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.status.publishedRevision`
// +kubebuilder:printcolumn:name="Flags",type=integer,JSONPath=`.status.flags.total`
// +kubebuilder:printcolumn:name="Pending",type=integer,JSONPath=`.status.flags.pending`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.publish.mode`,priority=1
// +kubebuilder:printcolumn:name="Frozen until",type=string,JSONPath=`.status.suspendUntil`,priority=1
// +kubebuilder:printcolumn:name="Frozen for",type=string,JSONPath=`.status.suspendReason`,priority=1
// +kubebuilder:printcolumn:name="Delivered",type=integer,JSONPath=`.status.deliveriesCount`,priority=1
// +kubebuilder:printcolumn:name="Acknowledged",type=integer,JSONPath=`.status.delivery.acknowledged`,priority=1
// +kubebuilder:printcolumn:name="Bytes",type=integer,JSONPath=`.status.datafile.bytes`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name is a DNS label of at most 63 characters"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.matches('-r[0-9]+$')",message="metadata.name must not end in -r and digits, because datafiles of the history are named so"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.datafile) || !has(self.spec.datafile.name) || size(self.spec.datafile.name) == 0 || self.spec.datafile.name == 'flags-' + self.metadata.name || self.spec.datafile.name.matches('^flags-[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$')",message="begins with flags- and has a dot, so that no other environment can need the name",fieldPath=".spec.datafile.name"
// +genclient
type FlagEnvironment struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata. The name is a DNS label of at most 63 characters that does not end in -r and
	// digits.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how the environment's datafile is published.
	//
	// +optional
	// +kubebuilder:default={}
	Spec FlagEnvironmentSpec `json:"spec,omitzero"`

	// status is what the operator has published. Until it has looked at the object, observedGeneration is -1, by which
	// tools see that the object is not ready yet.
	//
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status FlagEnvironmentStatus `json:"status,omitzero"`
}

// At is how the environment publishes at that time: a suspension that is over by then is left out.
func (p *Publish) At(now time.Time) Publish {
	at := *p
	if !p.Suspend || p.SuspendUntil != nil && !now.Before(p.SuspendUntil.Time) {
		at.Suspend, at.SuspendReason, at.SuspendUntil = false, "", nil
	}
	return at
}

// DatafileName is the name of the ConfigMap that the environment serves.
func (e *FlagEnvironment) DatafileName() string {
	if e.Spec.Datafile.Name != "" {
		return e.Spec.Datafile.Name
	}
	return "flags-" + e.Name
}

// HistoryName is the name of the ConfigMap that keeps one revision of the environment.
func (e *FlagEnvironment) HistoryName(revision int64) string {
	return "flags-" + e.Name + "-r" + strconv.FormatInt(revision, 10)
}

// IsElsewhere reports whether another cluster serves the environment.
func (e *FlagEnvironment) IsElsewhere() bool { return e.Spec.Publish.Mode == PublishModeNone }

// FlagEnvironmentList is a list of FlagEnvironments.
//
// +kubebuilder:object:root=true
type FlagEnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FlagEnvironment `json:"items"`
}
