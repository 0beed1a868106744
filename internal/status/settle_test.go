// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// A status that is written sooner refuses the update of whoever has just sent a PATCH. One that is written later, or
// never, lies to whoever waits for it.
func TestAStatusSettlesAfterTheLastEdit(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	burst := func(every time.Duration, count int) []time.Duration {
		var ago []time.Duration
		for i := range count {
			ago = append(ago, time.Duration(count-1-i)*every)
		}
		return ago
	}
	for name, tc := range map[string]struct {
		ago     []time.Duration // The edits, oldest first.
		urgency Urgency
		want    time.Duration
	}{
		"nobody has edited it":             {nil, Calm, 0},
		"it was edited just now":           {[]time.Duration{0}, Calm, time.Second},
		"it was edited a moment ago":       {[]time.Duration{300 * time.Millisecond}, Calm, 700 * time.Millisecond},
		"it was edited a second ago":       {[]time.Duration{time.Second}, Calm, 0},
		"it was edited long ago":           {[]time.Duration{time.Hour}, Calm, 0},
		"it was edited again":              {[]time.Duration{900 * time.Millisecond, 100 * time.Millisecond}, Calm, 900 * time.Millisecond},
		"a person looks for it":            {[]time.Duration{100 * time.Millisecond}, Soon, 400 * time.Millisecond},
		"a brake":                          {[]time.Duration{0}, Immediate, 0},
		"a burst goes on":                  {burst(500*time.Millisecond, 20), Calm, 500 * time.Millisecond},
		"a burst has gone on for too long": {burst(500*time.Millisecond, 40), Calm, 0},
		"a person looks for it in a burst": {burst(200*time.Millisecond, 20), Soon, 0},
		"edits one after the other":        {burst(2*time.Second, 40), Calm, time.Second},
		"the other clock is a bit ahead":   {[]time.Duration{-500 * time.Millisecond}, Calm, 1500 * time.Millisecond},
		"the other clock is far ahead":     {[]time.Duration{-time.Hour}, Calm, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var records []history.Record
			for _, ago := range tc.ago {
				records = append(records, history.Record{ID: "a", Time: metav1.NewMicroTime(now.Add(-ago))})
			}
			before, after := observed(t, records)
			patcher := &Patcher{Settle: time.Second}
			if got := patcher.Settles(before, after, tc.urgency, now); got != tc.want {
				t.Errorf("the status settles for %s, want %s", got, tc.want)
			}
			if got := patcher.Settles(before, before, tc.urgency, now); got != 0 {
				t.Errorf("a status that has not changed settles for %s", got)
			}
			for _, off := range []time.Duration{0, -1} {
				if got := (&Patcher{Settle: off}).Settles(before, after, tc.urgency, now); got != 0 {
					t.Errorf("with a period of %s the status settles for %s", off, got)
				}
			}
		})
	}
}

// Admission tells drafts by the first status, and a person looks for what is broken.
func TestUrgencyOfConditions(t *testing.T) {
	ready := func(is metav1.ConditionStatus) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: is}}
	}
	for name, tc := range map[string]struct {
		was, is []metav1.Condition
		want    Urgency
	}{
		"the first status": {nil, ready(metav1.ConditionTrue), Immediate},
		"ready as before":  {ready(metav1.ConditionTrue), ready(metav1.ConditionTrue), Calm},
		"broken":           {ready(metav1.ConditionTrue), ready(metav1.ConditionFalse), Soon},
		"mended":           {ready(metav1.ConditionFalse), ready(metav1.ConditionTrue), Soon},
	} {
		t.Run(name, func(t *testing.T) {
			if got := UrgencyOf(tc.was, tc.is); got != tc.want {
				t.Errorf("the urgency is %d, want %d", got, tc.want)
			}
		})
	}
}

// Records that grow are moved to the history before the oldest lose what they say, which waits for the status. Until they
// are moved at once, the status settles: else each update after a burst of edits would be refused for seconds.
func TestAStatusWithManyRecordsDoesNotSettle(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for count, want := range map[int]bool{100: true, 200: false} {
		var records []history.Record
		for i := range count {
			records = append(records, history.Record{
				ID:    "a",
				Time:  metav1.NewMicroTime(now.Add(time.Duration(i-count) * time.Millisecond)),
				Actor: history.Actor{Name: strings.Repeat("a", 200)},
			})
		}
		before, after := observed(t, records)
		if got := (&Patcher{Settle: time.Second}).Settles(before, after, Calm, now); (got > 0) != want {
			t.Errorf("with %d records the status settles for %s", len(records), got)
		}
	}
}

// observed is a flag that carries those records, and the flag once its status has seen their edits.
func observed(t *testing.T, records []history.Record) (before, after *v1alpha1.FeatureFlag) {
	t.Helper()
	carried, err := history.Encode(records)
	if err != nil {
		t.Fatal(err)
	}
	before = builders.MakeFlag("checkout", "shop").Boolean().Obj()
	metav1.SetMetaDataAnnotation(&before.ObjectMeta, v1alpha1.ChangesAnnotation, carried)
	after = before.DeepCopy()
	after.Status.ObservedGeneration = 2
	return before, after
}
