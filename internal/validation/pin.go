// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// PinAgain returns the number in the annotation that asks for the pinned revision anew, and 0 where it holds none. A
// number in another form than a revision has in a status, such as "08", is none.
func PinAgain(environment *v1alpha1.FlagEnvironment) int64 {
	revision, _ := revisionIn(environment.Annotations[v1alpha1.PinAgainAnnotation])
	return revision
}

// revisionIn reads the number of a revision, which is 1 or more, in the form that a status has.
func revisionIn(text string) (int64, bool) {
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 1 || strconv.FormatInt(revision, 10) != text {
		return 0, false
	}
	return revision, true
}

// pinAgainForm says what the annotation may hold, with the right number where that is known.
func pinAgainForm(environment *v1alpha1.FlagEnvironment) string {
	const form = "must be the number of the revision that is served, in digits alone"
	if served := environment.Status.PublishedRevision; served > 0 {
		return fmt.Sprintf("%s; write \"%d\", or leave the annotation out", form, served)
	}
	return form
}

// NewPinAgain returns what forbids to ask for the pinned revision anew in the place of another one than is served, which
// would do nothing. What old had already, or an environment is created with, may be of the past, so that a backup can be
// restored. Old is nil on creation.
func NewPinAgain(old, environment *v1alpha1.FlagEnvironment) field.ErrorList {
	asked := PinAgain(environment)
	if old == nil || asked == 0 || asked == PinAgain(old) || environment.DeletionTimestamp != nil {
		return nil
	}
	served, pinned, detail := old.Status.PublishedRevision, environment.Spec.Publish.Revision, ""
	switch {
	case pinned == nil:
		detail = "no revision is pinned that could be served anew; set spec.publish.revision in the same change, or leave the " +
			"annotation out"
	case served == 0:
		detail = "nothing is published yet that could be replaced; leave the annotation out"
	case asked != served:
		detail = fmt.Sprintf(
			"revision %d is served, and no other one can be replaced; write \"%d\", or run jackstaff rollback "+
				"%s --to %d",
			served,
			served,
			environment.Name,
			*pinned,
		)
	case *pinned == served:
		detail = fmt.Sprintf("revision %d is pinned and served as it is, so that there is nothing to serve anew; leave the "+
			"annotation out", served)
	default:
		return nil
	}
	return field.ErrorList{pinAgainMistake(asked, detail)}
}

// NothingToPinAgain is the mistake of asking for the pinned revision anew where what is served is that already.
func NothingToPinAgain(environment *v1alpha1.FlagEnvironment) *field.Error {
	served, pinned := environment.Status.PublishedRevision, int64(0)
	if revision := environment.Spec.Publish.Revision; revision != nil {
		pinned = *revision
	}
	return pinAgainMistake(served, fmt.Sprintf(
		"revision %d is what the pinned revision %d makes under the brakes that there are, so that there is nothing to serve "+
			"anew; lift a brake first (%s), or leave the annotation out",
		served,
		pinned,
		v1alpha1.ForceDisabledAnnotation,
	))
}

func pinAgainMistake(asked int64, detail string) *field.Error {
	return field.Invalid(
		metadataPath.Child("annotations").Key(v1alpha1.PinAgainAnnotation), strconv.FormatInt(asked, 10), detail,
	)
}
