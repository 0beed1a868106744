// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// holds checks which keys are held and what is served for them.
func (t *tester) holds(keys ...string) {
	t.Helper()
	if got := t.Held(); !slices.Equal(got, keys) {
		t.Errorf("%v are held, want %v", got, keys)
	}
}

// An object that is gone without anybody having deleted it must not take its flag from users.
func TestALostFlagIsServedUntilItIsBackOrReleased(t *testing.T) {
	for name, tc := range map[string]struct {
		then func(*tester)
		held []string
		want bool
	}{
		"nothing else":            {func(*tester) {}, []string{"a"}, true},
		"it is back":              {func(t *tester) { t.set(flag("a")) }, nil, true},
		"it is back and archived": {func(t *tester) { t.set(flag("a").Archived()) }, nil, false},
		"it is given up":          {func(t *tester) { t.Release("a") }, nil, false},
		"another is given up":     {func(t *tester) { t.Release("b") }, []string{"a"}, true},
		"it is lost again":        {func(t *tester) { t.LoseFlag("a") }, []string{"a"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			test := newTester(t)
			test.set(flag("a"), flag("b"))
			test.publish()
			test.LoseFlag("a")
			test.Compile()
			tc.then(test)
			test.Compile()
			test.holds(tc.held...)
			if _, found := test.Contents().Flags.Get("a"); found != tc.want {
				t.Errorf("the flag is served: %t", found)
			}
			test.serves("b", flag("b"))
			if summary := test.Summary(); len(summary.LastGood) != 0 {
				t.Errorf("%v have their last good form", summary.LastGood)
			}
		})
	}
}

func TestALostFlagKeepsWhatItMeant(t *testing.T) {
	test := newTester(t)
	test.set(flag("a").Annotation(v1alpha1.ForceDisabledAnnotation, "production"), flag("b").Prerequisite("a", "off"))
	test.publish()
	test.LoseFlag("a")
	test.Compile()
	if !test.ForcedOff("a") {
		t.Error("the loss lifts the brake")
	}
	test.serves("b", flag("b").Prerequisite("a", "off"))
	if names := test.FlagNames("a"); len(names) > 0 {
		t.Errorf("there are no flags %v", names)
	}

	// The other flag with the key has waited for this one to go, and nobody has deleted it.
	test = newTester(t)
	test.set(flag("a"), flag("b").Key("a").Fallthrough("off"))
	test.publish()
	test.LoseFlag("a")
	test.Compile()
	test.serves("a", flag("a"))
	test.LoseFlag("b")
	test.Compile()
	test.holds("a")
	test.serves("a", flag("a"))
}

func TestWhatLeavesNothingToKeep(t *testing.T) {
	test := newTester(t)
	test.set(flag("a").Archived(), flag("b"), flag("c").Key("b"))
	test.publish()
	test.LoseFlag("a")
	test.LoseFlag("c")
	test.LoseFlag("unknown")
	test.Compile()
	test.holds()
}

// An operator that starts finds what is published and fewer flags: a backup has restored the environment first.
func TestWhatIsMissingAtTheStart(t *testing.T) {
	before := newTester(t)
	before.set(flag("a"), flag("b"), flag("c"))
	before.publish()
	test := &tester{t, NewEnvironment("production", before.Contents().Clone())}
	test.set(flag("b"))
	if missing := test.Missing(); !slices.Equal(missing, []string{"a", "c"}) {
		t.Errorf("%v are missing", missing)
	}
	for _, key := range []string{"a", "b", "unknown"} {
		test.HoldFlag(key)
	}
	test.Compile()
	test.holds("a")
	test.serves("a", flag("a"))
	test.serves("b", flag("b"))
	test.serves("c", nil)
	if test.Contents().Digest() == before.Contents().Digest() {
		t.Error("the flag that is not held is published")
	}
	test.HoldFlag("c")
	test.Compile()
	if test.Contents().Digest() != before.Contents().Digest() {
		t.Error("holding all makes another revision")
	}
}

func TestTheDigestNamesTheSet(t *testing.T) {
	if HeldDigest([]string{"a", "b"}, "") == HeldDigest([]string{"a"}, "") || len(HeldDigest(nil, "")) != digestDigits {
		t.Error("another set has the same digest")
	}
	used := HeldDigest([]string{"a"}, "")
	if HeldDigest([]string{"a"}, used) == used || HeldDigest([]string{"a"}, used) == HeldDigest([]string{used, "a"}, "") {
		t.Error("a digest that is used up confirms the same loss again")
	}
}

// A flag whose stored form nobody can read, its key among what was lost, is not deleted.
func TestAFlagThatCannotBeReadKeepsItsKeyAndItsForm(t *testing.T) {
	for name, lost := range map[string]string{"its variations": "spec.variations", "its key": "spec.key", "all": "spec"} {
		t.Run(name, func(t *testing.T) {
			test := newTester(t)
			test.set(flag("a").Key("k"))
			test.publish()
			broken := flag("a").Annotation(v1alpha1.UndecodableAnnotation, lost+"\nit is of another form")
			if lost == "spec.variations" {
				broken = broken.Key("k")
			}
			test.set(broken)
			test.Compile()
			if _, found := test.Contents().Flags.Get("k"); !found {
				t.Error("the flag is not served any more")
			}
			if summary := test.Summary(); !slices.Equal(summary.LastGood, []string{"k"}) {
				t.Errorf("%v have their last good form", summary.LastGood)
			}
			test.set(flag("a").Key("k"))
			test.Compile()
			test.serves("k", flag("a").Key("k"))
		})
	}
}
