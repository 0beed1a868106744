// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// A freeze for an hour that nobody ends must end, and must not a moment before.
func TestFreezeEndsByItself(t *testing.T) {
	end := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		spec v1alpha1.Publish
		now  time.Time
		want ActionKind
		// wantAgain is after how long the environment is looked at again.
		wantAgain time.Duration
	}{
		"before the end": {
			v1alpha1.Publish{Suspend: true, SuspendUntil: new(metav1.NewTime(end))}, end.Add(-time.Second), ActionNone, time.Second,
		},
		"at the end":     {v1alpha1.Publish{Suspend: true, SuspendUntil: new(metav1.NewTime(end))}, end, ActionPublish, 0},
		"without an end": {v1alpha1.Publish{Suspend: true}, end, ActionNone, 0},
		"ended by hand": {
			v1alpha1.Publish{SuspendUntil: new(metav1.NewTime(end))}, end.Add(-time.Second), ActionPublish, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Obj()
			environment.Spec.Publish = tc.spec
			got := decide(
				facts{spec: environment.Spec.Publish.At(tc.now), revision: 3, digest: "a", intact: true, compiledDigest: "b"},
			)
			if got.Kind != tc.want {
				t.Errorf("what waits is followed by %s, want %s", got.Kind, tc.want)
			}
			if again := untilThaw(environment, tc.now); again != tc.wantAgain {
				t.Errorf("it is looked at again after %s, want %s", again, tc.wantAgain)
			}
		})
	}
}

// Whoever waits for a change reads in READY and PUBLISHED why it is frozen and until when.
func TestSuspensionSaysUntilWhenAndWhy(t *testing.T) {
	end := metav1.NewTime(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	got := status.Suspension(&v1alpha1.Publish{Suspend: true, SuspendUntil: &end, SuspendReason: "black friday"})
	if want := " until 2027-03-01T12:00:00Z (black friday)"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// kubectl get ffe -o wide shows these. A freeze that has ended must not look as if it were in force.
func TestColumnsOfAFreeze(t *testing.T) {
	end := metav1.NewTime(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	spec := v1alpha1.Publish{Suspend: true, SuspendUntil: &end, SuspendReason: "black friday"}
	to := &v1alpha1.FlagEnvironmentStatus{}
	for _, tc := range []struct {
		now    time.Time
		reason string
	}{{end.Add(-time.Second), "black friday"}, {end.Time, ""}} {
		at := spec.At(tc.now)
		setState(&at, to, 0)
		if to.SuspendReason != tc.reason || (to.SuspendUntil != nil) != (tc.reason != "") {
			t.Errorf("at %s the columns say %q until %v", tc.now, to.SuspendReason, to.SuspendUntil)
		}
	}
}
