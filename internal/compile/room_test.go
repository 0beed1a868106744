// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// off begins a flag that is off and of which the operator knows nothing yet.
func off(name string, size int) *builders.FlagBuilder {
	return filled(flag(name).Disabled(), size)
}

// filled makes a flag take some more bytes.
func filled(builder *builders.FlagBuilder, size int) *builders.FlagBuilder {
	return builder.Spec(func(spec *v1alpha1.FeatureFlagSpec) {
		spec.Variations[0].Payload = &v1alpha1.JSON{Raw: []byte(`{"filling":"` + strings.Repeat("x", size) + `"}`)}
	})
}

// onceOn begins a flag that is off and was on before.
func onceOn(name string, size int) *builders.FlagBuilder {
	return off(name, size).Observed()
}

// Whoever may not publish makes drafts, so that these must not keep the others from being published.
func TestDraftsComeLastWhereThereIsNoRoom(t *testing.T) {
	big := func(name string) *builders.FlagBuilder { return off(name, 5000) }
	for name, tc := range map[string]struct {
		published, then []*builders.FlagBuilder
		limit           int
		want            []string // What of then is not served as it is.
		absent          []string // What of that is not served at all.
	}{
		"there is room": {then: []*builders.FlagBuilder{flag("a"), off("b", 10)}, limit: 5000},
		"the largest goes first": {
			then:  []*builders.FlagBuilder{flag("a"), off("b", 10), big("c"), off("d", 20)},
			limit: 5000, want: []string{"c"}, absent: []string{"c"},
		},
		"a flag that is on is no draft": {
			then:  []*builders.FlagBuilder{filled(flag("a"), 5000), off("b", 10)},
			limit: 5000, want: []string{"b"}, absent: []string{"b"},
		},
		"a flag that was on is no draft": {
			then:  []*builders.FlagBuilder{onceOn("a", 5000), off("b", 10)},
			limit: 5000, want: []string{"b"}, absent: []string{"b"},
		},
		"a flag that is served as on is no draft": {
			published: []*builders.FlagBuilder{flag("a")},
			then:      []*builders.FlagBuilder{off("a", 6000)}, limit: 5000,
		},
		"what is served of a draft stays": {
			published: []*builders.FlagBuilder{off("b", 10), flag("a")},
			then:      []*builders.FlagBuilder{big("b")}, limit: 5000, want: []string{"b"},
		},
		"what is served and does not change stays": {
			published: []*builders.FlagBuilder{big("b")},
			then:      []*builders.FlagBuilder{flag("a"), big("b"), off("c", 10)}, limit: 5000,
			want: []string{"c"}, absent: []string{"c"},
		},
		"what makes it better is published though it is not enough": {
			published: []*builders.FlagBuilder{big("b"), big("c")},
			then:      []*builders.FlagBuilder{off("b", 10), big("c"), off("d", 10)}, limit: 5000,
			want: []string{"d"}, absent: []string{"d"},
		},
		"what a flag that is on requires is no draft": {
			then:  []*builders.FlagBuilder{flag("a").Prerequisite("b", "on"), big("b"), off("c", 10)},
			limit: 5000, want: []string{"c"}, absent: []string{"c"},
		},
		"what a draft requires does not matter to it": {
			then:  []*builders.FlagBuilder{flag("a"), off("b", 10).Prerequisite("c", "on"), big("c")},
			limit: 5000, want: []string{"c"}, absent: []string{"c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test := newTester(t)
			test.set(tc.published...)
			test.publish()
			test.set(tc.then...)
			test.Compile()
			test.MakeRoom(func() bool { return test.Contents().Size() <= tc.limit })

			if got := test.LeftOut(); !slices.Equal(got, tc.want) {
				t.Fatalf("%v are left out, want %v", got, tc.want)
			}
			for _, builder := range tc.then {
				key := builder.Obj().Key()
				if !slices.Contains(tc.want, key) {
					test.outcome(key, NoProblem)
					test.serves(key, builder)
					continue
				}
				test.outcome(key, NoRoomProblem)
				if _, served := test.Contents().Flags.Get(key); served == slices.Contains(tc.absent, key) {
					t.Errorf("%q is served: %t", key, served)
				}
			}
			for _, builder := range tc.published {
				if key := builder.Obj().Key(); slices.Contains(tc.want, key) {
					test.serves(key, builder)
				}
			}
		})
	}
}

func TestADraftThatWasLeftOutIsPublished(t *testing.T) {
	full := func(test *tester) func() bool {
		return func() bool { return test.Contents().Size() <= 5000 }
	}
	start := func(t *testing.T) *tester {
		t.Helper()
		test := newTester(t)
		test.set(flag("a"), off("b", 4900), off("c", 10))
		test.MakeRoom(full(test))
		test.outcome("b", NoRoomProblem)
		test.SetPublished(test.Contents().Clone())
		return test
	}
	t.Run("once it is enabled", func(t *testing.T) {
		test := start(t)
		test.set(filled(flag("b"), 4900))
		test.MakeRoom(full(test))
		test.outcome("b", NoProblem)
		test.outcome("c", NoProblem) // It was served before.
	})
	t.Run("once there is room", func(t *testing.T) {
		test := start(t)
		changes := test.MakeRoom(func() bool { return true })
		test.outcome("b", NoProblem)
		if len(test.LeftOut()) != 0 || !changes.Contents || !slices.Contains(changes.Keys, "b") {
			t.Errorf("nobody hears of the draft: %+v", changes)
		}
	})
}

// Each question encodes the whole datafile, so that a guess that is right must not cost as many as a search.
func TestLastThatAsksTwiceWhereTheGuessIsRight(t *testing.T) {
	for n := range 40 {
		for last := -1; last <= n; last++ {
			for guess := -2; guess <= n+2; guess++ {
				asked := 0
				got := lastThat(n, guess, func(at int) bool {
					if asked++; at < 0 || at > n {
						t.Fatalf("of 0 to %d, %d is asked for", n, at)
					}
					return at <= last
				})
				if got != last {
					t.Fatalf("the last of 0 to %d is %d, want %d (guess %d)", n, got, last, guess)
				}
				if guess == last && asked > 2 || asked > 14 {
					t.Errorf("the last of 0 to %d, %d, took %d questions with guess %d", n, last, asked, guess)
				}
			}
		}
	}
}
