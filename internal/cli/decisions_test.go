// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// TestSwitched fails where toggle --wait says that a switch is served before it is, or waits for what does not come.
func TestSwitched(t *testing.T) {
	off := &v1alpha1.ServedState{Enabled: false}
	on := &v1alpha1.ServedState{Enabled: true}
	for name, tc := range map[string]struct {
		observed, generation int64
		specOn               bool
		state                *v1alpha1.EnvironmentState
		isBraked             bool
		wantDone, wantStuck  bool
	}{
		"served":              {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed, Served: off}, false, true, false},
		"an older generation": {1, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed, Served: off}, false, false, false},
		"nothing known":       {2, 2, false, nil, false, false, false},
		"the status says so before it is served": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed, Served: on}, false, false, false,
		},
		"not wanted as switched": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed, Served: off, Wanted: v1alpha1.WantedState{Enabled: true}}, false, false, false,
		},
		"being published": {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStatePending, Served: on}, false, false, false},
		"frozen":          {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateFrozen, Served: on}, false, false, true},
		"by hand":         {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateAwaitingPublish, Served: on}, false, false, true},
		"a brake in a frozen environment": {
			2, 2, false, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateFrozen, Served: on, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, false, false,
		},
		"a brake that the operator has not seen, in a frozen environment": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateFrozen, Served: on}, true, false, false,
		},
		"a brake that the operator has not seen, in a pinned environment": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStatePinned, Served: on}, true, false, false,
		},
		"a brake that the operator has not seen, where it is published by hand": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateAwaitingPublish, Served: on}, true, false, false,
		},
		"a brake that the operator has not seen, of a flag that is off": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed, Served: off}, true, false, false,
		},
		"a brake that is taken away, which the operator has not seen": {
			2, 2, false, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateServed, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, false, false, false,
		},
		"a brake in a frozen environment, served": {
			2, 2, false, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateServed, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, true, false,
		},
		"a brake in a frozen environment, served, where an edit waits": {
			2, 2, false, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateFrozen, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, true, false,
		},
		"a brake in a pinned environment, served, where an edit waits": {
			2, 2, true, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStatePinned, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, true, false,
		},
		"a brake that is served where an edit is published by hand": {
			2, 2, true, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateAwaitingPublish, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, true, false,
		},
		"a brake of a flag that does not compile, served": {
			2, 2, true, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateLastGood, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, true, false,
		},
		"a brake of a flag whose key another one serves": {
			2, 2, true, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateKeyTaken, Served: off, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, false, true,
		},
		"off, of a flag that is off and of which an edit waits": {
			2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateFrozen, Served: off}, false, true, false,
		},
		"a brake that the operator has not seen, of a flag that is off and of which an edit waits": {
			2, 2, true, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateFrozen, Served: off}, true, false, false,
		},
		"switched on again by its brake": {
			2, 2, true, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateServed, Served: on, Wanted: v1alpha1.WantedState{Enabled: true},
			}, false, false, true,
		},
		"a brake where another cluster serves": {
			2, 2, false, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateElsewhere, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, false, true,
		},
		"a brake under break glass": {
			2, 2, false, &v1alpha1.EnvironmentState{
				State: v1alpha1.ServingStateBreakGlass, Served: on, Wanted: v1alpha1.WantedState{ForceDisabled: true},
			}, true, false, true,
		},
		"elsewhere":        {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateElsewhere}, false, false, true},
		"switched again":   {3, 3, true, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed, Served: on}, false, false, true},
		"last good":        {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateLastGood, Served: on}, false, false, false},
		"nothing is there": {2, 2, false, &v1alpha1.EnvironmentState{State: v1alpha1.ServingStateServed}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			flag := &v1alpha1.FeatureFlag{}
			flag.Generation, flag.Status.ObservedGeneration = tc.generation, tc.observed
			flag.Spec.Environments = []v1alpha1.EnvironmentConfig{{Name: "production", Enabled: tc.specOn}}
			flag.ForceDisableIn("production", tc.isBraked)
			if tc.state != nil {
				tc.state.Name = "production"
				flag.Status.Environments = []v1alpha1.EnvironmentState{*tc.state}
			}
			got := switched(target{namespace: "shop"}, flag, 2, "production", false)
			if got.done != tc.wantDone || got.stuck != tc.wantStuck || got.said == "" {
				t.Errorf("it is %+v", got)
			}
			if got.done && strings.Contains(got.said, "ends that") {
				t.Errorf("who has set a brake is told to end what it does not wait for: %s", got.said)
			}
		})
	}
}

// Whoever lifts a brake in a frozen environment has to know what that waits for.
func TestALiftedBrakeWaitsForAPublish(t *testing.T) {
	flag := &v1alpha1.FeatureFlag{}
	flag.Generation, flag.Status.ObservedGeneration = 2, 2
	flag.Spec.Environments = []v1alpha1.EnvironmentConfig{{Name: "production", Enabled: true}}
	flag.Status.Environments = []v1alpha1.EnvironmentState{{
		Name: "production", State: v1alpha1.ServingStateFrozen,
		Served: &v1alpha1.ServedState{Revision: 3}, Wanted: v1alpha1.WantedState{Enabled: true},
	}}
	got := switched(target{namespace: "shop"}, flag, 2, "production", true)
	if got.done || !got.stuck || !strings.Contains(got.said, "ends that") {
		t.Errorf("it is %+v", got)
	}
}

// TestAcknowledged fails where a command says that instances have loaded what they have not.
func TestAcknowledged(t *testing.T) {
	for name, tc := range map[string]struct {
		asked    bool
		counted  *v1alpha1.DeliveryStatus
		is       metav1.ConditionStatus
		wantDone bool
	}{
		"nobody asks":          {false, nil, "", true},
		"not counted":          {true, nil, metav1.ConditionTrue, false},
		"an older revision":    {true, &v1alpha1.DeliveryStatus{Revision: 4}, metav1.ConditionTrue, false},
		"all have loaded it":   {true, &v1alpha1.DeliveryStatus{Revision: 5}, metav1.ConditionTrue, true},
		"one has not":          {true, &v1alpha1.DeliveryStatus{Revision: 5}, metav1.ConditionFalse, false},
		"all have a later one": {true, &v1alpha1.DeliveryStatus{Revision: 6}, metav1.ConditionTrue, true},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Spec.Delivery.Acknowledge, environment.Status.Delivery = tc.asked, tc.counted
		environment.Status.Conditions = []metav1.Condition{{Type: v1alpha1.AcknowledgedCondition, Status: tc.is}}
		if got := acknowledged(environment, 5, ""); got.done != tc.wantDone {
			t.Errorf("%s: it is %+v", name, got)
		}
	}
}

func flagForm(enabled bool, defaultVariation string) *datafile.Flag {
	return &datafile.Flag{
		Type: "Boolean", Enabled: enabled, DefaultVariation: defaultVariation,
		Variations: []datafile.Variation{{Key: "off", Value: []byte("false")}, {Key: "on", Value: []byte("true")}},
	}
}

func contentsOf(t *testing.T, flags map[string]*datafile.Flag) *datafile.Contents {
	t.Helper()
	contents := &datafile.Contents{}
	for key, form := range flags {
		part, err := datafile.NewPart(key, form)
		if err != nil {
			t.Fatal(err)
		}
		contents.Flags.Put(part)
	}
	return contents
}

// TestOnlySwitchesOff fails where a rollback takes an emergency stop for the change that is to be undone, and switches
// the broken flag on again.
func TestOnlySwitchesOff(t *testing.T) {
	on, off := flagForm(true, "on"), flagForm(false, "on")
	for name, tc := range map[string]struct {
		older, newer map[string]*datafile.Flag
		want         bool
	}{
		"nothing":                       {map[string]*datafile.Flag{"a": on}, map[string]*datafile.Flag{"a": on}, true},
		"a flag goes off":               {map[string]*datafile.Flag{"a": on, "b": on}, map[string]*datafile.Flag{"a": off, "b": on}, true},
		"all flags go off":              {map[string]*datafile.Flag{"a": on, "b": on}, map[string]*datafile.Flag{"a": off, "b": off}, true},
		"a flag goes on":                {map[string]*datafile.Flag{"a": off}, map[string]*datafile.Flag{"a": on}, false},
		"one goes off and another on":   {map[string]*datafile.Flag{"a": on, "b": off}, map[string]*datafile.Flag{"a": off, "b": on}, false},
		"a flag that is on changes":     {map[string]*datafile.Flag{"a": on}, map[string]*datafile.Flag{"a": flagForm(true, "off")}, false},
		"a flag that is off changes":    {map[string]*datafile.Flag{"a": off}, map[string]*datafile.Flag{"a": flagForm(false, "off")}, false},
		"a flag comes":                  {nil, map[string]*datafile.Flag{"a": off}, false},
		"a flag goes":                   {map[string]*datafile.Flag{"a": on}, nil, false},
		"a flag goes and another comes": {map[string]*datafile.Flag{"a": on}, map[string]*datafile.Flag{"b": on}, false},
	} {
		if got := onlySwitchesOff(contentsOf(t, tc.older), contentsOf(t, tc.newer)); got != tc.want {
			t.Errorf("%s: it is %t", name, got)
		}
	}
}

// TestRollbackEffects fails where a rollback does not say which flags it switches.
func TestRollbackEffects(t *testing.T) {
	served := &datafile.Document{Flags: map[string]*datafile.Flag{
		"goes-on": flagForm(
			false,
			"on",
		),
		"goes-off": flagForm(true, "on"),
		"new":      flagForm(true, "on"),
		"same":     flagForm(true, "on"),
		"useless":  flagForm(false, "off"),
	}}
	target := &datafile.Document{Flags: map[string]*datafile.Flag{
		"goes-on": flagForm(
			true,
			"on",
		),
		"goes-off": flagForm(false, "off"),
		"same":     flagForm(true, "on"),
		"back":     flagForm(true, "on"),
		"useless":  flagForm(true, "off"),
	}}
	served.Flags["goes-on"].DefaultVariation = "off"
	effects, on := rollbackEffects(served, target)
	want := []string{
		"back is served again, and on",
		"goes-off goes off: 100 % of subjects move from on to off",
		"goes-on goes on: 100 % of subjects move from off to on",
		"new is not served any more; code gets the default in the code",
		"useless goes on",
	}
	if delta := cmp.Diff(want, effects); delta != "" {
		t.Error(delta)
	}
	if delta := cmp.Diff([]string{"back", "goes-on", "useless"}, on); delta != "" {
		t.Error(delta)
	}
}

// TestWhoSwitchedOff fails where on call is not told whose emergency stop a rollback would undo.
func TestWhoSwitchedOff(t *testing.T) {
	entry := func(action history.Action, by, environment string) history.Entry {
		entry := history.Entry{
			Object:       v1alpha1.ChangedObject{Kind: "FeatureFlag", Key: "a"},
			Environments: []string{environment},
			Summary:      "off",
		}
		entry.Action, entry.Actor.Name = action, by
		return entry
	}
	entries := []history.Entry{
		entry(
			history.FlagUpdated,
			"carol",
			"production",
		),
		entry(history.FlagToggled, "bob", "staging"),
		entry(history.FlagToggled, "alice", "production"),
	}
	age := func(time.Time) string { return "5m" }
	if got := whoSwitchedOff("a", "production", entries, age); got != " (off by alice 5m ago)" {
		t.Errorf("it says %q", got)
	}
	if got := whoSwitchedOff("b", "production", entries, age); got != " (switched off since)" {
		t.Errorf("of a flag without history it says %q", got)
	}
}

func TestRanges(t *testing.T) {
	for want, revisions := range map[string][]int64{
		"none": nil, "7": {7}, "1 to 3, 7": {7, 3, 2, 1}, "2, 4, 6 to 7": {7, 6, 4, 2},
	} {
		var entries []historyEntry
		for _, revision := range revisions {
			entries = append(entries, historyEntry{Revision: revision})
		}
		if got := ranges(entries); got != want {
			t.Errorf("%v is %q, want %q", revisions, got, want)
		}
	}
}

// TestExplained fails where on call has to guess from a stack of wrapped errors that the cluster or the operator is away.
func TestExplained(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "https://10.0.0.1:6443/apis/x?limit=500", Err: &net.OpError{
		Op: "dial", Net: "tcp", Err: errors.New("connect: connection refused"),
	}}
	webhook := apierrors.NewInternalError(
		errors.New(`failed calling webhook "mutate.flags.jackstaff.dev": failed to call webhook: ` +
			`Post "https://jackstaff.jackstaff-system.svc:443/mutate?timeout=10s": context deadline exceeded`),
	)
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"unreachable":  {fmt.Errorf("list flags: %w", refused), []string{"the cluster at 10.0.0.1:6443 does not answer", "connection refused", "--context"}},
		"no admission": {fmt.Errorf("x: %w", webhook), []string{"admission does not answer", "context deadline exceeded", "--break-glass"}},
		"one Kind is gone": {
			fmt.Errorf("list flags: %w", &meta.NoKindMatchError{
				GroupKind: schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: "FeatureFlagList"},
			}),
			[]string{"does not have the Kind FeatureFlag;", "what is served stays", "--off --break-glass", "--context"},
		},
		"one resource is gone": {
			&meta.NoResourceMatchError{PartialResource: v1alpha1.GroupVersion.WithResource("featureflags")},
			[]string{"does not have the Kind featureflags.flags.jackstaff.dev;", "what is served stays"},
		},
		"a stranger": {apierrors.NewUnauthorized("expired"), []string{"does not know the user"}},
		"another":    {errors.New("boom"), []string{"boom"}},
	} {
		got := explained(tc.err)
		for _, part := range tc.want {
			if !strings.Contains(got, part) || strings.Contains(got, "\n") {
				t.Errorf("%s: it says %q, without %q", name, got, part)
			}
		}
	}
}

// TestEnvironmentReport fails where the screen for on call hides a brake, a broken flag or who changed something.
func TestEnvironmentReport(t *testing.T) {
	environment := &v1alpha1.FlagEnvironment{}
	environment.Name, environment.Status.State, environment.Status.PublishedRevision = "production", v1alpha1.PublishStateFrozen, 7
	environment.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Message: "fine"},
	}
	flags := make([]v1alpha1.FeatureFlag, 4)
	for i, name := range []string{"d", "c", "b", "a"} {
		flags[i].Name, flags[i].Spec.Environments = name, []v1alpha1.EnvironmentConfig{{Name: "production"}}
	}
	flags[0].Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "production"}
	flags[1].Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "staging"}
	flags[2].Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ResolvedRefsCondition, Status: metav1.ConditionFalse, Message: "no audience x"},
	}
	flags[3].Status.Environments = []v1alpha1.EnvironmentState{{Name: "production", State: v1alpha1.ServingStateLastGood}}
	var entries []history.Entry
	for i := range 30 {
		entry := history.Entry{
			Object:       v1alpha1.ChangedObject{Kind: "FeatureFlag", Key: strconv.Itoa(i)},
			Environments: []string{[]string{"production", "staging"}[i%2]},
		}
		entries = append(entries, entry)
	}
	got := newEnvironmentReport(environment, flags, entries)
	if delta := cmp.Diff([]string{"d"}, got.Brakes); delta != "" {
		t.Errorf("brakes: %s", delta)
	}
	if got.Pending == nil {
		t.Error("with -o json what waits is null, where nothing is an empty list")
	}
	if len(got.Broken) != 2 || got.Broken[0].Flag != "a" || got.Broken[1] != (brokenFlag{"b", "no audience x"}) {
		t.Errorf("broken are %v", got.Broken)
	}
	if len(got.Changes) != maxRecent || got.Changes[1].Object.Key != "2" {
		t.Errorf("changes are %v", got.Changes)
	}
	if got.Ready != metav1.ConditionTrue || got.Message != "fine" || got.Revision != 7 ||
		got.State != v1alpha1.PublishStateFrozen {
		t.Errorf("it is %+v", got)
	}
}

// Whoever pulls the brake of an environment that the operator does not serve must not believe that the flag is off.
func TestToggleSaysWhatIsNotServed(t *testing.T) {
	for name, tc := range map[string]struct {
		state v1alpha1.PublishState
		mode  v1alpha1.PublishMode
		on    bool
		want  string
	}{
		"a brake under break glass":            {state: v1alpha1.PublishStateBreakGlass, want: "toggle new/checkout -n shop -e production --off --break-glass"},
		"a switch on under break glass":        {state: v1alpha1.PublishStateBreakGlass, on: true, want: "break-glass end production -n shop"},
		"a brake where another cluster serves": {mode: v1alpha1.PublishModeNone, want: "switch the flag there"},
		"a brake":                              {mode: v1alpha1.PublishModeAutomatic},
	} {
		t.Run(name, func(t *testing.T) {
			environment := &v1alpha1.FlagEnvironment{}
			environment.Name, environment.Status.State, environment.Spec.Publish.Mode = "production", tc.state, tc.mode
			why := whyUnpublished(target{namespace: "shop"}, environment, "new/checkout", tc.on, time.Now())
			if waits(environment, false, !tc.on, time.Now()) != (tc.want != "") || !strings.Contains(why, tc.want) {
				t.Errorf("it says %q, want %q", why, tc.want)
			}
		})
	}
}

// Whoever lifts a brake over a pinned revision has two ways on, of which one serves everything else that waits.
func TestToggleSaysHowAPinnedRevisionIsServedAnew(t *testing.T) {
	const anew = "rollback production -n shop --to 3 --yes"
	for name, tc := range map[string]struct {
		on, want  bool
		published int64
	}{
		"on, and the pin is served with brakes": {on: true, published: 8, want: true},
		"on, and the pin is served as it is":    {on: true, published: 3},
		"off":                                   {published: 8},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Name, environment.Spec.Publish.Revision = "production", new(int64(3))
		environment.Status.PinnedRevision, environment.Status.PublishedRevision = 3, tc.published
		why := whyUnpublished(target{namespace: "shop"}, environment, "payments", tc.on, time.Now())
		if strings.Contains(why, anew) != tc.want || !strings.Contains(why, "rollback production -n shop --clear") {
			t.Errorf("%s: it says %q", name, why)
		}
	}
}

// Whoever ends a break glass that the operator has not seen switches a broken flag on again: the operator takes the
// revision for a forgery.
func TestTheEndOfBreakGlassWaitsForTheOperator(t *testing.T) {
	for name, tc := range map[string]struct {
		state     v1alpha1.PublishState
		published int64
		want      bool
	}{
		"the operator is away":                         {v1alpha1.PublishStateServing, 6, false},
		"the operator has seen an earlier break glass": {v1alpha1.PublishStateBreakGlass, 6, false},
		"the operator does not believe it":             {v1alpha1.PublishStateDegraded, 7, false},
		"the operator has never seen the environment":  {"", 0, false},
		"the operator has taken it over":               {v1alpha1.PublishStateBreakGlass, 7, true},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Name = "production"
		environment.Status.State, environment.Status.PublishedRevision = tc.state, tc.published
		err := notTakenOver(environment, 7)
		if (err == nil) != tc.want || err != nil && !strings.Contains(err.Error(), "has not taken over revision 7") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
