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
		"a freeze":                       {none, frozen, []string{v1alpha1.FrozenReason}},
		"a thaw":                         {frozen, none, []string{v1alpha1.ThawedReason}},
		"a pin":                          {none, pinned, []string{v1alpha1.PinnedReason}},
		"the end of a pin":               {pinned, none, []string{v1alpha1.UnpinnedReason}},
		"a pin in the place of a freeze": {frozen, pinned, []string{v1alpha1.PinnedReason, v1alpha1.ThawedReason}},
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
