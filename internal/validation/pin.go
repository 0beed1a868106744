// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// PinAgain returns the number in the annotation that asks for the pinned revision anew, and 0 where it holds none.
func PinAgain(environment *v1alpha1.FlagEnvironment) int64 {
	revision, err := strconv.ParseInt(environment.Annotations[v1alpha1.PinAgainAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return revision
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
	return field.ErrorList{field.Invalid(
		metadataPath.Child("annotations").Key(v1alpha1.PinAgainAnnotation), strconv.FormatInt(asked, 10), detail,
	)}
}
