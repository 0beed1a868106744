// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Time is how views write a time: RFC 3339, UTC, in seconds.
func Time(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// UpdatedAt is when somebody last changed an object. What the operator reports in the status is no change.
func UpdatedAt(object metav1.Object) time.Time {
	updated := object.GetCreationTimestamp().Time
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "" && entry.Time != nil && entry.Time.After(updated) {
			updated = entry.Time.Time
		}
	}
	return updated
}
