// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Whoever is told that a flag is off, where it is served on, goes home while customers are hurt.
func TestToggleSaysWhatIsServed(t *testing.T) {
	now := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	frozen := v1alpha1.Publish{Suspend: true}
	thawed := v1alpha1.Publish{Suspend: true, SuspendUntil: new(metav1.NewTime(now.Add(-time.Minute)))}
	pinned := v1alpha1.Publish{Revision: new(int64(3))}
	manual := v1alpha1.Publish{Mode: v1alpha1.PublishModeManual}
	none := v1alpha1.Publish{Mode: v1alpha1.PublishModeNone}
	for name, tc := range map[string]struct {
		publish v1alpha1.Publish
		served  *v1alpha1.ServedState
		// sawBrake and isBraked are whether the status and the annotation have the brake on before the change.
		sawBrake, isBraked bool
		on, brakes, want   bool
	}{
		"off, frozen and served on":                       {publish: frozen, served: &v1alpha1.ServedState{Enabled: true}, want: true},
		"off, pinned and served on":                       {publish: pinned, served: &v1alpha1.ServedState{Enabled: true}, want: true},
		"off, by hand and served on":                      {publish: manual, served: &v1alpha1.ServedState{Enabled: true}, want: true},
		"off, by hand and not served":                     {publish: manual, want: true},
		"off, frozen and served off":                      {publish: frozen, served: &v1alpha1.ServedState{}},
		"on, frozen and served on":                        {publish: frozen, served: &v1alpha1.ServedState{Enabled: true}, on: true},
		"on, frozen and served off":                       {publish: frozen, served: &v1alpha1.ServedState{}, on: true, want: true},
		"on, frozen, its brake not known to the operator": {publish: frozen, served: &v1alpha1.ServedState{Enabled: true}, isBraked: true, on: true, want: true},
		"off, after the freeze":                           {publish: thawed, served: &v1alpha1.ServedState{Enabled: true}},
		"off at once":                                     {served: &v1alpha1.ServedState{Enabled: true}},
		"a brake, frozen":                                 {publish: frozen, served: &v1alpha1.ServedState{Enabled: true}, brakes: true},
		"a brake, elsewhere":                              {publish: none, brakes: true, want: true},
	} {
		environment, flag := &v1alpha1.FlagEnvironment{}, &v1alpha1.FeatureFlag{}
		environment.Name, environment.Spec.Publish = "production", tc.publish
		flag.ForceDisableIn("production", tc.isBraked)
		flag.Status.Environments = []v1alpha1.EnvironmentState{{
			Name: "production", Served: tc.served, Wanted: v1alpha1.WantedState{ForceDisabled: tc.sawBrake},
		}}
		got := waits(environment, serves(flag, "production", tc.on), tc.brakes, now)
		why := whyUnpublished(environment, "new/checkout", tc.on, now)
		if got != tc.want || tc.want && why == "" {
			t.Errorf("%s: it waits %t, because %q", name, got, why)
		}
	}
}

// Whoever waits for a publish or a rollback that nobody serves loses the minutes of an incident.
func TestWhatDoesNotComeByWaiting(t *testing.T) {
	for name, tc := range map[string]struct {
		publish v1alpha1.Publish
		state   v1alpha1.PublishState
		isPin   bool
		done    bool
		// want is what ends it, and empty where it comes by waiting.
		want string
	}{
		"a publish":                     {state: v1alpha1.PublishStateServing},
		"a publish that is done":        {state: v1alpha1.PublishStateServing, done: true},
		"a publish under break glass":   {state: v1alpha1.PublishStateBreakGlass, want: "break-glass end production"},
		"a rollback under break glass":  {state: v1alpha1.PublishStateBreakGlass, isPin: true, want: "break-glass end production"},
		"a publish, elsewhere":          {publish: v1alpha1.Publish{Mode: v1alpha1.PublishModeNone}, want: "another cluster"},
		"a rollback, elsewhere":         {publish: v1alpha1.Publish{Mode: v1alpha1.PublishModeNone}, isPin: true, want: "another cluster"},
		"a publish, frozen meanwhile":   {publish: v1alpha1.Publish{Suspend: true}, want: "freeze production --off"},
		"a publish, pinned meanwhile":   {publish: v1alpha1.Publish{Revision: new(int64(3))}, want: "rollback production --clear"},
		"a rollback in a freeze":        {publish: v1alpha1.Publish{Suspend: true, Revision: new(int64(3))}, isPin: true},
		"a rollback that is not served": {publish: v1alpha1.Publish{Revision: new(int64(3))}, isPin: true},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Name, environment.Spec.Publish, environment.Status.State = "production", tc.publish, tc.state
		got := published(environment, tc.done, tc.isPin, time.Now())
		if got.done != tc.done || got.stuck != (tc.want != "") || !strings.Contains(got.said, tc.want) {
			t.Errorf("%s: it is %+v", name, got)
		}
		refused := servedElsewhere(environment, "publish it")
		if (refused != nil) != (tc.publish.Mode == v1alpha1.PublishModeNone) {
			t.Errorf("%s: it is refused: %v", name, refused)
		}
	}
}
