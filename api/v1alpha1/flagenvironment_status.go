// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PublishState says in one word what an environment serves.
//
// +kubebuilder:validation:Enum=Serving;Frozen;Pinned;AwaitingPublish;BreakGlass;Degraded;Elsewhere
type PublishState string

// The states of an environment.
const (
	// PublishStateServing serves what is wanted.
	PublishStateServing PublishState = "Serving"
	// PublishStateFrozen serves what it did when publishing was suspended.
	PublishStateFrozen PublishState = "Frozen"
	// PublishStatePinned serves a revision of the history.
	PublishStatePinned PublishState = "Pinned"
	// PublishStateAwaitingPublish has changes that wait for a publish request.
	PublishStateAwaitingPublish PublishState = "AwaitingPublish"
	// PublishStateBreakGlass serves what somebody wrote without the operator.
	PublishStateBreakGlass PublishState = "BreakGlass"
	// PublishStateDegraded cannot serve, or not completely, what is wanted.
	PublishStateDegraded PublishState = "Degraded"
	// PublishStateElsewhere serves nothing, because another cluster does.
	PublishStateElsewhere PublishState = "Elsewhere"
)

// FlagEnvironmentStatus is what the operator has published for an environment.
type FlagEnvironmentStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// publishedRevision is the revision that is served.
	//
	// +optional
	PublishedRevision int64 `json:"publishedRevision,omitempty"`

	// pinnedRevision is the pinned revision that is served. Where flags are forced off that it has on, publishedRevision is
	// another number. 0 where no pinned revision is served.
	//
	// +optional
	PinnedRevision int64 `json:"pinnedRevision,omitempty"`

	// state says in one word what is served: Serving what is wanted, Frozen while publishing is suspended, Pinned to a
	// revision of the history, AwaitingPublish while changes wait for a request, BreakGlass where somebody has served
	// something else without the operator, Elsewhere where another cluster serves, or Degraded where something is wrong.
	// Ready says what.
	//
	// +optional
	State PublishState `json:"state,omitempty"`

	// publishedDigest is the digest of what is served, "sha256:" and 64 hexadecimal digits.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=71
	PublishedDigest string `json:"publishedDigest,omitempty"`

	// publishedAt is when the served revision was published.
	//
	// +optional
	PublishedAt *metav1.Time `json:"publishedAt,omitempty"`

	// lastHandledPublishAt is the last value of the annotation flags.jackstaff.dev/publish-requested-at that was answered.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastHandledPublishAt string `json:"lastHandledPublishAt,omitempty"`

	// waitingPublish is the publish request that waits for the end of a freeze, a pin or a break glass. It is absent where
	// none waits.
	//
	// +optional
	WaitingPublish *WaitingPublish `json:"waitingPublish,omitempty"`

	// suspendUntil is when the freeze that is in force ends by itself. It is absent where there is none, or none that ends
	// by itself.
	//
	// +optional
	SuspendUntil *metav1.Time `json:"suspendUntil,omitempty"`

	// suspendReason says why the freeze that is in force was made. It is empty where there is none, or no reason.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	SuspendReason string `json:"suspendReason,omitempty"`

	// flags counts the flags of the environment.
	//
	// +optional
	Flags FlagCounts `json:"flags,omitzero"`

	// pendingFlags are the keys of flags with changes that are not published, in order, the first 20.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=128
	PendingFlags []string `json:"pendingFlags,omitempty"`

	// deletedFlags are the keys of flags that are served though somebody has deleted them, because their deletion waits
	// for a publish, or because the revision that is pinned has them; in order, the first 1000. It outlives the record of
	// the deletion, so that a flag that waits for long is not taken for a lost one.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=128
	DeletedFlags []string `json:"deletedFlags,omitempty"`

	// lastHandledConfirmVanished is the last value of the annotation flags.jackstaff.dev/confirm-vanished that is used up:
	// what it confirmed is published, and the same flags, lost again, need another value.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastHandledConfirmVanished string `json:"lastHandledConfirmVanished,omitempty"`

	// datafile describes the served ConfigMap.
	//
	// +optional
	Datafile DatafileStatus `json:"datafile,omitzero"`

	// deliveries are the namespaces that have a copy of the datafile, by name, the first 100.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Deliveries []NamespaceDelivery `json:"deliveries,omitempty"`

	// deliveriesCount is the number of namespaces that have a copy of the datafile.
	//
	// +optional
	DeliveriesCount int32 `json:"deliveriesCount,omitempty"`

	// delivery counts the workloads that have loaded the served revision, where spec.delivery.acknowledge is true.
	//
	// +optional
	Delivery *DeliveryStatus `json:"delivery,omitempty"`

	// sdkKeys are the environment's SDK keys, newest first, at most 3.
	//
	// +optional
	// +listType=map
	// +listMapKey=secretName
	// +kubebuilder:validation:MaxItems=3
	SDKKeys []SDKKey `json:"sdkKeys,omitempty"`

	// lastHandledRotateAt is the last value of the annotation flags.jackstaff.dev/rotate-keys-requested-at that was
	// answered.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`

	// sdks are the SDKs that have sent a heartbeat, at most 50, the oldest dropped.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	SDKs []SDK `json:"sdks,omitempty"`

	// instances are the running workloads that report which revision they have loaded, by name, where
	// spec.delivery.acknowledge is true. At most 500, the one that reported longest ago dropped.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Instances []Instance `json:"instances,omitempty"`

	// conditions are Ready, Compiled, Published, FlagdPublished, Delivered and Acknowledged.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// FlagCounts counts the flags of an environment.
type FlagCounts struct {
	// total is the number of unarchived flags that hold their key.
	//
	// +required
	Total int32 `json:"total"`

	// pending is the number of flags with changes that are not published, those that do not fit included.
	//
	// +required
	Pending int32 `json:"pending"`

	// lastGood is the number of flags that keep their last good form, because they do not compile or do not fit.
	//
	// +required
	LastGood int32 `json:"lastGood"`
}

// DatafileStatus describes a served ConfigMap.
type DatafileStatus struct {
	// bytes is the size of all of the ConfigMap's values together.
	//
	// +required
	Bytes int64 `json:"bytes"`

	// compressed is true where the native document is compressed.
	//
	// +required
	Compressed bool `json:"compressed"`
}

// NamespaceDelivery is a namespace that has a copy of the datafile.
type NamespaceDelivery struct {
	// namespace is the name of the namespace.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// revision is the revision of the copy.
	//
	// +required
	Revision int64 `json:"revision"`
}

// DeliveryStatus counts the workloads that have loaded a revision.
type DeliveryStatus struct {
	// revision is the revision that is counted.
	//
	// +required
	Revision int64 `json:"revision"`

	// acknowledged is the number of running pods that report the revision.
	//
	// +required
	Acknowledged int32 `json:"acknowledged"`

	// expected is the number of running pods that have ever reported. A pod that has not for 10 minutes is not running.
	//
	// +required
	Expected int32 `json:"expected"`

	// laggards are pods that report another revision, the first 10.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=253
	Laggards []string `json:"laggards,omitempty"`
}

// MaxSDKKeys is how many pairs of SDK keys an environment has at most.
const MaxSDKKeys = 3

// SDKKey is a pair of SDK keys that a Secret holds. Only hashes are kept here.
type SDKKey struct {
	// secretName is the name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// createdAt is when the keys were made.
	//
	// +required
	CreatedAt metav1.Time `json:"createdAt"`

	// serverHash is the SHA-256 of the server key, "sha256:" and 64 hexadecimal digits.
	//
	// +required
	// +kubebuilder:validation:MaxLength=71
	ServerHash string `json:"serverHash"`

	// clientHash is the SHA-256 of the client key, "sha256:" and 64 hexadecimal digits.
	//
	// +required
	// +kubebuilder:validation:MaxLength=71
	ClientHash string `json:"clientHash"`

	// confirmed is true once the Secret was created. Keys that are not confirmed are not valid, and are dropped when they
	// are found later.
	//
	// +optional
	Confirmed bool `json:"confirmed,omitempty"`
}

// SDK is an SDK that has sent a heartbeat.
type SDK struct {
	// type is the SDK's name. At most 128 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	Type string `json:"type"`

	// version is the SDK's version. At most 64 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version"`

	// lastSeen is when the SDK last sent a heartbeat.
	//
	// +required
	LastSeen metav1.Time `json:"lastSeen"`
}

// The bounds of what heartbeats leave in a status.
const (
	// MaxSDKs is how many SDKs a status names.
	MaxSDKs = 50
	// MaxInstances is how many instances a status names.
	MaxInstances = 500
)

// Instance is a running workload, such as a pod, that has reported which revision it has loaded.
type Instance struct {
	// name is what the workload calls itself, such as the name of its pod. At most 253 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// revision is the revision that it has loaded.
	//
	// +required
	Revision int64 `json:"revision"`

	// lastSeen is when it last reported, give or take three minutes. After 10 minutes it is no longer expected to.
	//
	// +required
	LastSeen metav1.Time `json:"lastSeen"`
}

// WaitingPublish is a publish request that is not carried out yet. What is edited after it is not part of it.
type WaitingPublish struct {
	// requestedAt is the value of the annotation flags.jackstaff.dev/publish-requested-at.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	RequestedAt string `json:"requestedAt"`

	// digest is the digest of what was wanted when the request was seen.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`
}
