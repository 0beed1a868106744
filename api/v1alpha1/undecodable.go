// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UndecodableAnnotation marks, in memory alone, an object whose stored form the types of this package cannot hold, as
// after a Kind's schema has changed between two versions. It is never stored: what somebody stores under this name is
// ignored. Its first line holds the paths of the fields that were lost, separated by spaces, and the rest says what is
// wrong with them. The rest is empty where the status alone was lost, for the operator makes that again.
const UndecodableAnnotation = "flags.jackstaff.dev/undecodable"

// Undecodable says why the stored form of an object does not fit its type, and is empty where it does and where its
// status alone does not. Of such an object only what fits is known, and it may not be published or written as it is.
func Undecodable(object metav1.Object) string {
	_, problem, _ := strings.Cut(object.GetAnnotations()[UndecodableAnnotation], "\n")
	return problem
}

// Lost reports whether the stored form of an object does not fit its type at a path, below it or above it. Path is one
// such as spec.datafile.
func Lost(object metav1.Object, path string) bool {
	paths, _, marked := strings.Cut(object.GetAnnotations()[UndecodableAnnotation], "\n")
	if !marked {
		return false
	}
	for lost := range strings.FieldsSeq(paths) {
		if within(lost, path) || within(path, lost) {
			return true
		}
	}
	return false
}

// within reports whether a path is another one or below it.
func within(path, parent string) bool {
	rest, below := strings.CutPrefix(path, parent)
	return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
