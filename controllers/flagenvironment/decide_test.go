// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// A brake of something else than the rollback that is asked for must not be shown as that rollback, nor end it.
func TestPinServed(t *testing.T) {
	for name, tc := range map[string]struct {
		wanted, served, pinned, want int64
	}{
		"no pin":                               {served: 5},
		"the pinned revision itself":           {wanted: 3, served: 3, want: 3},
		"the pinned revision under a brake":    {wanted: 3, served: 6, pinned: 3, want: 3},
		"a rollback that has not happened":     {wanted: 3, served: 5},
		"another rollback that has happened":   {wanted: 3, served: 6, pinned: 4},
		"what a pin has left, with no pin now": {served: 6, pinned: 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts{revision: tc.served, pinned: tc.pinned}
			if tc.wanted != 0 {
				f.spec.Revision = &tc.wanted
			}
			if pin := pinServed(f); pin != tc.want {
				t.Errorf("what is served comes from pin %d, want %d", pin, tc.want)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	const request = "2027-01-01T09:00:00Z"
	automatic := v1alpha1.Publish{Mode: v1alpha1.PublishModeAutomatic}
	manual := v1alpha1.Publish{Mode: v1alpha1.PublishModeManual}
	suspended := v1alpha1.Publish{Mode: v1alpha1.PublishModeAutomatic, Suspend: true}
	pinned := v1alpha1.Publish{Mode: v1alpha1.PublishModeAutomatic, Revision: new(int64(3))}
	pinnedAndSuspended := v1alpha1.Publish{Suspend: true, Revision: new(int64(3))}
	// served is revision 5 as somebody published it, and nothing has changed since.
	served := func(change func(*facts)) facts {
		f := facts{spec: automatic, revision: 5, digest: "a", intact: true, compiledDigest: "a"}
		change(&f)
		return f
	}
	for name, tc := range map[string]struct {
		facts facts
		want  Action
	}{
		"nothing changed": {served(func(*facts) {}), Action{Kind: ActionNone}},
		"a change is published": {
			served(func(f *facts) { f.compiledDigest = "b" }), Action{Kind: ActionPublish},
		},
		"a change right after another waits for its pace": {
			served(func(f *facts) { f.compiledDigest, f.wait = "b", time.Second }),
			Action{Kind: ActionHold, Hold: time.Second},
		},
		"the first publish": {
			facts{spec: automatic, compiledDigest: "b"}, Action{Kind: ActionPublish},
		},
		"an edited datafile is restored": {
			served(func(f *facts) { f.intact = false }), Action{Kind: ActionRestore},
		},
		"an edited datafile right after a restore waits for its pace": {
			served(func(f *facts) { f.intact, f.restoreWait = false, time.Second }),
			Action{Kind: ActionHold, Hold: time.Second},
		},
		"a brake of an edited datafile waits for no pace": {
			served(func(f *facts) {
				f.spec, f.intact, f.braked, f.wait, f.restoreWait = suspended, false, true, time.Second, time.Second
			}),
			Action{Kind: ActionBrake},
		},
		"an edited datafile is replaced by a change": {
			served(func(f *facts) { f.intact, f.compiledDigest = false, "b" }), Action{Kind: ActionPublish},
		},
		"a request for what is served already is answered": {
			served(func(f *facts) { f.request = request }), Action{Kind: ActionNone, Answers: request},
		},
		"a change waits where the mode is Manual": {
			served(func(f *facts) { f.spec, f.compiledDigest = manual, "b" }), Action{Kind: ActionNone},
		},
		"an edited datafile is restored where the mode is Manual, not published": {
			served(func(f *facts) { f.spec, f.compiledDigest, f.intact = manual, "b", false }), Action{Kind: ActionRestore},
		},
		"a request publishes where the mode is Manual": {
			served(func(f *facts) { f.spec, f.compiledDigest, f.request = manual, "b", request }),
			Action{Kind: ActionPublish, Answers: request},
		},
		"nothing is published by itself where the mode is Manual": {
			facts{spec: manual, compiledDigest: "b"}, Action{Kind: ActionNone},
		},
		"a request is not answered before its publish": {
			served(func(f *facts) { f.spec, f.compiledDigest, f.request, f.wait = manual, "b", request, time.Second }),
			Action{Kind: ActionHold, Hold: time.Second},
		},
		"a freeze": {
			served(func(f *facts) { f.spec, f.compiledDigest = suspended, "b" }), Action{Kind: ActionNone},
		},
		"a request waits for the end of a freeze": {
			served(func(f *facts) { f.spec, f.compiledDigest, f.request = suspended, "b", request }),
			Action{Kind: ActionNone},
		},
		"a request that has waited publishes what it asked for": {
			served(func(f *facts) {
				f.spec, f.compiledDigest, f.request, f.requestedDigest = manual, "b", request, "b"
			}),
			Action{Kind: ActionPublish, Answers: request},
		},
		"a request that has waited does not publish what was edited after it": {
			served(func(f *facts) {
				f.spec, f.compiledDigest, f.request, f.requestedDigest = manual, "c", request, "b"
			}),
			Action{Kind: ActionNone, Answers: request},
		},
		"nor does it keep an edited datafile from being restored": {
			served(func(f *facts) {
				f.spec, f.compiledDigest, f.request, f.requestedDigest, f.intact = manual, "c", request, "b", false
			}),
			Action{Kind: ActionRestore, Answers: request},
		},
		"in mode Automatic no request is needed": {
			served(func(f *facts) { f.compiledDigest, f.request, f.requestedDigest = "c", request, "b" }),
			Action{Kind: ActionPublish, Answers: request},
		},
		"an edited datafile is restored in a freeze": {
			served(func(f *facts) { f.spec, f.intact = suspended, false }), Action{Kind: ActionRestore},
		},
		"a pin": {
			served(func(f *facts) { f.spec = pinned }), Action{Kind: ActionPin, Revision: 3},
		},
		"a pin in a freeze": {
			served(func(f *facts) { f.spec = pinnedAndSuspended }), Action{Kind: ActionPin, Revision: 3},
		},
		"a change waits for the end of a pin": {
			served(func(f *facts) { f.spec, f.revision, f.compiledDigest = pinned, 3, "b" }), Action{Kind: ActionNone},
		},
		"an edited datafile is restored under a pin": {
			served(func(f *facts) { f.spec, f.revision, f.intact = pinned, 3, false }), Action{Kind: ActionRestore},
		},
		"a brake where the mode is Manual": {
			served(func(f *facts) { f.spec, f.compiledDigest, f.braked = manual, "b", true }), Action{Kind: ActionBrake},
		},
		"a brake in a freeze": {
			served(func(f *facts) { f.spec, f.compiledDigest, f.braked = suspended, "b", true }), Action{Kind: ActionBrake},
		},
		"a brake under a pin": {
			served(func(f *facts) { f.spec, f.revision, f.braked = pinned, 3, true }), Action{Kind: ActionBrake},
		},
		"a pinned revision whose brakes were lifted is served anew where somebody asks for that": {
			served(func(f *facts) { f.spec, f.pinned, f.pinAgain = pinned, 3, 5 }), Action{Kind: ActionPin, Revision: 3},
		},
		"a request to serve it anew that is done asks for nothing": {
			served(func(f *facts) { f.spec, f.pinned, f.pinAgain = pinned, 3, 4 }), Action{Kind: ActionNone},
		},
		"without a pin nothing is served anew": {
			served(func(f *facts) { f.pinned, f.pinAgain = 3, 5 }), Action{Kind: ActionNone},
		},
		"a pinned revision with a brake is the pinned one": {
			served(func(f *facts) { f.spec, f.pinned = pinned, 3 }), Action{Kind: ActionNone},
		},
		"a brake waits for no pace": {
			served(func(f *facts) { f.compiledDigest, f.braked, f.wait = "b", true, time.Second }),
			Action{Kind: ActionPublish},
		},
		"what was written without the operator stays": {
			served(func(f *facts) { f.breakGlass, f.compiledDigest, f.request = true, "b", request }),
			Action{Kind: ActionNone},
		},
		"what was written without the operator and then deleted is restored, and nothing else is published": {
			served(func(f *facts) { f.breakGlass, f.intact, f.compiledDigest, f.request = true, false, "b", request }),
			Action{Kind: ActionRestore},
		},
		"somebody deletes what was written without the operator again and again": {
			served(func(f *facts) { f.breakGlass, f.intact, f.restoreWait = true, false, time.Second }),
			Action{Kind: ActionHold, Hold: time.Second},
		},
		"not even a pin or a brake replaces what was written without the operator": {
			served(func(f *facts) { f.breakGlass, f.spec, f.braked = true, pinned, true }), Action{Kind: ActionNone},
		},
		"the end of a break glass waits for the freeze before it, which the watches have not shown": {
			served(func(f *facts) { f.endedUnseen, f.spec, f.intact, f.compiledDigest = true, pinned, false, "b" }),
			Action{Kind: ActionHold, Hold: catchUpPoll},
		},
		"a brake does not wait for that": {
			served(func(f *facts) { f.endedUnseen, f.spec, f.braked = true, pinned, true }), Action{Kind: ActionBrake},
		},
		"a brake on nothing that is served": {
			facts{spec: manual, compiledDigest: "b", braked: true}, Action{Kind: ActionNone},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, decide(tc.facts)); diff != "" {
				t.Errorf("the environment does something else (-want +got):\n%s", diff)
			}
		})
	}
}

// A publish request is for what was wanted when it was made, also after a restart and however often it is looked at.
func TestAWaitingRequestKeepsWhatItAskedFor(t *testing.T) {
	const first, second = "2027-01-01T09:00:00Z", "2027-01-01T10:00:00Z"
	frozen := v1alpha1.Publish{Mode: v1alpha1.PublishModeManual, Suspend: true}
	s := newState()
	see := func(f facts) *v1alpha1.WaitingPublish {
		if s.waiting != nil && s.waiting.RequestedAt == f.request {
			f.requestedDigest = s.waiting.Digest
		}
		s.recordWaiting(f)
		return s.waiting
	}
	for _, step := range []struct {
		does string
		f    facts
		want *v1alpha1.WaitingPublish
	}{
		{"nothing is compiled yet", facts{spec: frozen, request: first}, nil},
		{"a request waits", facts{spec: frozen, request: first, compiledDigest: "a"}, &v1alpha1.WaitingPublish{RequestedAt: first, Digest: "a"}},
		{"a flag is edited", facts{spec: frozen, request: first, compiledDigest: "b"}, &v1alpha1.WaitingPublish{RequestedAt: first, Digest: "a"}},
		{"somebody asks again", facts{spec: frozen, request: second, compiledDigest: "b"}, &v1alpha1.WaitingPublish{RequestedAt: second, Digest: "b"}},
		{"the request is taken back", facts{spec: frozen, compiledDigest: "b"}, nil},
		{"nothing is frozen", facts{spec: v1alpha1.Publish{Mode: v1alpha1.PublishModeManual}, request: first, compiledDigest: "b"}, nil},
	} {
		if diff := cmp.Diff(step.want, see(step.f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.does, diff)
		}
	}
}
