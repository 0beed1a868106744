// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// A rollback in haste that takes the empty revision of an environment's first day takes every flag from code at once.
func TestARollbackNeverChoosesARevisionWithoutFlags(t *testing.T) {
	type flags = map[string]*datafile.Flag
	on, off, changed := flagForm(true, "on"), flagForm(false, "on"), flagForm(true, "off")
	retained := flagForm(false, "off")
	retained.Retained = true
	none := flags(nil)
	for name, tc := range map[string]struct {
		history            []flags // Revision 1 and on. The last is served unless pinned says otherwise.
		pinned             int64
		wantTarget, undoes int64
		wantPassed         []int64
		wantError          string
	}{
		"the revision before":              {[]flags{{"a": on}, {"a": changed}}, 0, 1, 2, nil, ""},
		"an emergency stop in between":     {[]flags{{"a": on}, {"a": changed}, {"a": off}}, 0, 1, 2, nil, ""},
		"the first flag of an environment": {[]flags{none, {"a": on}}, 0, 0, 0, nil, `revision 2 is the oldest of its history that holds a flag; "jackstaff history production -n shop" shows what each revision brought, and --to takes revisions 1 to 2; `},
		"only empty ones before":           {[]flags{none, {"a": retained}, {"a": on}}, 0, 0, 0, nil, "revision 3 is the oldest of its history that holds a flag; "},
		"flags were lost and came back, and one changed": {
			[]flags{{"a": on}, none, {"a": changed}}, 0, 1, 3, []int64{2}, "",
		},
		"flags were lost and came back as they were": {
			[]flags{{"a": changed}, {"a": on}, none, {"a": on}}, 0, 1, 2, []int64{3}, "",
		},
		"nothing is served":        {[]flags{{"a": on}, none}, 0, 1, 2, nil, ""},
		"what is served is pinned": {[]flags{{"a": off}, {"a": on}, {"a": changed}}, 2, 1, 2, nil, ""},
		"flags were switched off alone": {
			[]flags{none, {"a": on}, {"a": off}}, 0, 0, 0, nil,
			"from revision 2, the oldest of its history that holds a flag, to revision 3 flags were switched off and nothing else " +
				"changed; ",
		},
		"it is rolled back as far as it goes": {
			[]flags{{"a": on}, {"a": changed}}, 1, 0, 0, nil,
			"it is rolled back to revision 1 already, and revision 1 is the oldest of its history; ",
		},
		"nothing is older": {[]flags{{"a": on}}, 0, 0, 0, nil, `revision 1 is the oldest of its history; "jackstaff history production -n shop" shows what each revision brought, and --to takes revision 1; `},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Obj()
			environment.Status.PublishedRevision = int64(len(tc.history))
			if environment.Status.PinnedRevision = tc.pinned; tc.pinned > 0 {
				environment.Spec.Publish.Revision = &tc.pinned
			}
			var revisions []historyEntry
			for i := range tc.history {
				revisions = slices.Insert(revisions, 0, historyEntry{Revision: int64(i + 1)})
			}
			got, err := undone(
				target{namespace: "shop"},
				environment,
				revisions,
				func(revision int64) (*datafile.Contents, error) {
					return contentsOf(t, tc.history[revision-1]), nil
				},
			)
			if tc.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantError) {
					t.Errorf("the error is %v, want %q", err, tc.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			to, change := revisions[got.target].Revision, revisions[got.change].Revision
			if to != tc.wantTarget || change != tc.undoes || !slices.Equal(got.passed, tc.wantPassed) {
				t.Errorf("it serves revision %d, undoes %d and passes over %v, want %d, %d and %v",
					to, change, got.passed, tc.wantTarget, tc.undoes, tc.wantPassed)
			}
		})
	}
}

// Whoever ends what is not there must not wait for something that does not come.
func TestTheEndOfNothingSaysWhatIsServed(t *testing.T) {
	environment := func(revision int64) *v1alpha1.FlagEnvironment {
		environment := builders.MakeEnvironment("production", "shop").Obj()
		environment.Status.PublishedRevision = revision
		return environment
	}
	for want, got := range map[string]string{
		"shop/production is pinned to no revision, and revision 7 is served":     unpinnedWords(environment(7), false),
		"shop/production is pinned to no revision, and nothing is published yet": unpinnedWords(environment(0), false),
		"the rollback of shop/production is to end":                              unpinnedWords(environment(7), true),
		"shop/production is not frozen, and revision 7 is served":                unfrozenWords(environment(7)),
		"shop/production is not frozen, and nothing is published yet":            unfrozenWords(environment(0)),
	} {
		if got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
