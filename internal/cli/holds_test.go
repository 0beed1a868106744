// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
		why := whyUnpublished(target{namespace: "shop"}, environment, "new/checkout", tc.on, now)
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
		"a publish under break glass":   {state: v1alpha1.PublishStateBreakGlass, want: "break-glass end production -n shop"},
		"a rollback under break glass":  {state: v1alpha1.PublishStateBreakGlass, isPin: true, want: "break-glass end production -n shop"},
		"a publish, elsewhere":          {publish: v1alpha1.Publish{Mode: v1alpha1.PublishModeNone}, want: "another cluster"},
		"a rollback, elsewhere":         {publish: v1alpha1.Publish{Mode: v1alpha1.PublishModeNone}, isPin: true, want: "another cluster"},
		"a publish, frozen meanwhile":   {publish: v1alpha1.Publish{Suspend: true}, want: "freeze production -n shop --off"},
		"a publish, pinned meanwhile":   {publish: v1alpha1.Publish{Revision: new(int64(3))}, want: "rollback production -n shop --clear"},
		"a rollback in a freeze":        {publish: v1alpha1.Publish{Suspend: true, Revision: new(int64(3))}, isPin: true},
		"a rollback that is not served": {publish: v1alpha1.Publish{Revision: new(int64(3))}, isPin: true},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Name, environment.Spec.Publish, environment.Status.State = "production", tc.publish, tc.state
		got := published(target{namespace: "shop"}, environment, tc.done, tc.isPin, time.Now())
		if got.done != tc.done || got.stuck != (tc.want != "") || !strings.Contains(got.said, tc.want) {
			t.Errorf("%s: it is %+v", name, got)
		}
		refused := servedElsewhere(environment, "publish it")
		if (refused != nil) != (tc.publish.Mode == v1alpha1.PublishModeNone) {
			t.Errorf("%s: it is refused: %v", name, refused)
		}
	}
}

// Whoever is on call copies the advice of an error, and must get what it says.
func TestAdviceNamesTheFlag(t *testing.T) {
	planned := &rollback{target: 2, switchedOn: []string{"payments (switched off by alice)"}, keys: []string{"payments"}}
	for isBreakGlass, want := range map[bool]string{
		false: `keep off with "jackstaff toggle payments -n shop -e production --brake"`,
		true:  `switch off again after it with "jackstaff toggle payments -n shop -e production --off --break-glass"`,
	} {
		if err := planned.refusal(
			target{namespace: "shop"},
			"production",
			isBreakGlass,
		); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("with break glass %t: %v", isBreakGlass, err)
		}
	}
	got := switchingOff(target{namespace: "shop"}, []string{"a", "b", "c", "d", "e"}, "production", "--off")
	if !strings.Contains(got, "toggle c -n shop -e production --off") || !strings.HasSuffix(got, "and so on for 2 more") {
		t.Errorf("it advises %s", got)
	}
	environment := &v1alpha1.FlagEnvironment{}
	if environment.Spec.Publish.Revision = new(int64(3)); offBy(environment) != "--brake" {
		t.Error("under a pin, a flag that its spec has off is served on")
	}
}

// Whoever breaks the glass by habit, while the operator is there, keeps it from publishing until somebody notices.
func TestAdmissionAnswers(t *testing.T) {
	resource := schema.GroupResource{Group: "flags.jackstaff.dev", Resource: "flagenvironments"}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"it lets it pass": {nil, true},
		"it refuses it":   {apierrors.NewForbidden(resource, "production", errors.New(`admission webhook "x" denied the request: no`)), true},
		"it does not answer": {
			apierrors.NewInternalError(errors.New(`failed calling webhook "x": connect: connection refused`)), false,
		},
		"somebody may not ask":   {apierrors.NewForbidden(resource, "production", errors.New("RBAC")), false},
		"the object is gone":     {apierrors.NewNotFound(resource, "production"), false},
		"the request takes long": {apierrors.NewTimeoutError("slow", 1), false},
	} {
		if got := admissionAnswers(tc.err); got != tc.want {
			t.Errorf("%s: it answers %t", name, got)
		}
	}
}

// Whoever lacks a right at the worst moment must know which one to ask for.
func TestRightsMissing(t *testing.T) {
	environment := &v1alpha1.FlagEnvironment{}
	environment.Namespace = "shop"
	resource := schema.GroupResource{Resource: "configmaps"}
	byRBAC := fmt.Errorf("serve: %w", apierrors.NewForbidden(resource, "flags-production",
		errors.New(`User "a" cannot update resource "configmaps" in API group "" in the namespace "shop"`)))
	byPolicy := apierrors.NewForbidden(resource, "flags-production", errors.New("it needs the verb publish"))
	want := "the verbs update and patch on configmaps in namespace shop, beside publish"
	if err := rightsMissing(byRBAC, environment); !errors.Is(err, byRBAC) || !strings.Contains(err.Error(), want) {
		t.Errorf("it says %v", err)
	}
	for _, err := range []error{nil, byPolicy} {
		if got := rightsMissing(err, environment); got != err { //nolint:errorlint // It is the same one.
			t.Errorf("it says %v", got)
		}
	}
}

// Whoever believes that something is frozen that is only stored so is surprised by the change that was served meanwhile.
func TestWhatIsStoredIsToBe(t *testing.T) {
	environment := &v1alpha1.FlagEnvironment{}
	environment.Namespace, environment.Name, environment.Status.PublishedRevision = "shop", "production", 7
	environment.Spec.Publish.SuspendReason = "black friday"
	for want, is := range map[string][2]bool{
		"shop/production serves revision 7 now, and is to be frozen: black friday": {false, false},
		"shop/production is frozen at revision 7: black friday":                    {false, true},
		"shop/production is to be thawed":                                          {true, false},
		"shop/production is not frozen any more":                                   {true, true},
	} {
		if got := frozenWords(environment, is[0], is[1]); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
	if isOrIsToBe(false) != "is to be" || isOrIsToBe(true) != "is" {
		t.Error("what is stored is said to be so")
	}
}
