// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// Records that go before the flag's status has read them leave the wrong person in BY. A brake raises no generation that
// would tell.
func TestRecordsStayUntilTheStatusKnowsThem(t *testing.T) {
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	records := []history.Record{{Time: metav1.NewMicroTime(at.Add(400 * time.Millisecond))}}
	for name, tc := range map[string]struct {
		observed int64
		changed  time.Time
		records  []history.Record
		want     bool
	}{
		"the status has read them":      {2, at, records, true},
		"a new generation":              {1, at, records, false},
		"a brake of the same":           {2, at.Add(-time.Minute), records, false},
		"the status is of a later time": {2, at.Add(time.Minute), records, true},
		"records that nobody can read":  {2, at.Add(-time.Minute), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("checkout", "shop").Boolean().Obj()
			flag.Generation = 2
			flag.Status = v1alpha1.FeatureFlagStatus{
				ObservedGeneration: tc.observed, LastChangedTime: &metav1.Time{Time: tc.changed},
			}
			if got := isTimed(flag, tc.records); got != tc.want {
				t.Errorf("the records may go: %t, want %t", got, tc.want)
			}
		})
	}
}
