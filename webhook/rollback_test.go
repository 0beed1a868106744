// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Whoever rolls back has to read beforehand that it switches a broken flag on again.
func TestRollbackEffects(t *testing.T) {
	flag := func(enabled bool, serves string) *datafile.Flag {
		return &datafile.Flag{
			Type: datafile.Boolean, Enabled: enabled, DefaultVariation: "off", Fallthrough: serves,
			Variations: []datafile.Variation{{Key: "off", Value: []byte("false")}, {Key: "on", Value: []byte("true")}},
		}
	}
	document := func(flags map[string]*datafile.Flag) *datafile.Document { return &datafile.Document{Flags: flags} }
	type flags = map[string]*datafile.Flag
	for name, tc := range map[string]struct {
		served, target flags
		braked         []string
		want           []string
	}{
		"the same":                   {served: flags{"a": flag(true, "on")}, target: flags{"a": flag(true, "on")}},
		"a flag that was killed":     {served: flags{"a": flag(false, "on")}, target: flags{"a": flag(true, "on")}, want: []string{`revision 3: flag "a" goes on: 100 % of subjects move from off to on`}},
		"a brake stays":              {served: flags{"a": flag(false, "")}, target: flags{"a": flag(true, "on")}, braked: []string{"a"}},
		"a flag that goes off":       {served: flags{"a": flag(true, "on")}, target: flags{"a": flag(false, "on")}, want: []string{`revision 3: flag "a" goes off: 100 % of subjects move from on to off`}},
		"a flag that is not there":   {served: flags{"a": flag(true, "on"), "b": flag(true, "on")}, target: flags{"b": flag(true, "on")}, want: []string{`revision 3: flag "a" is not served any more; code gets the default in the code`}},
		"a flag that is there again": {served: flags{"b": flag(true, "on")}, target: flags{"a": flag(true, "on"), "b": flag(true, "on")}, want: []string{`revision 3: flag "a" goes on`}},
		"another answer":             {served: flags{"a": flag(true, "off")}, target: flags{"a": flag(true, "on")}, want: []string{`revision 3: flag "a" changes: 100 % of subjects move from off to on`}},
		"no flag at all":             {served: flags{"a": flag(true, "on"), "b": flag(true, "on")}, want: []string{"revision 3 serves no flag: code gets the default in the code for all 2 flags that are served now"}},
		"what goes on comes first": {
			served: flags{"a": flag(true, "on"), "z": flag(false, "on")}, target: flags{"a": flag(true, "off"), "z": flag(true, "on")},
			want: []string{
				`revision 3: flag "z" goes on: 100 % of subjects move from off to on`,
				`revision 3: flag "a" changes: 100 % of subjects move from on to off`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := rollbackEffects(3, document(tc.served), document(tc.target), tc.braked)
			if delta := cmp.Diff(tc.want, got); delta != "" && len(got)+len(tc.want) > 0 {
				t.Errorf("a user reads other warnings (-want +got):\n%s", delta)
			}
		})
	}
}

// The end of a pin publishes everything that was changed under it.
func TestUnpinned(t *testing.T) {
	environment := func(change func(*v1alpha1.FlagEnvironment)) *v1alpha1.FlagEnvironment {
		environment := &v1alpha1.FlagEnvironment{}
		for i := range 7 {
			environment.Status.PendingFlags = append(environment.Status.PendingFlags, fmt.Sprintf("flag-%d", i))
		}
		change(environment)
		return environment
	}
	want := "the pin ends, and what the resources say is published: flag-0, flag-1, flag-2, flag-3, flag-4 and 2 more change; " +
		"jackstaff diff says for whom"
	if got := unpinned(environment(func(*v1alpha1.FlagEnvironment) {}), time.Now()); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, change := range map[string]func(*v1alpha1.FlagEnvironment){
		"mode Manual":     func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Mode = v1alpha1.PublishModeManual },
		"a freeze":        func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Suspend = true },
		"nothing pending": func(e *v1alpha1.FlagEnvironment) { e.Status.PendingFlags = nil },
	} {
		if got := unpinned(environment(change), time.Now()); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Whoever asks for the pinned revision anew switches on what brakes have switched off, and has to read that beforehand.
func TestAsksForThePinnedRevisionAnew(t *testing.T) {
	environment := func(asked string) *v1alpha1.FlagEnvironment {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Annotations = map[string]string{v1alpha1.PinAgainAnnotation: asked}
		environment.Status.PublishedRevision = 8
		return environment
	}
	for name, tc := range map[string]struct {
		before, after string
		want          bool
	}{
		"it is asked for":           {"", "8", true},
		"once more":                 {"6", "8", true},
		"another revision is meant": {"", "7", false},
		"it was asked for before":   {"8", "8", false},
		"it is taken back":          {"8", "", false},
	} {
		if got := asksAgain(environment(tc.before), environment(tc.after)); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
}

// A pin anew in the place of what is not served did nothing, without a word.
func TestAdmissionRefusesAPinAnewOfWhatIsNotServed(t *testing.T) {
	rules := &flagEnvironments{objects{clock: clocktesting.NewFakePassiveClock(time.Now())}}
	old := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	old.Spec.Publish.Revision = new(int64(3))
	old.Status.PublishedRevision = 8
	for asked, want := range map[string]int{"7": 1, "8": 0} {
		environment := old.DeepCopy()
		environment.Annotations = map[string]string{v1alpha1.PinAgainAnnotation: asked}
		mistakes, err := rules.mistakes(t.Context(), old, environment)
		if err != nil || len(mistakes) != want {
			t.Errorf("asked for revision %s in the place of 8: %v, %v", asked, mistakes, err)
		}
	}
}
