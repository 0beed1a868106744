// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels. A label holds names of objects, never flag keys, because keys may be longer and have other characters.
const (
	// ManagedByLabel with the value ManagedBy marks every object that the operator wrote and may change or delete.
	ManagedByLabel = "app.kubernetes.io/managed-by"

	// ManagedBy is the value of ManagedByLabel on the operator's objects.
	ManagedBy = "jackstaff"

	// EnvironmentLabel on a datafile names the FlagEnvironment that it was published for, and on a change record the one
	// that was changed.
	EnvironmentLabel = "flags.jackstaff.dev/environment"

	// ProjectLabel on a datafile names the namespace of the FlagEnvironment that it was published for.
	ProjectLabel = "flags.jackstaff.dev/project"

	// DeletionPolicyLabel on a served datafile is the deletion policy of its environment, for when the environment is
	// gone.
	DeletionPolicyLabel = "flags.jackstaff.dev/deletion-policy"

	// ProductionLabel on a datafile is "true" where its environment is a production environment, and "false" where it is
	// not. An environment of the same name takes the datafile up.
	ProductionLabel = "flags.jackstaff.dev/production"

	// DatafileLabel on a ConfigMap says which datafile it is: DatafileServed, DatafileHistory or DatafileCopy.
	DatafileLabel = "flags.jackstaff.dev/datafile"

	// DatafileServed is the value of DatafileLabel on the ConfigMap that workloads mount.
	DatafileServed = "served"

	// DatafileHistory is the value of DatafileLabel on an immutable ConfigMap that keeps one revision.
	DatafileHistory = "history"

	// DatafileCopy is the value of DatafileLabel on a copy of a served datafile in another namespace.
	DatafileCopy = "copy"

	// FlagLabel on a change record names the FeatureFlag that was changed.
	FlagLabel = "flags.jackstaff.dev/flag"

	// AudienceLabel on a change record names the FlagAudience that was changed, or is a digest where the name has over 63
	// characters.
	AudienceLabel = "flags.jackstaff.dev/audience"

	// EventLabel on a change record names the FlagEvent that was changed, or is a digest where the name has over 63
	// characters.
	EventLabel = "flags.jackstaff.dev/event"

	// HistoryLabel on a FlagChange says what it records: HistoryRecorded, HistoryRequested or HistoryFolded.
	HistoryLabel = "flags.jackstaff.dev/history"

	// HistoryRecorded is the value of HistoryLabel on the record of a change that was stored.
	HistoryRecorded = "recorded"

	// HistoryRequested is the value of HistoryLabel on the record of a deletion that was admitted and may not have
	// happened.
	HistoryRequested = "requested"

	// HistoryFolded is the value of HistoryLabel on the record of many older changes, whose detail is gone.
	HistoryFolded = "folded"

	// UIDLabel on a change record is the UID of the object that was changed.
	UIDLabel = "flags.jackstaff.dev/uid"
)

// AnnotationPrefix begins every annotation that the operator reads.
const AnnotationPrefix = "flags.jackstaff.dev/"

// Labels of a namespace.
const (
	// OrganizationLabel is the organization that a project belongs to.
	OrganizationLabel = "flags.jackstaff.dev/organization"

	// DefaultOrganization is the organization of a project without OrganizationLabel.
	DefaultOrganization = "default"

	// DefaultEnvironmentLabel names the FlagEnvironment that a request means which names none.
	DefaultEnvironmentLabel = "flags.jackstaff.dev/default-environment"
)

// Annotations.
const (
	// RevisionAnnotation on a datafile is its revision, a decimal number of at least 1. On a pod it is the revision for
	// which the pod was refreshed last.
	RevisionAnnotation = "flags.jackstaff.dev/revision"

	// DigestAnnotation on a datafile is the digest of its contents, "sha256:" and 64 hexadecimal digits.
	DigestAnnotation = "flags.jackstaff.dev/digest"

	// PublishedAtAnnotation on a datafile is the RFC 3339 time at which its revision was published.
	PublishedAtAnnotation = "flags.jackstaff.dev/published-at"

	// FlagdIncompleteAnnotation on a datafile is the digest of its flagd file, "sha256:" and 64 hexadecimal digits, where
	// that is older than the revision because the newer one does not fit.
	FlagdIncompleteAnnotation = "flags.jackstaff.dev/flagd-incomplete"

	// SealAnnotation on a datafile is the operator's seal over project, environment, revision and digest: "hmac-sha256:"
	// and 64 hexadecimal digits. What does not bear it is not served.
	SealAnnotation = "flags.jackstaff.dev/seal"

	// PinnedRevisionAnnotation on a datafile is the pinned revision that it is, with flags forced off. It is absent where
	// the datafile is a revision as it was published.
	PinnedRevisionAnnotation = "flags.jackstaff.dev/pinned-revision"

	// BroughtAnnotation on a datafile of the history names, as JSON, the change records that its revision brings: their
	// ids by Kind and name of the changed object. At most 250 ids.
	BroughtAnnotation = "flags.jackstaff.dev/brought"

	// EnvironmentsAnnotation on a FlagChange lists, separated by commas, the environments that the change may concern. It
	// is absent where it may concern all.
	EnvironmentsAnnotation = "flags.jackstaff.dev/environments"

	// BreakGlassAnnotation on a served datafile says that somebody wrote it without the operator: the user's name, a space
	// and an RFC 3339 time. The operator leaves such a datafile as it is until somebody ends that: by a value of their own
	// name and time with " ended" after it, or by removing the annotation, after which nobody knows who did.
	BreakGlassAnnotation = "flags.jackstaff.dev/break-glass"

	// ForceDisabledAnnotation on a FeatureFlag lists, separated by commas, the environments in which it is off whatever
	// its spec says. It is served at once in every publish mode, suspended and pinned included. Only an explicit empty
	// value lifts it for all; an update that leaves the annotation out keeps it.
	ForceDisabledAnnotation = "flags.jackstaff.dev/force-disabled"

	// ConfirmDeleteAnnotation with the object's own name allows a deletion that admission would otherwise deny.
	ConfirmDeleteAnnotation = "flags.jackstaff.dev/confirm-delete"

	// ConfirmVanishedAnnotation on a FlagEnvironment confirms that flags are meant to be gone which nobody has deleted.
	// Its value is the digest of their keys that the condition Compiled tells.
	ConfirmVanishedAnnotation = "flags.jackstaff.dev/confirm-vanished"

	// AcceptFromAnnotation on a namespace lists, separated by commas, the namespaces whose environments may deliver their
	// datafiles to it.
	AcceptFromAnnotation = "flags.jackstaff.dev/accept-from"

	// PublishRequestedAtAnnotation on a FlagEnvironment asks for a publish; its value is an RFC 3339 time that has not
	// been used before.
	PublishRequestedAtAnnotation = "flags.jackstaff.dev/publish-requested-at"

	// PinAgainAnnotation on a FlagEnvironment asks for the pinned revision anew, where it is served as another revision
	// with flags off by brakes that were lifted since. Its value is the number of the revision that is served, which is to
	// be replaced; admission refuses any other number.
	PinAgainAnnotation = "flags.jackstaff.dev/pin-again"

	// RotateKeysRequestedAtAnnotation on a FlagEnvironment asks for another pair of SDK keys; its value is an RFC 3339
	// time that has not been used before.
	RotateKeysRequestedAtAnnotation = "flags.jackstaff.dev/rotate-keys-requested-at"

	// RevokeKeysBeforeAnnotation on a FlagEnvironment ends the validity of the SDK keys that were made before it, an RFC
	// 3339 time.
	RevokeKeysBeforeAnnotation = "flags.jackstaff.dev/revoke-keys-before"

	// SDKKeysAnnotation on a served datafile mirrors what the environment's status says of its SDK keys, in case the
	// status is lost.
	SDKKeysAnnotation = "flags.jackstaff.dev/sdk-keys"

	// ChangesAnnotation on a FeatureFlag, FlagEnvironment, FlagAudience or FlagEvent holds the change records that are not
	// in the history yet. Only admission adds to it and only the operator takes from it; what others write there is
	// ignored.
	ChangesAnnotation = "flags.jackstaff.dev/changes"

	// NameAnnotation on a change record is the name of the object that was changed.
	NameAnnotation = "flags.jackstaff.dev/name"

	// ChangedAtAnnotation on a change record is the RFC 3339 time of the change, with microseconds.
	ChangedAtAnnotation = "flags.jackstaff.dev/changed-at"

	// BytesAnnotation on a change record is the size of its spec, a decimal number.
	BytesAnnotation = "flags.jackstaff.dev/bytes"

	// CountAnnotation on a record of many older changes is their number, a decimal number.
	CountAnnotation = "flags.jackstaff.dev/count"

	// ViewAnnotationPrefix, followed by the name of a REST view, holds fields of that view that the Kind itself has no
	// place for.
	ViewAnnotationPrefix = "flags.jackstaff.dev/view-"
)
