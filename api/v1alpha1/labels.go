// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels. A label holds names of objects, never flag keys, because keys may be longer and have other characters.
const (
	// ManagedByLabel with the value ManagedBy marks every object that the operator wrote and may change or delete.
	ManagedByLabel = "app.kubernetes.io/managed-by"

	// ManagedBy is the value of ManagedByLabel on the operator's objects.
	ManagedBy = "jackstaff"

	// EnvironmentLabel on a datafile names the FlagEnvironment that it was published for.
	EnvironmentLabel = "flags.jackstaff.dev/environment"

	// ProjectLabel on a datafile names the namespace of the FlagEnvironment that it was published for.
	ProjectLabel = "flags.jackstaff.dev/project"

	// DeletionPolicyLabel on a served datafile is the deletion policy of its environment, for when the environment is gone.
	DeletionPolicyLabel = "flags.jackstaff.dev/deletion-policy"

	// DatafileLabel on a ConfigMap says which datafile it is: DatafileServed or DatafileHistory.
	DatafileLabel = "flags.jackstaff.dev/datafile"

	// DatafileServed is the value of DatafileLabel on the ConfigMap that workloads mount.
	DatafileServed = "served"

	// DatafileHistory is the value of DatafileLabel on an immutable ConfigMap that keeps one revision.
	DatafileHistory = "history"
)

// Annotations.
const (
	// RevisionAnnotation on a datafile is its revision, a decimal number of at least 1.
	RevisionAnnotation = "flags.jackstaff.dev/revision"

	// DigestAnnotation on a datafile is the digest of its contents, "sha256:" and 64 hexadecimal digits.
	DigestAnnotation = "flags.jackstaff.dev/digest"

	// PublishedAtAnnotation on a datafile is the RFC 3339 time at which its revision was published.
	PublishedAtAnnotation = "flags.jackstaff.dev/published-at"

	// FlagdIncompleteAnnotation on a datafile is "true" where its flagd file is older than the revision because the newer one does not fit.
	FlagdIncompleteAnnotation = "flags.jackstaff.dev/flagd-incomplete"

	// ForceDisabledAnnotation on a FeatureFlag lists, separated by commas, the environments in which it is off whatever its spec says.
	ForceDisabledAnnotation = "flags.jackstaff.dev/force-disabled"

	// ConfirmDeleteAnnotation with the object's own name allows a deletion that admission would otherwise deny.
	ConfirmDeleteAnnotation = "flags.jackstaff.dev/confirm-delete"

	// PublishRequestedAtAnnotation on a FlagEnvironment asks for a publish; its value is an RFC 3339 time that has not been used before.
	PublishRequestedAtAnnotation = "flags.jackstaff.dev/publish-requested-at"

	// ViewAnnotationPrefix, followed by the name of a REST view, holds fields of that view that the Kind itself has no place for.
	ViewAnnotationPrefix = "flags.jackstaff.dev/view-"
)
