// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Problem is why an environment cannot publish until a person mends it. Trying again cannot help; what was published
// stays.
type Problem struct {
	// Reason is that of the condition Published.
	Reason string
	// Message says what is wrong and what to do.
	Message string

	cause error
}

// Error returns the message.
func (p *Problem) Error() string { return p.Message }

// Unwrap returns the error that the problem was found by, and nil where there is none.
func (p *Problem) Unwrap() error { return p.cause }

// ProblemOf returns the problem that err is or wraps, and nil where it is an error of the infrastructure.
func ProblemOf(err error) *Problem {
	var problem *Problem
	switch {
	case errors.As(err, &problem):
		return problem
	case isTampered(err):
		return &Problem{
			Reason:  v1alpha1.TamperedReason,
			Message: err.Error() + ", and choose another in spec.publish.revision or remove it",
			cause:   err,
		}
	case errors.Is(err, datafile.ErrUnknownVersion):
		return &Problem{
			Reason:  v1alpha1.UnknownVersionReason,
			Message: err.Error() + "; a newer operator has published it, and nothing is overwritten",
			cause:   err,
		}
	}
	return nil
}

// HasReason reports whether err is or wraps a Problem with that reason.
func HasReason(err error, reason string) bool {
	problem := ProblemOf(err)
	return problem != nil && problem.Reason == reason
}

// nameTaken says that the name of a datafile belongs to a ConfigMap that is not the environment's.
func nameTaken(name string) *Problem {
	return &Problem{Reason: v1alpha1.NameTakenReason, Message: fmt.Sprintf(
		"ConfigMap %q exists and is not this environment's; delete it, or choose another name in spec.datafile.name", name)}
}

// unreadable says that every reader would refuse a datafile.
func unreadable(cause error) *Problem {
	return &Problem{
		Reason:  v1alpha1.DatafileUnreadableReason,
		Message: fmt.Sprintf("no reader would take the datafile: %s; change that or split the project", cause),
		cause:   cause,
	}
}

// revisionNotFound says that the history, of which the metadata are given, does not hold the revision to pin.
func revisionNotFound(revision int64, history []metav1.PartialObjectMetadata) *Problem {
	held := make([]int64, len(history))
	for i := range history {
		held[i] = ownership.RevisionOf(&history[i])
	}
	return &Problem{Reason: v1alpha1.RevisionNotFoundReason, Message: fmt.Sprintf(
		"the history does not hold the revision %d, but %s; choose one of these in spec.publish.revision or remove it",
		revision, ownership.RevisionsText(held))}
}

// ignoreNameTaken treats an object that is not the environment's as none.
func ignoreNameTaken(err error) error {
	if HasReason(err, v1alpha1.NameTakenReason) {
		return nil
	}
	return err
}
