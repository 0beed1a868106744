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
		if by, what := sumUp(bringing(revisions, i, "production", entries, guesses{automatic: true})); by != want {
			t.Errorf("revision %d is credited to %q (%s), want %q", revisions[i].Revision, by, what, want)
		}
	}
}

// A reader rolls back by what the history says. It must not say that a revision holds what still waits, or that two
// revisions of one second hold nothing.
func TestHistoryNamesWhatARevisionBroughtAlone(t *testing.T) {
	const publishedAt = "2027-01-01T09:30:00Z"
	entry := func(id, path string) history.Entry {
		return history.Entry{
			Object: v1alpha1.ChangedObject{Kind: "FeatureFlag", Name: id},
			Record: history.Record{
				ID: id, Actor: history.Actor{Name: id}, Time: metav1.NewMicroTime(time.Date(2027, 1, 1, 9, 30, 0, 1000, time.UTC)),
				Changes: []history.Change{{Path: path}},
			},
		}
	}
	brought := func(ids ...string) history.Brought { return history.Brought{"FeatureFlag/f": ids} }
	const variation, brake = "spec.variations[more]", "metadata.annotations[" + v1alpha1.ForceDisabledAnnotation + "]"
	staged := []history.Entry{entry("f020", brake), entry("f002", variation), entry("f001", variation)}
	unfrozen := history.Entry{
		Object: v1alpha1.ChangedObject{Kind: "FlagEnvironment", Name: "production"},
		Record: history.Record{
			ID: "unfrozen", Time: metav1.NewMicroTime(time.Date(2027, 1, 1, 9, 40, 0, 0, time.UTC)),
			Changes: []history.Change{{Path: "spec.publish.suspend"}},
		},
	}
	for name, tc := range map[string]struct {
		first, second history.Brought
		entries       []history.Entry
		guessed       guesses
		want          [2]string // By the first and by the second revision.
	}{
		"a brake beside staged edits": {nil, brought("f020"), staged, guesses{}, [2]string{"", "f020"}},
		"staged edits of which nothing is known": {
			nil, nil, staged, guesses{}, [2]string{"", ""},
		},
		"two of one second": {brought("f001"), brought("f020", "f001"), staged, guesses{}, [2]string{"f001", "f020"}},
		"a guess":           {nil, nil, staged[1:], guesses{automatic: true}, [2]string{"f001, f002", ""}},
		"a guess beside what is told": {
			brought("f020"), nil, staged, guesses{automatic: true}, [2]string{"f020", ""},
		},
		"a flag that waits": {
			nil, nil, staged[1:], guesses{automatic: true, waiting: map[string]bool{"f002": true}}, [2]string{"f001", ""},
		},
		"a description": {
			nil, nil, []history.Entry{entry("f003", "spec.description"), entry("f001", "spec.owner")},
			guesses{automatic: true}, [2]string{"", ""},
		},
		"a freeze that has ended": {
			nil, nil, append([]history.Entry{unfrozen}, staged...), guesses{automatic: true}, [2]string{"", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			revisions := []historyEntry{
				{
					Revision:    2,
					PublishedAt: publishedAt,
					brought:     tc.second,
				},
				{Revision: 1, PublishedAt: publishedAt, brought: tc.first},
			}
			second, _ := sumUp(bringing(revisions, 0, "production", tc.entries, tc.guessed))
			first, _ := sumUp(bringing(revisions, 1, "production", tc.entries, tc.guessed))
			if got := [2]string{first, second}; got != tc.want {
				t.Errorf("the revisions are by %q, want %q", got, tc.want)
			}
		})
	}
}
