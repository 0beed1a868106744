// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever does the one thing that a message names, and finds the change still not served, has lost the minute that it
// was to save.
func TestToggleNamesAllThatAChangeWaitsFor(t *testing.T) {
	const (
		thaw    = `"jackstaff freeze production -n shop --off"`
		unpin   = `"jackstaff rollback production -n shop --clear"`
		publish = `"jackstaff publish production -n shop"`
	)
	for name, tc := range map[string]struct {
		publish v1alpha1.Publish
		want    string
	}{
		"frozen":                     {v1alpha1.Publish{Suspend: true}, thaw + "."},
		"frozen and by hand":         {v1alpha1.Publish{Suspend: true, Mode: v1alpha1.PublishModeManual}, thaw + ", then " + publish + "."},
		"pinned and by hand":         {v1alpha1.Publish{Revision: new(int64(3)), Mode: v1alpha1.PublishModeManual}, unpin + ", then " + publish + "."},
		"frozen and pinned":          {v1alpha1.Publish{Suspend: true, Revision: new(int64(3))}, thaw + ", then " + unpin + "."},
		"frozen, pinned, by hand":    {v1alpha1.Publish{Suspend: true, Revision: new(int64(3)), Mode: v1alpha1.PublishModeManual}, thaw + ", then " + unpin + ", then " + publish + "."},
		"by hand":                    {v1alpha1.Publish{Mode: v1alpha1.PublishModeManual}, publish + "."},
		"at once, so that no reason": {v1alpha1.Publish{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Obj()
			environment.Spec.Publish = tc.publish
			got := whyUnpublished(target{namespace: "shop"}, environment, "payments", false, time.Now())
			until := untilThen(target{namespace: "shop"}, environment, time.Now())
			if wants := tc.want != "" && tc.publish.Revision == nil; (until != "") != wants ||
				wants && !strings.Contains(until, strings.TrimSuffix(tc.want, ".")+", brakes at once") {
				t.Errorf("the end of a break glass names %q", until)
			}
			if (got == "") != (tc.want == "") || !strings.HasSuffix(got, tc.want) {
				t.Errorf("it says %q, want %q at its end", got, tc.want)
			}
		})
	}
}

// A brake of a flag that is archived, or does not fit, waited for a minute, and then failed, though the flag was off.
func TestToggleOfAFlagThatIsNotServed(t *testing.T) {
	at := target{namespace: "shop"}
	gone := v1alpha1.EnvironmentState{Name: "production", State: v1alpha1.ServingStateServed}
	served, unfit := gone, gone
	unfit.State = v1alpha1.ServingStateLastGood
	served.State, served.Served = v1alpha1.ServingStateFrozen, &v1alpha1.ServedState{Enabled: true}
	for name, tc := range map[string]struct {
		state              v1alpha1.EnvironmentState
		isArchived, on     bool
		isBraked           bool
		done, stuck, isSet bool
		said               string
	}{
		"off, and gone":         {state: gone, isArchived: true, done: true, isSet: true, said: "code gets its own default"},
		"off, and served still": {state: served, isArchived: true, stuck: true, said: "frozen"},
		"on": {
			state: gone, isArchived: true, on: true, stuck: true, said: `"jackstaff archive payments -n shop --restore"`,
		},
		"off, and not archived":        {state: gone, said: "the operator is publishing it"},
		"a brake of what does not fit": {state: unfit, isBraked: true, done: true, said: "code gets its own default"},
		"off, and it does not fit":     {state: unfit, said: "does not compile or does not fit"},
		"on, and it does not fit":      {state: unfit, on: true, said: "does not compile or does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("payments", "shop").Boolean().Environment("production").Obj()
			flag.Spec.Archived, flag.Spec.Environments[0].Enabled = tc.isArchived, tc.on
			flag.ForceDisableIn("production", tc.isBraked)
			tc.state.Wanted = v1alpha1.WantedState{Enabled: tc.on && !tc.isArchived, ForceDisabled: tc.isBraked}
			flag.Status.Environments = []v1alpha1.EnvironmentState{tc.state}
			got := switched(at, flag, flag.Generation, "production", tc.on)
			if got.done != tc.done || got.stuck != tc.stuck || !strings.Contains(got.said, tc.said) {
				t.Errorf("it is %+v, want %q", got, tc.said)
			}
			if _, err := switchTo(at, flag.DeepCopy(), "production", tc.on, false); (err != nil) != (tc.isArchived && tc.on) {
				t.Errorf("to switch it says %v", err)
			}
			if is := serves(flag, "production", tc.on); is != tc.isSet {
				t.Errorf("without --wait it is known to be so: %t", is)
			}
		})
	}
}

// On call reads how a flag of Git was switched. "on, by the annotation" says the opposite of what was done.
func TestToggleSaysHowAFlagOfGitIsSwitched(t *testing.T) {
	for name, tc := range map[string]struct {
		isBraked, on, wantBraked bool
		want                     string
	}{
		"off":                  {false, false, true, ", by the annotation "},
		"off again":            {true, false, true, ", by the annotation "},
		"on after a brake":     {true, true, false, ", without the annotation "},
		"on without any brake": {false, true, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("payments", "shop").Boolean().Environment("production").Obj()
			flag.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop-flags:x"}
			flag.ForceDisableIn("production", tc.isBraked)
			how, err := switchTo(target{namespace: "shop"}, flag, "production", tc.on, false)
			if err != nil || !strings.HasPrefix(how, tc.want) || (how == "") != (tc.want == "") {
				t.Errorf("it says %q (error %v), want %q", how, err, tc.want)
			}
			if flag.ForceDisabledIn("production") != tc.wantBraked {
				t.Errorf("the annotation is %q", flag.Annotations[v1alpha1.ForceDisabledAnnotation])
			}
		})
	}
}
