// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

var (
	off = &datafile.Flag{DefaultVariation: "off"}
	on  = &datafile.Flag{DefaultVariation: "off", Enabled: true, Fallthrough: "on"}
)

// modes are the ways in which an environment publishes.
var modes = map[string]func(*environment){
	"automatic": func(*environment) {},
	"manual":    func(e *environment) { e.Spec.Publish.Mode = v1alpha1.PublishModeManual },
	"suspended": func(e *environment) { e.Spec.Publish.Suspend = true },
	"pinned":    func(e *environment) { e.Spec.Publish.Revision = new(int64(3)) },
	"pinned and suspended": func(e *environment) {
		e.Spec.Publish.Revision, e.Spec.Publish.Suspend = new(int64(3)), true
	},
	"elsewhere":   func(e *environment) { e.Spec.Publish.Mode, e.known = v1alpha1.PublishModeNone, false },
	"missing":     func(e *environment) { e.missing, e.known, e.entry = true, false, topics.Entry{} },
	"break glass": func(e *environment) { e.facts.BreakGlass = true },
}

func statusOf(
	forms struct{ wanted, served *datafile.Flag },
	change ...func(*scope, *environment),
) v1alpha1.FeatureFlagStatus {
	flag := &v1alpha1.FeatureFlag{}
	flag.Name, flag.Generation = "checkout", 2
	flag.Spec = v1alpha1.FeatureFlagSpec{
		Type: v1alpha1.FlagTypeBoolean, DefaultVariation: "off",
		Variations: []v1alpha1.Variation{
			{Key: "off", Value: v1alpha1.JSON{Raw: []byte("false")}}, {Key: "on", Value: v1alpha1.JSON{Raw: []byte("true")}},
		},
		Environments: []v1alpha1.EnvironmentConfig{
			{Name: "production", Enabled: forms.wanted == on, DefaultVariation: "on"},
		},
	}
	e := environment{FlagEnvironment: &v1alpha1.FlagEnvironment{}, known: true, facts: topics.Environment{Revision: 7}}
	e.Name = "production"
	e.entry = topics.Entry{
		Outcome: compile.Outcome{Generation: 2, Form: forms.wanted}, Served: forms.served,
		Pending: forms.wanted != forms.served, Revision: 6,
	}
	s := &scope{flag: flag, now: time.Unix(0, 0)}
	for _, change := range change {
		change(s, &e)
	}
	s.environments = []environment{e}
	var to v1alpha1.FeatureFlagStatus
	computeStatus(s, time.Hour, &to)
	return to
}

// On call reads Published and the column ENVIRONMENTS to know what users get. Either one that tells what is wanted
// instead of what is served lets a broken flag pass for switched off.
func TestPublishedTellsWhatIsServed(t *testing.T) {
	type forms = struct{ wanted, served *datafile.Flag }
	for name, tc := range map[string]struct {
		mode   string
		forms  forms
		change func(*scope, *environment)
		// reason is Published's, and empty where it is True.
		reason  string
		summary string
		state   v1alpha1.ServingState
	}{
		"automatic, served":              {"automatic", forms{on, on}, nil, "", "production=on", "Served"},
		"automatic, off as wanted":       {"automatic", forms{off, off}, nil, "", "production=off", "Served"},
		"automatic, waiting":             {"automatic", forms{off, on}, nil, "Pending", "production=on→off (pending)", "Pending"},
		"automatic, never served":        {"automatic", forms{on, nil}, nil, "Pending", "production=none→on (pending)", "Pending"},
		"manual, served":                 {"manual", forms{on, on}, nil, "", "production=on", "Served"},
		"manual, waiting":                {"manual", forms{off, on}, nil, "AwaitingPublish", "production=on→off (awaiting publish)", "AwaitingPublish"},
		"manual, never served":           {"manual", forms{on, nil}, nil, "AwaitingPublish", "production=none→on (awaiting publish)", "AwaitingPublish"},
		"suspended, served":              {"suspended", forms{on, on}, nil, "", "production=on", "Served"},
		"suspended, killed":              {"suspended", forms{off, on}, nil, "Suspended", "production=on→off (frozen)", "Frozen"},
		"suspended, never served":        {"suspended", forms{on, nil}, nil, "Suspended", "production=none→on (frozen)", "Frozen"},
		"pinned, the same":               {"pinned", forms{on, on}, nil, "", "production=on", "Served"},
		"pinned, killed":                 {"pinned", forms{off, on}, nil, "Pinned", "production=on→off (pinned)", "Pinned"},
		"pinned, not in that revision":   {"pinned", forms{on, nil}, nil, "Pinned", "production=none→on (pinned)", "Pinned"},
		"pinned and suspended":           {"pinned and suspended", forms{off, on}, nil, "Pinned", "production=on→off (pinned)", "Pinned"},
		"elsewhere":                      {"elsewhere", forms{on, nil}, nil, "", "production=elsewhere", "Elsewhere"},
		"missing":                        {"missing", forms{on, nil}, nil, "EnvironmentNotFound", "production=none→on (not found)", "NotFound"},
		"missing, wanted off":            {"missing", forms{off, nil}, nil, "EnvironmentNotFound", "production=none→off (not found)", "NotFound"},
		"break glass, as wanted":         {"break glass", forms{off, off}, nil, "", "production=off", "Served"},
		"break glass, otherwise":         {"break glass", forms{on, off}, nil, "BreakGlass", "production=off→on (break glass)", "BreakGlass"},
		"the same sum, another split":    {"suspended", forms{on, &datafile.Flag{Enabled: true, Fallthrough: "on"}}, nil, "Suspended", "production=on (frozen)", "Frozen"},
		"not compiled yet":               {"automatic", forms{on, on}, func(_ *scope, e *environment) { e.known = false }, "Pending", "production=on (pending)", "Pending"},
		"nothing published":              {"automatic", forms{nil, nil}, func(_ *scope, e *environment) { e.facts.Revision = 0 }, "Pending", "production=none→off (pending)", "Pending"},
		"archived, gone":                 {"automatic", forms{nil, nil}, archived, "", "production=none", "Served"},
		"archived, gone before anything": {"manual", forms{nil, nil}, func(s *scope, e *environment) { archived(s, e); e.facts.Revision = 0 }, "", "production=none", "Served"},
		"archived, still served":         {"suspended", forms{nil, on}, archived, "Suspended", "production=on→off (frozen)", "Frozen"},
		"key taken": {"automatic", forms{nil, nil}, func(_ *scope, e *environment) {
			e.entry.Outcome.Problem, e.entry.Outcome.Message = compile.KeyTakenProblem, `the older flag "old" holds the key`
		}, "KeyTaken", "production=none→off (key taken)", "KeyTaken"},
		"last good": {"automatic", forms{on, on}, func(s *scope, e *environment) {
			e.entry.Outcome.Problem, s.flag.Spec.Environments[0].DefaultVariation = compile.InvalidProblem, "gone"
		}, "LastGood", "production=on (last good)", "LastGood"},
		"another environment is frozen": {"suspended", forms{off, on}, func(s *scope, _ *environment) {
			s.flag.Spec.Environments = nil
		}, "", "production=on→off (frozen)", "Frozen"},
	} {
		t.Run(name, func(t *testing.T) {
			got := statusOf(tc.forms, func(s *scope, e *environment) {
				modes[tc.mode](e)
				if tc.change != nil {
					tc.change(s, e)
				}
			})
			if got.Summary != tc.summary {
				t.Errorf("the column says %q, want %q", got.Summary, tc.summary)
			}
			if state := got.Environments[0].State; state != tc.state {
				t.Errorf("the state is %s, want %s", state, tc.state)
			}
			published := meta.FindStatusCondition(got.Conditions, v1alpha1.PublishedCondition)
			if want := tc.reason == ""; (published.Status == metav1.ConditionTrue) != want {
				t.Errorf("Published is %s (%s), want %t", published.Status, published.Message, want)
			}
			if tc.reason != "" && published.Reason != tc.reason {
				t.Errorf("the reason is %s, want %s", published.Reason, tc.reason)
			}
			if tc.reason != "" && !strings.Contains(published.Message, "production (") {
				t.Errorf("the message %q does not say where and why", published.Message)
			}
			if ready := meta.FindStatusCondition(got.Conditions, v1alpha1.ReadyCondition); tc.mode != "missing" &&
				ready.Status != metav1.ConditionTrue {
				t.Errorf("Ready is %s, and what is not published is no part of it", ready.Status)
			}
		})
	}
}

// Whatever the mode, Published is True exactly where what is wanted is served, or another cluster serves it.
func TestPublishedInEveryMode(t *testing.T) {
	reasons := map[string]string{
		"automatic": v1alpha1.PendingReason, "manual": v1alpha1.AwaitingPublishReason,
		"suspended": v1alpha1.SuspendedReason, "pinned": v1alpha1.PinnedReason,
		"pinned and suspended": v1alpha1.PinnedReason, "break glass": v1alpha1.BreakGlassReason,
		"missing": v1alpha1.EnvironmentNotFoundReason, "elsewhere": "",
	}
	for mode, change := range modes {
		reason, known := reasons[mode]
		if !known {
			t.Fatalf("nobody says what Published is in the mode %q", mode)
		}
		for _, wanted := range []*datafile.Flag{on, off} {
			for _, served := range []*datafile.Flag{on, off, nil} {
				got := statusOf(struct{ wanted, served *datafile.Flag }{wanted, served},
					func(_ *scope, e *environment) { change(e) })
				published := meta.FindStatusCondition(got.Conditions, v1alpha1.PublishedCondition)
				want := mode == "elsewhere" || wanted == served && mode != "missing"
				if isTrue := published.Status == metav1.ConditionTrue; isTrue != want || !want && published.Reason != reason {
					t.Errorf("%s, wanted %+v, served %+v: Published is %s (%s)",
						mode, wanted, served, published.Status, published.Reason)
				}
				if waits := got.Pending == 1; waits != (!want && mode != "missing") {
					t.Errorf("%s, wanted %+v, served %+v: %d environments are pending", mode, wanted, served, got.Pending)
				}
			}
		}
	}
}

// Whoever waits for a change reads on the flag why it is frozen, and until when.
func TestAFrozenFlagSaysWhyAndUntilWhen(t *testing.T) {
	end := metav1.NewTime(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	got := statusOf(struct{ wanted, served *datafile.Flag }{off, on}, func(_ *scope, e *environment) {
		modes["suspended"](e)
		e.Spec.Publish.SuspendUntil, e.Spec.Publish.SuspendReason = &end, "black friday"
	})
	published := meta.FindStatusCondition(got.Conditions, v1alpha1.PublishedCondition)
	if want := "suspended until 2027-03-01T12:00:00Z (black friday);"; !strings.Contains(published.Message, want) {
		t.Errorf("Published says %q, want %q", published.Message, want)
	}
}

// Whoever asks since when a flag is off must not be told a revision in which it was on: what somebody served without the
// operator, or a publish right before the operator ended, is in no ledger.
func TestTheRevisionIsOneInWhichTheFlagWasServedSo(t *testing.T) {
	for name, tc := range map[string]struct {
		before *datafile.Flag
		entry  int64
		want   int64
	}{
		"as the status says":                  {off, 0, 2},
		"switched off while nobody looked":    {on, 0, 7},
		"switched off by a revision we know":  {on, 6, 6},
		"the status says nothing of revision": {nil, 0, 7},
	} {
		t.Run(name, func(t *testing.T) {
			var s *scope
			to := statusOf(struct{ wanted, served *datafile.Flag }{off, off}, func(made *scope, e *environment) {
				e.entry.Revision, s = tc.entry, made
			})
			to.ObservedGeneration, to.Environments = s.flag.Generation, nil
			if tc.before != nil {
				to.Environments = []v1alpha1.EnvironmentState{{
					Name: "production", Served: &v1alpha1.ServedState{Enabled: tc.before.Enabled, Revision: 2},
				}}
			}
			computeStatus(s, time.Hour, &to)
			if got := to.Environments[0].Served.Revision; got != tc.want {
				t.Errorf("the flag is off since revision %d, want %d", got, tc.want)
			}
		})
	}
}

// Right after a start the operator has not compiled a large project yet. What the status says is served then is what was
// served before, not nothing.
func TestWhatIsServedStaysInTheStatusWhileTheOperatorStarts(t *testing.T) {
	last := &v1alpha1.ServedState{Enabled: true, Configuration: v1alpha1.ConfigurationOn, Revision: 5}
	for name, tc := range map[string]struct {
		change  func(*environment)
		want    *v1alpha1.ServedState
		summary string
	}{
		"automatic":               {func(*environment) {}, last, "production=on→off (pending)"},
		"frozen":                  {modes["suspended"], last, "production=on→off (frozen)"},
		"missing":                 {modes["missing"], nil, "production=none→off (not found)"},
		"elsewhere":               {modes["elsewhere"], nil, "production=elsewhere"},
		"reported and not served": {func(e *environment) { e.unreported = false }, nil, "production=none→off (pending)"},
	} {
		t.Run(name, func(t *testing.T) {
			var s *scope
			to := statusOf(struct{ wanted, served *datafile.Flag }{off, nil}, func(made *scope, e *environment) {
				e.known, e.unreported, e.entry = false, true, topics.Entry{}
				tc.change(e)
				s = made
			})
			to.Environments = []v1alpha1.EnvironmentState{{Name: "production", Served: last}}
			computeStatus(s, time.Hour, &to)
			if got := to.Environments[0].Served; (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
				t.Errorf("served is %+v, want %+v", got, tc.want)
			}
			if to.Summary != tc.summary {
				t.Errorf("the column says %q, want %q", to.Summary, tc.summary)
			}
		})
	}
}

// jackstaff archive --wait says what the condition does. "Served" is the opposite of what was done.
func TestPublishedOfAnArchivedFlagDoesNotSayServed(t *testing.T) {
	got := statusOf(struct{ wanted, served *datafile.Flag }{nil, nil}, archived)
	published := meta.FindStatusCondition(got.Conditions, v1alpha1.PublishedCondition)
	if published.Message != "no longer served in production" {
		t.Errorf("Published says %q", published.Message)
	}
}

// A freeze with an end is over without an edit. A flag that nobody looks at then says for ever that it is frozen, and waits
// for a thaw that has been.
func TestTheEndOfAFreezeIsLookedAt(t *testing.T) {
	end := metav1.NewTime(time.Unix(90, 0))
	for name, tc := range map[string]struct {
		change func(*environment)
		want   time.Duration
	}{
		"with an end":         {func(e *environment) { e.Spec.Publish.Suspend, e.Spec.Publish.SuspendUntil = true, &end }, 90 * time.Second},
		"without an end":      {func(e *environment) { e.Spec.Publish.Suspend = true }, 0},
		"an end of no freeze": {func(e *environment) { e.Spec.Publish.SuspendUntil = &end }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var frozen *scope
			got := statusOf(struct{ wanted, served *datafile.Flag }{off, on}, func(s *scope, e *environment) {
				modes["manual"](e)
				tc.change(e)
				frozen = s
			})
			if wait := nextLook(frozen, &got, time.Hour); wait != tc.want {
				t.Errorf("it is looked at in %s, want %s", wait, tc.want)
			}
			if tc.want == 0 {
				return
			}
			frozen.now = end.Time
			computeStatus(frozen, time.Hour, &got)
			if state := got.Environments[0].State; state != v1alpha1.ServingStateAwaitingPublish {
				t.Errorf("after the end the state is %s", state)
			}
		})
	}
}

// The column PENDING counts what is not served as wanted and may come yet. What waits for room is that.
func TestPendingCountsWhatWaitsForRoom(t *testing.T) {
	for problem, want := range map[compile.Problem]int32{
		compile.NoRoomProblem: 1, compile.TooLargeProblem: 1, compile.InvalidProblem: 0, compile.KeyTakenProblem: 0,
	} {
		got := statusOf(struct{ wanted, served *datafile.Flag }{off, off}, func(_ *scope, e *environment) {
			e.entry.Outcome.Problem = problem
		})
		if got.Pending != want {
			t.Errorf("problem %v: %d environments are pending, want %d", problem, got.Pending, want)
		}
	}
}

func archived(s *scope, _ *environment) { s.flag.Spec.Archived = true }

// A brake shows as wanted off beside what is still served.
func TestBrakeIsShownBesideWhatIsServed(t *testing.T) {
	got := statusOf(struct{ wanted, served *datafile.Flag }{off, on}, func(s *scope, e *environment) {
		s.flag.Spec.Environments[0].Enabled = true
		s.flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "production"}
		e.Spec.Publish.Suspend = true
	})
	state := got.Environments[0]
	if state.Wanted.Enabled || !state.Wanted.ForceDisabled || !state.Served.Enabled || state.Served.Revision != 6 {
		t.Errorf("the state is %+v beside %+v", state.Wanted, state.Served)
	}
	if got.Pending != 1 {
		t.Errorf("%d environments are pending, want 1", got.Pending)
	}
}

func TestServingStatesHaveWords(t *testing.T) {
	for _, obstacle := range obstacles {
		if stateWords[obstacle.state] == "" {
			t.Errorf("the column ENVIRONMENTS has no word for %s", obstacle.state)
		}
	}
}
