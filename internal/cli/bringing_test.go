// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// Somebody edits a flag in Git while another breaks the glass. The history must not say that the first has made the
// revision of the second.
func TestHistoryCreditsABreakGlassToWhoeverBrokeIt(t *testing.T) {
	at := func(minute int) metav1.MicroTime {
		return metav1.NewMicroTime(time.Date(2027, 1, 1, 9, minute, 0, 0, time.UTC))
	}
	entry := func(name string, minute int, action history.Action, revision int64) history.Entry {
		found := history.Entry{
			Object: v1alpha1.ChangedObject{Kind: "FlagEnvironment", Name: "production"}, Summary: string(action),
			Record: history.Record{ID: name, Actor: history.Actor{Name: name}, Time: at(minute), Action: action},
		}
		if revision > 0 {
			found.Revisions = []v1alpha1.ChangeRevision{{Environment: "production", Revision: revision}}
		}
		return found
	}
	revisions := []historyEntry{
		{Revision: 9, PublishedAt: "2027-01-01T09:30:00Z"},
		{Revision: 8, PublishedAt: "2027-01-01T09:20:00Z"},
		{Revision: 7, PublishedAt: "2027-01-01T09:00:00Z"},
	}
	entries := []history.Entry{
		entry("git", 15, history.EnvironmentUpdated, 0),
		entry("alice", 20, history.BreakGlassBegun, 8),
		entry("bob", 25, history.BreakGlassEnded, 0),
	}
	for i, want := range []string{"bob", "alice", ""} {
		if by, what := sumUp(bringing(revisions, i, "production", entries)); by != want {
			t.Errorf("revision %d is credited to %q (%s), want %q", revisions[i].Revision, by, what, want)
		}
	}
}
