// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package heartbeat

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// An instance that was seen while a clock was ahead would be a laggard until that time comes, for years perhaps.
func TestWhatWasSeenInTheFutureIsStale(t *testing.T) {
	now := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		seen   time.Time
		counts bool
	}{
		"now":                             {now, true},
		"lately":                          {now.Add(-ExpectedFor + time.Second), true},
		"long ago":                        {now.Add(-ExpectedFor), false},
		"by a replica a little ahead":     {now.Add(ahead), true},
		"while the clock was a day ahead": {now.Add(24 * time.Hour), false},
		"while the clock was years ahead": {now.AddDate(3, 0, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsExpected(tc.seen, now); got != tc.counts {
				t.Errorf("counts: %t, want %t", got, tc.counts)
			}
			environment := &v1alpha1.FlagEnvironment{}
			environment.Spec.Delivery.Acknowledge = true
			environment.Status.Instances = []v1alpha1.Instance{{Name: "pod", Revision: 1, LastSeen: metav1.NewTime(tc.seen)}}
			environment.Status.SDKs = []v1alpha1.SDK{{Type: "go", Version: "1", LastSeen: metav1.NewTime(tc.seen)}}
			of := &observed{
				sdks:      map[sdk]time.Time{{"go", "1"}: now},
				instances: map[string]loaded{"pod": {revision: 2, at: now}},
			}
			merge(environment, of, now)
			isAhead := tc.seen.After(now) && tc.counts
			want := now
			if isAhead {
				want = tc.seen
			}
			if got := environment.Status.Instances; len(got) != 1 || !got[0].LastSeen.Time.Equal(want) {
				t.Errorf("a new report does not take the place of the old one: %v", got)
			}
			if got := environment.Status.SDKs; len(got) != 1 || !got[0].LastSeen.Time.Equal(want) {
				t.Errorf("an SDK that is seen now does not take the place of the old entry: %v", got)
			}
		})
	}
}
