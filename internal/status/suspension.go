// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Suspension says until when publishing is suspended and why, as far as that is known, to follow "is suspended".
func Suspension(spec *v1alpha1.Publish) string {
	text := ""
	if spec.SuspendUntil != nil {
		text += " until " + spec.SuspendUntil.UTC().Format(time.RFC3339)
	}
	if spec.SuspendReason != "" {
		text += " (" + spec.SuspendReason + ")"
	}
	return text
}
