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

// Whoever finds production frozen asks who did that, and looks at kubectl describe.
func TestEventsNameWhoDidIt(t *testing.T) {
	none := func(*v1alpha1.FlagEnvironment) {}
	frozen := func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Suspend = true }
	frozenUntil := func(until, reason string) func(*v1alpha1.FlagEnvironment) {
		at, err := time.Parse(time.RFC3339, until)
		if err != nil {
			t.Fatal(err)
		}
		return func(e *v1alpha1.FlagEnvironment) {
			e.Spec.Publish.Suspend, e.Spec.Publish.SuspendReason = true, reason
			e.Spec.Publish.SuspendUntil = new(metav1.NewTime(at))
		}
	}
	pinned := func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Revision = new(int64(7)) }
	annotated := func(name string) func(*v1alpha1.FlagEnvironment) {
		return func(e *v1alpha1.FlagEnvironment) {
			metav1.SetMetaDataAnnotation(&e.ObjectMeta, name, "2027-01-01T09:00:00Z")
		}
	}
	for name, tc := range map[string]struct {
		before, after func(*v1alpha1.FlagEnvironment)
		want          []string
	}{
		"a freeze": {none, frozen, []string{v1alpha1.FrozenReason}},
		"a freeze with a reason and an end": {
			none, frozenUntil("2027-01-02T09:00:00Z", "black friday"), []string{v1alpha1.FrozenReason},
		},
		"a longer freeze": {
			frozenUntil("2027-01-02T09:00:00Z", ""), frozenUntil("2027-01-03T09:00:00Z", ""), []string{v1alpha1.FrozenReason},
		},
		"a thaw before the end":          {frozenUntil("2027-01-02T09:00:00Z", "x"), none, []string{v1alpha1.ThawedReason}},
		"a thaw":                         {frozen, none, []string{v1alpha1.ThawedReason}},
		"a pin":                          {none, pinned, []string{v1alpha1.PinnedReason}},
		"the end of a pin":               {pinned, none, []string{v1alpha1.UnpinnedReason}},
		"a pin in the place of a freeze": {frozen, pinned, []string{v1alpha1.PinnedReason, v1alpha1.ThawedReason}},
		"a pin anew":                     {none, annotated(v1alpha1.PinAgainAnnotation), []string{v1alpha1.PinnedReason}},
		"a publish":                      {none, annotated(v1alpha1.PublishRequestedAtAnnotation), []string{v1alpha1.PublishRequestedReason}},
		"a confirmed loss":               {none, annotated(v1alpha1.ConfirmVanishedAnnotation), []string{v1alpha1.VanishedConfirmedReason}},
		"another name":                   {none, func(e *v1alpha1.FlagEnvironment) { e.Spec.DisplayName = "Live" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := builders.MakeEnvironment(
				"production",
				"shop",
			).Defaulted().Obj(), builders.MakeEnvironment(
				"production",
				"shop",
			).Defaulted().Obj()
			tc.before(before)
			tc.after(after)
			record, _, err := history.Compare(before, after)
			if err != nil {
				t.Fatal(err)
			}
			if err := record.Stamp("id", history.Actor{Name: "alice@example.com"}, time.Now(), nil); err != nil {
				t.Fatal(err)
			}
			events := eventsOf(&record)
			if len(events) != len(tc.want) {
				t.Fatalf("it tells %v, want %v", events, tc.want)
			}
			for i, event := range events {
				if event.reason != tc.want[i] || event.note[:len("alice@example.com ")] != "alice@example.com " {
					t.Errorf("it tells %v, want %s", event, tc.want[i])
				}
			}
		})
	}
}

// Whoever finds production frozen wants to know why and until when, without asking whoever froze it.
func TestEventOfAFreezeSaysWhyAndUntilWhen(t *testing.T) {
	record := &history.Record{Actor: history.Actor{Name: "alice"}, Changes: []history.Change{
		{Path: "spec.publish.suspend", From: []byte("false"), To: []byte("true")},
		{Path: "spec.publish.suspendReason", To: []byte(`"black friday"`)},
		{Path: "spec.publish.suspendUntil", To: []byte(`"2027-01-02T09:00:00Z"`)},
	}}
	const want = "alice froze what is served (spec.publish.suspend) until 2027-01-02T09:00:00Z: black friday"
	if events := eventsOf(record); len(events) != 1 || events[0].note != want {
		t.Errorf("it tells %v, want %q", events, want)
	}
}
