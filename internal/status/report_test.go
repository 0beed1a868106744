// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// stored is a flag in an API server, and the flag as the cache has it, with a status that is to be written.
func stored(t *testing.T) (server client.Client, object, cached, after *v1alpha1.FeatureFlag) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	object = builders.MakeFlag("checkout", "shop").Boolean().Obj()
	object.UID = "1"
	server = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(object).WithObjects(object).Build()
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	cached, after = object.DeepCopy(), object.DeepCopy()
	after.Status.ObservedGeneration = 7
	return server, object, cached, after
}

// A status that was computed from an older object and lands after a PATCH has the update refused that names the version
// which the PATCH was answered with. It settles anew. What is urgent is said at once all the same.
func TestAStatusIsNotWrittenOverAnEditThatItHasNotSeen(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		urgency  Urgency
		settle   time.Duration
		isEdited bool
		wait     time.Duration
	}{
		"nobody has edited it":       {Calm, time.Second, false, 0},
		"somebody has edited it":     {Calm, time.Second, true, time.Second},
		"a person looks for it":      {Soon, time.Second, true, 500 * time.Millisecond},
		"a brake":                    {Immediate, time.Second, true, 0},
		"nothing is to be held back": {Calm, -1, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, object, cached, after := stored(t)
			if tc.isEdited {
				object.Spec.DisplayName = "Checkout"
				if err := server.Update(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
			patcher := &Patcher{Client: server, Recorder: events.NewFakeRecorder(9), Settle: tc.settle}
			wait, err := patcher.Report(t.Context(), Change{Before: cached, After: after, Urgency: tc.urgency}, now)
			if err != nil || wait != tc.wait {
				t.Errorf("it is looked at again after %s (%v), want %s", wait, err, tc.wait)
			}
			object.Spec.DisplayName = "Pay"
			isRefused := server.Update(t.Context(), object) != nil
			if isWritten := tc.wait == 0; isRefused != isWritten {
				t.Errorf("the next update is refused: %t, want %t", isRefused, isWritten)
			}
		})
	}
}

// Whoever edits a flag without end must not keep everybody from seeing its status.
func TestEditsDoNotOvertakeAStatusForEver(t *testing.T) {
	server, object, cached, after := stored(t)
	patcher := &Patcher{Client: server, Recorder: events.NewFakeRecorder(9), Settle: time.Second}
	edit := func() {
		object.Spec.DisplayName += "!"
		if err := server.Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	report := func(now time.Time) time.Duration {
		wait, err := patcher.Report(context.Background(), Change{Before: cached, After: after.DeepCopy()}, now)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 10 {
		edit()
		if wait := report(now.Add(time.Duration(i) * time.Second)); wait != time.Second {
			t.Fatalf("after %d s it is looked at again after %s", i, wait)
		}
	}
	edit()
	if wait := report(now.Add(10 * time.Second)); wait != 0 {
		t.Errorf("the status is still held back, for %s", wait)
	}
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	if object.Status.ObservedGeneration != 7 {
		t.Error("the status is not written")
	}

	t.Log("a clock that is set back holds nothing back")
	after.Status.ObservedGeneration = 8
	edit()
	if wait := report(now); wait != time.Second {
		t.Fatalf("the next burst is not one: %s", wait)
	}
	edit()
	if wait := report(now.Add(-time.Hour)); wait != 0 {
		t.Errorf("with a clock that was set back, the status is held back for %s", wait)
	}
}

// A burst that ended without a status to write, because its edits were taken back or its object was deleted, does not
// excuse a status that would be written over an edit an hour later.
func TestABurstIsForgotten(t *testing.T) {
	start := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, between := range map[string]func(t *testing.T, p *Patcher, object *v1alpha1.FeatureFlag){
		"its edits were taken back": func(t *testing.T, p *Patcher, object *v1alpha1.FeatureFlag) {
			t.Helper()
			if _, err := p.Report(t.Context(), Change{Before: object, After: object}, start.Add(15*time.Second)); err != nil {
				t.Fatal(err)
			}
		},
		"nothing was reported": func(*testing.T, *Patcher, *v1alpha1.FeatureFlag) {},
	} {
		t.Run(name, func(t *testing.T) {
			server, object, cached, after := stored(t)
			patcher := &Patcher{Client: server, Recorder: events.NewFakeRecorder(9), Settle: time.Second}
			object.Spec.DisplayName = "edited"
			if err := server.Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			report := func(now time.Time) time.Duration {
				wait, err := patcher.Report(t.Context(), Change{Before: cached, After: after.DeepCopy()}, now)
				if err != nil {
					t.Fatal(err)
				}
				return wait
			}
			if wait := report(start); wait != time.Second {
				t.Fatalf("the first status is held back for %s", wait)
			}
			between(t, patcher, object)
			if wait := report(start.Add(time.Hour)); wait != time.Second {
				t.Errorf("an hour later, a status is written over an edit that it has not seen")
			}
			if _, known := patcher.overtaken.Load(cached.GetUID()); !known {
				t.Error("that is not the begin of a burst")
			}
			if patcher.forgetBursts(start.Add(2 * time.Hour)); isAny(&patcher.overtaken) {
				t.Error("a burst of which nothing was heard again is remembered for ever")
			}
		})
	}
}

func isAny(of *sync.Map) (found bool) {
	of.Range(func(any, any) bool {
		found = true
		return false
	})
	return found
}
