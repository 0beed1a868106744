// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Whoever may not publish stages changes where a publish waits for a request. One that is too large must not keep those
// of the others from being published.
func TestChangesThatDoNotFitStayAsPublished(t *testing.T) {
	const limit = 8000
	members := make([]string, 100)
	for i := range members {
		members[i] = fmt.Sprintf("%0100d", i)
	}
	type project struct {
		flags     []string
		audiences []*v1alpha1.FlagAudience
	}
	// A flag is a name, and after it "+" where it is large, ">" and the audience that it names, "!" and what it requires.
	set := func(test *tester, of project) {
		for _, text := range of.flags {
			name := strings.TrimRight(strings.FieldsFunc(text, func(r rune) bool { return r == '>' || r == '!' })[0], "+")
			builder := flag(name)
			if strings.Contains(text, "+") {
				builder = filled(builder, 9000)
			}
			if _, audience, has := strings.Cut(text, ">"); has {
				builder = builder.Rule(to(audience))
			}
			if _, required, has := strings.Cut(text, "!"); has {
				builder = builder.Prerequisite(required, "on")
			}
			test.set(builder)
		}
		for _, audience := range of.audiences {
			test.SetAudience(audience)
		}
	}
	small, large := audience("beta", "alice"), audience("beta", members...)
	for name, tc := range map[string]struct {
		published, then project
		// wantFlags and wantAudiences are those that stay as they were published, of which absent never were.
		wantFlags, wantAudiences, absent []string
	}{
		"all fit": {then: project{flags: []string{"a", "b"}}},
		"a new flag": {
			published: project{flags: []string{"a"}}, then: project{flags: []string{"b+", "c"}},
			wantFlags: []string{"b"}, absent: []string{"b"},
		},
		"a change of a flag": {
			published: project{flags: []string{"a", "b"}}, then: project{flags: []string{"b+", "c"}},
			wantFlags: []string{"b"},
		},
		"a change of an audience": {
			published:     project{flags: []string{"a>beta"}, audiences: []*v1alpha1.FlagAudience{small}},
			then:          project{flags: []string{"c>beta"}, audiences: []*v1alpha1.FlagAudience{large}},
			wantAudiences: []string{"beta"},
		},
		"a new audience comes with its flag": {
			published: project{flags: []string{"a"}},
			then:      project{flags: []string{"b>beta", "c"}, audiences: []*v1alpha1.FlagAudience{large}},
			wantFlags: []string{"b"}, absent: []string{"b"},
		},
		"what another one requires": {
			published: project{flags: []string{"a"}}, then: project{flags: []string{"b!c", "c+"}},
			wantFlags: []string{"c"}, absent: []string{"c"},
		},
		"what is published is too large by itself": {
			published: project{flags: []string{"a+", "b+"}}, then: project{flags: []string{"b", "c"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test := newTester(t)
			set(test, tc.published)
			test.publish()
			set(test, tc.then)
			test.Compile()
			changes := test.MakeFit(func() bool { return test.Contents().Size() <= limit })

			flags, audiences := test.TooLarge()
			if !slices.Equal(flags, tc.wantFlags) || !slices.Equal(audiences, tc.wantAudiences) {
				t.Fatalf("%v and %v stay as they were, want %v and %v", flags, audiences, tc.wantFlags, tc.wantAudiences)
			}
			if summary := test.Summary(); len(summary.LastGood)+len(summary.BrokenAudiences) > 0 {
				t.Errorf("what does not fit passes for broken: %+v", summary)
			}
			for _, key := range tc.wantFlags {
				test.outcome(key, TooLargeProblem)
				if !slices.Contains(changes.Keys, key) {
					t.Errorf("nobody is told of %q: %v", key, changes.Keys)
				}
				part, has := test.Contents().Flags.Get(key)
				before, _ := test.published.Flags.Get(key)
				if has == slices.Contains(tc.absent, key) || part.Digest != before.Digest {
					t.Errorf("%q is not as it was published", key)
				}
			}
			for _, name := range tc.wantAudiences {
				part, _ := test.Contents().Audiences.Get(name)
				before, _ := test.published.Audiences.Get(name)
				if form, _ := test.Audience(name); part.Digest != before.Digest || !slices.Equal(form.Members, []string{"alice"}) {
					t.Errorf("audience %q is not as it was published", name)
				}
			}
			if _, has := test.Contents().Flags.Get("c"); !has && slices.Contains(tc.then.flags, "c") {
				t.Error("the change beside it is not published")
			}

			test.MakeFit(func() bool { return true })
			if flags, audiences := test.TooLarge(); test.StagedOut() || len(flags)+len(audiences) > 0 {
				t.Errorf("%v and %v are not taken up once there is room", flags, audiences)
			}
		})
	}
}
