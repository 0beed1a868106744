// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagmint

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// An archived flag says since when at once, and a restored one no longer, before the operator has looked at either.
func TestArchivedAt(t *testing.T) {
	created, changed, seen := metav1.Unix(1000, 0), metav1.Unix(2000, 0), metav1.Unix(2001, 0)
	for name, tc := range map[string]struct {
		archived bool
		reported *metav1.Time
		want     *time.Time
	}{
		"in use":                {},
		"archived":              {true, &seen, &seen.Time},
		"archived a moment ago": {true, nil, &changed.Time},
		"restored a moment ago": {false, &seen, nil},
	} {
		flag := builders.MakeFlag("a", "shop").Boolean().Obj()
		flag.Spec.Archived, flag.Status = tc.archived, v1alpha1.FeatureFlagStatus{ArchivedTime: tc.reported}
		flag.CreationTimestamp, flag.ManagedFields = created, []metav1.ManagedFieldsEntry{{Time: &changed}}
		at := archivedAt(flag)
		if (at == nil) != (tc.want == nil) || at != nil && !at.Equal(*tc.want) {
			t.Errorf("%s: %v and not %v", name, at, tc.want)
		}
	}
}
