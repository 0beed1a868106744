// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// vanishing is an environment production that serves the flag checkout.
type vanishing struct {
	*scope
	t       *testing.T
	project *compile.Project
}

func newVanishing(t *testing.T) *vanishing {
	t.Helper()
	environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	v := &vanishing{t: t, project: compile.NewProject(), scope: &scope{environment: environment, state: newState()}}
	v.start()
	v.back()
	v.publish()
	return v
}

// start makes the memory of an operator that has just begun, which knows what is served.
func (v *vanishing) start() {
	served := v.state.served
	v.state = newState()
	v.state.served = served
	v.state.compiled = v.project.NewEnvironment("production", servedContents(served))
}

// back sets the flag.
func (v *vanishing) back() {
	v.state.compiled.SetFlag(builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Defaulted().Obj())
	v.settle()
}

func (v *vanishing) settle() {
	v.releaseConfirmed()
	v.state.settle(true, true, v.environment.Spec.Datafile.Formats)
}

// publish serves what is compiled.
func (v *vanishing) publish() {
	v.state.recordServed(&publish.Served{Revision: 1, Digest: v.state.digest, Contents: v.state.content().Contents})
}

// report computes the status, which the operator has from then on.
func (v *vanishing) report() *v1alpha1.FlagEnvironmentStatus {
	computeStatus(v.scope, nil, &v.environment.Status)
	return &v.environment.Status
}

// holdMissing is the first look after a start, with these records of deletions.
func (v *vanishing) holdMissing(records ...client.Object) {
	v.t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		v.t.Fatal(err)
	}
	namespace := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
	namespace.Name = "shop"
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(records, namespace)...).Build()
	r := &Reconciler{Live: reader}
	if err := r.holdMissing(v.t.Context(), v.scope); err != nil {
		v.t.Fatal(err)
	}
	v.settle()
}

// A freeze may last for a year, and what records a deletion for a month. A deletion that waits must not come back as a
// loss, which would serve on what somebody has deleted until somebody confirms it.
func TestDeletionsWaitLongerThanTheirRecords(t *testing.T) {
	record := func(action history.Action) client.Object {
		change, err := history.NewChange(
			"shop",
			v1alpha1.ChangedObject{Kind: flagKind, Name: "checkout", Key: "checkout", UID: "1"},
			v1alpha1.HistoryRecorded,
			&history.Record{ID: "a", Action: action, Time: metav1.NewMicroTime(time.Now())},
			nil,
		)
		if err != nil {
			t.Fatal(err)
		}
		return change
	}
	for name, tc := range map[string]struct {
		isNoted  bool // In the status.
		records  []client.Object
		wantHeld bool
	}{
		"it is gone without a trace":                     {false, nil, true},
		"its deletion is on record":                      {false, []client.Object{record(history.FlagDeleted)}, false},
		"the record has expired, and the status knows":   {true, nil, false},
		"it was made again since, and is lost this time": {true, []client.Object{record(history.FlagCreated)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVanishing(t)
			if tc.isNoted {
				v.state.compiled.RemoveFlag("checkout") // An admitted deletion, in a freeze.
				v.settle()
				if status := v.report(); !slices.Equal(status.DeletedFlags, []string{"checkout"}) {
					t.Fatalf("the status does not say that the deletion waits: %v", status.DeletedFlags)
				}
			}
			v.start()
			v.holdMissing(tc.records...)
			if isHeld := len(v.state.compiled.Held()) == 1; isHeld != tc.wantHeld {
				t.Errorf("it is taken for lost: %t", isHeld)
			}
		})
	}
}

// The served file could not be read at first, such as while its name was taken. Once it can, the flags that it has and
// the resources have not are looked for as at a start.
func TestWhatIsReadLateIsLookedThroughAnew(t *testing.T) {
	v := newVanishing(t)
	served := v.state.served
	v.state = newState()
	v.start()
	v.settle() // Without the flag.
	v.state.recordRead(served)
	if v.state.compiled != nil {
		t.Error("the environment is published without the flag, which nobody has deleted")
	}
	compiled := v.project.NewEnvironment("production", servedContents(served))
	v.state.compiled = compiled
	if v.state.recordRead(served); v.state.compiled != compiled {
		t.Error("all is compiled anew though what is served was known")
	}
}

// What is noted ends with the publish that it waits for, and is bounded.
func TestNotedDeletionsEnd(t *testing.T) {
	v := newVanishing(t)
	v.state.compiled.RemoveFlag("checkout")
	v.settle()
	v.report()
	v.publish()
	if status := v.report(); len(status.DeletedFlags) != 0 {
		t.Errorf("the status says that a published deletion waits: %v", status.DeletedFlags)
	}
	for i := range maxDeleted + 1 {
		name := fmt.Sprintf("flag-%d", i)
		v.state.compiled.SetFlag(builders.MakeFlag(name, "shop").Boolean().Environment("production").Defaulted().Obj())
	}
	v.settle()
	v.publish()
	for i := range maxDeleted + 1 {
		v.state.compiled.RemoveFlag(fmt.Sprintf("flag-%d", i))
	}
	v.settle()
	if status := v.report(); len(status.DeletedFlags) != maxDeleted {
		t.Errorf("the status names %d flags, and may name %d", len(status.DeletedFlags), maxDeleted)
	}
}

// Whoever has confirmed that a flag may go has not confirmed that it may go once more, after it was back.
func TestAConfirmationIsGoodForOneLoss(t *testing.T) {
	for name, isRestarted := range map[string]bool{"by memory": false, "by the status": true} {
		t.Run(name, func(t *testing.T) {
			v := newVanishing(t)
			lose := func() (digest string) {
				v.state.compiled.LoseFlag("checkout")
				v.settle()
				compiled := meta.FindStatusCondition(v.report().Conditions, v1alpha1.CompiledCondition)
				_, digest, _ = strings.Cut(compiled.Message, v1alpha1.ConfirmVanishedAnnotation+"=")
				return digest
			}
			first := lose()
			metav1.SetMetaDataAnnotation(&v.environment.ObjectMeta, v1alpha1.ConfirmVanishedAnnotation, first)
			v.settle()
			if len(v.state.compiled.Held()) != 0 || v.report().LastHandledConfirmVanished != "" {
				t.Fatalf("the loss is not confirmed, or was published already: %+v", v.environment.Status)
			}
			v.publish()
			v.report()
			v.back()
			v.publish()
			if isRestarted {
				v.start()
				v.back()
			} else {
				v.environment.Status = v1alpha1.FlagEnvironmentStatus{} // The cache lags behind.
			}
			second := lose()
			if !slices.Equal(v.state.compiled.Held(), []string{"checkout"}) || second == first {
				t.Fatalf("the second loss is confirmed by the first confirmation %q; asked for is %q", first, second)
			}
			metav1.SetMetaDataAnnotation(&v.environment.ObjectMeta, v1alpha1.ConfirmVanishedAnnotation, second)
			v.settle()
			if len(v.state.compiled.Held()) != 0 {
				t.Error("the second loss cannot be confirmed")
			}
		})
	}
}
