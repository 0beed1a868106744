// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. All of them are good when True.
const (
	// ReadyCondition is True when every other condition that applies is True.
	ReadyCondition = "Ready"

	// AcceptedCondition on a flag, audience or event is True when the object is valid and its key is its own.
	AcceptedCondition = "Accepted"

	// ResolvedRefsCondition on a flag is True when the environments, audiences, events and prerequisites that it names
	// exist.
	ResolvedRefsCondition = "ResolvedRefs"

	// FlagdCompatibleCondition on a flag is True when the flagd file of every environment can carry it.
	FlagdCompatibleCondition = "FlagdCompatible"

	// CompiledCondition on an environment is True when all of its flags compiled; else its message names those that kept
	// their last good form.
	CompiledCondition = "Compiled"

	// PublishedCondition on an environment is True when the served ConfigMap is the wanted revision. On a flag it is True
	// when every environment that the flag names serves it as its spec and annotations want.
	PublishedCondition = "Published"

	// DeliveredCondition on an environment is True when every selected namespace that accepts its datafile has the served
	// revision. It is present only where spec.delivery.namespaceSelector is set.
	DeliveredCondition = "Delivered"

	// AcknowledgedCondition on an environment is True when every running workload that reports has loaded the served
	// revision. It is present only where spec.delivery.acknowledge is true.
	AcknowledgedCondition = "Acknowledged"

	// SealedCondition on an environment is False where ConfigMaps with its labels are not what the operator published; its
	// message names them. It is present only then, and no part of Ready: what is forged is not served.
	SealedCondition = "Sealed"

	// FlagdPublishedCondition on an environment is True when its published flagd file is complete.
	FlagdPublishedCondition = "FlagdPublished"
)

// Condition reasons.
const (
	// ReadyReason: all conditions are True.
	ReadyReason = "Ready"

	// NotReadyReason: another condition is not True; the message names it.
	NotReadyReason = "NotReady"

	// AcceptedReason: the object is valid and its key is its own.
	AcceptedReason = "Accepted"

	// InvalidReason: the object breaks a rule that admission would have denied; the message says which.
	InvalidReason = "Invalid"

	// KeyTakenReason: an older object of the namespace holds the same key.
	KeyTakenReason = "KeyTaken"

	// PrerequisiteCycleReason: the flag requires itself through other flags.
	PrerequisiteCycleReason = "PrerequisiteCycle"

	// ResolvedReason: every reference leads to an object that exists.
	ResolvedReason = "Resolved"

	// NotFoundReason: a reference leads to nothing; the message names it.
	NotFoundReason = "NotFound"

	// CompatibleReason: the flagd format can say all that the flag says.
	CompatibleReason = "Compatible"

	// NotExpressibleReason: the flagd format cannot say what the flag says; the message names the construct.
	NotExpressibleReason = "NotExpressible"

	// CompiledReason: every flag compiled.
	CompiledReason = "Compiled"

	// LastGoodReason: some flags did not compile and keep their last good form.
	LastGoodReason = "LastGood"

	// WatchFailedReason: the API server refuses a watch of the operator's, which does not see changes.
	WatchFailedReason = "WatchFailed"

	// FlagsVanishedReason: flags are gone that nobody has deleted, and what was served of them stays.
	FlagsVanishedReason = "FlagsVanished"

	// PublishedReason: what is wanted is served.
	PublishedReason = "Published"

	// PendingReason: what is wanted waits to be served.
	PendingReason = "Pending"

	// AwaitingPublishReason: publish mode is Manual and nobody has asked for a publish.
	AwaitingPublishReason = "AwaitingPublish"

	// SuspendedReason: publishing is suspended.
	SuspendedReason = "Suspended"

	// PinnedReason: a revision of the history is served because spec.publish.revision asks for it.
	PinnedReason = "Pinned"

	// BreakGlassReason: somebody wrote the datafile while the operator was away, and that stays until it is ended.
	BreakGlassReason = "BreakGlass"

	// EnvironmentNotFoundReason: the flag names a FlagEnvironment that does not exist.
	EnvironmentNotFoundReason = "EnvironmentNotFound"

	// ElsewhereReason: another cluster serves the environment, because its publish mode is None.
	ElsewhereReason = "Elsewhere"

	// RevisionNotFoundReason: the history does not hold the revision that spec.publish.revision asks for.
	RevisionNotFoundReason = "RevisionNotFound"

	// UnknownVersionReason: what is published is of a version that this operator does not know.
	UnknownVersionReason = "UnknownVersion"

	// NameTakenReason: an object that is not the environment's has the name of the datafile, or of a copy in the
	// namespaces that the message names.
	NameTakenReason = "NameTaken"

	// TamperedReason: a ConfigMap with the environment's labels is not what the operator published, and is not served.
	TamperedReason = "Tampered"

	// DatafileTooLargeReason: the datafile does not fit into a ConfigMap.
	DatafileTooLargeReason = "DatafileTooLarge"

	// DatafileUnreadableReason: no reader would take the datafile.
	DatafileUnreadableReason = "DatafileUnreadable"

	// TerminatingReason: the environment is being deleted, and is served until it is gone.
	TerminatingReason = "Terminating"

	// OverBudgetReason: the namespace stores more than the cluster's administrator allows, so that nothing of it is
	// published any more.
	OverBudgetReason = "OverBudget"

	// WriteFailedReason: the API server refused a write; it is tried again.
	WriteFailedReason = "WriteFailed"

	// DeliveredReason: every selected namespace that accepts the datafile has it.
	DeliveredReason = "Delivered"

	// AcknowledgedReason: every running workload that reports has loaded the served revision.
	AcknowledgedReason = "Acknowledged"

	// LaggardsReason: running workloads report another revision than the served one.
	LaggardsReason = "Laggards"

	// CompleteReason: the published flagd file holds every flag that belongs into it.
	CompleteReason = "Complete"
)

// Reasons of events that no condition tells of.
const (
	// SDKKeysCreatedReason: a Secret with new SDK keys was created.
	SDKKeysCreatedReason = "SDKKeysCreated"

	// SDKKeysRevokedReason: SDK keys are no longer valid.
	SDKKeysRevokedReason = "SDKKeysRevoked"

	// SDKKeySharedReason: two environments have one SDK key, which therefore opens neither.
	SDKKeySharedReason = "SDKKeyShared"

	// SDKKeysLimitReason: there are as many SDK keys as there may be; a request for more waits until some are revoked.
	SDKKeysLimitReason = "SDKKeysLimit"
)

// Reasons of events that no condition goes with.
const (
	// FrozenReason: somebody has suspended publishing; the message names them, as those of the next four do.
	FrozenReason = "Frozen"

	// ThawedReason: somebody has ended a freeze.
	ThawedReason = "Thawed"

	// UnpinnedReason: somebody has ended a pin. PinnedReason is that of the event of its begin.
	UnpinnedReason = "Unpinned"

	// PublishRequestedReason: somebody has asked for a publish.
	PublishRequestedReason = "PublishRequested"

	// VanishedConfirmedReason: somebody has confirmed that lost flags are meant to be gone.
	VanishedConfirmedReason = "VanishedConfirmed"

	// SubPathMountReason: pods mount the datafile by subPath, so that they never see another revision; the message names
	// them.
	SubPathMountReason = "SubPathMount"

	// PodRefreshOffReason: spec.delivery.refreshPods is true and the operator runs without --refresh-pods.
	PodRefreshOffReason = "PodRefreshOff"

	// PodRefreshForbiddenReason: the operator may not list, watch or patch the pods that mount the datafile.
	PodRefreshForbiddenReason = "PodRefreshForbidden"
)
