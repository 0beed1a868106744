// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// MaxSuspendReason is how many characters the reason of a suspension has at most.
const MaxSuspendReason = 256

// MaxSuspension is how far ahead a suspension may end.
const MaxSuspension = 366 * 24 * time.Hour

// NewSuspension returns what forbids the end of a suspension that environment newly asks for: it must be to come. One
// that old had already, or that an environment is created with, may be past, so that a backup can be restored.
func NewSuspension(old, environment *v1alpha1.FlagEnvironment, now time.Time) field.ErrorList {
	publish, path := &environment.Spec.Publish, specPath.Child("publish", "suspendUntil")
	if !publish.Suspend || publish.SuspendUntil == nil || environment.DeletionTimestamp != nil {
		return nil
	}
	if old != nil && old.Spec.Publish.Suspend && old.Spec.Publish.SuspendUntil.Equal(publish.SuspendUntil) {
		return nil
	}
	until := publish.SuspendUntil.UTC().Format(time.RFC3339)
	switch {
	case publish.SuspendUntil.Sub(now) > MaxSuspension:
		return field.ErrorList{
			field.Invalid(path, until, "must be at most 366 days ahead; leave it out where no end is known"),
		}
	case old != nil && !now.Before(publish.SuspendUntil.Time):
		return field.ErrorList{field.Invalid(
			path, until, "is past, so that the environment would not be frozen; set a later time, or null for no end",
		)}
	}
	return nil
}
