// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// Whoever edits a flag, runs "jackstaff publish --wait" and is told that it is served, finds that it is not: the watch of
// environments has shown the request before that of flags has shown the edit.
func TestAPublishWaitsForTheEditsBeforeIt(t *testing.T) {
	const asked = "2027-01-01T09:00:00Z"
	start := time.Date(2027, 1, 1, 9, 0, 1, 0, time.UTC)
	flag := func(name, version string) *v1alpha1.FeatureFlag {
		flag := builders.MakeFlag(name, "shop").Boolean().Obj()
		flag.ResourceVersion = version
		return flag
	}
	type flags = []*v1alpha1.FeatureFlag
	for name, tc := range map[string]struct {
		stored, cached flags
		shown          string // The newest version that an event has shown.
		later          time.Duration
		isWaiting      bool
		want           bool
	}{
		"the edit is shown":         {flags{flag("a", "5"), flag("b", "7")}, flags{flag("a", "5"), flag("b", "7")}, "7", 0, false, false},
		"the edit is not shown yet": {flags{flag("a", "5"), flag("b", "7")}, flags{flag("a", "5"), flag("b", "6")}, "6", 0, false, true},
		"versions are numbers":      {flags{flag("a", "10")}, flags{flag("a", "10")}, "9", 0, false, true},
		"a newer one is shown":      {flags{flag("a", "5")}, flags{flag("a", "8")}, "8", 0, false, false},
		"nothing is shown":          {flags{flag("a", "5")}, nil, "", 0, false, true},
		"there is nothing":          {nil, nil, "", 0, false, false},
		"a deletion is not shown":   {nil, flags{flag("a", "5")}, "5", 0, false, true},
		"a flag that came after it": {nil, flags{flag("a", "5000")}, "5000", 0, false, false},
		"the watch does not work":   {flags{flag("a", "5")}, nil, "", catchUpLimit, false, false},
		"the request waits already": {flags{flag("a", "5")}, nil, "", 0, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Manual().
				Annotation(v1alpha1.PublishRequestedAtAnnotation, asked).Obj()
			if tc.isWaiting {
				environment.Status.WaitingPublish = &v1alpha1.WaitingPublish{RequestedAt: asked, Digest: "a"}
			}
			r := &Reconciler{Live: readerOf(t, tc.stored), Client: readerOf(t, tc.cached), changes: newChanges()}
			key := client.ObjectKeyFromObject(environment)
			r.changes.follow(key)
			r.changes.saw(key, flagSource, tc.shown)
			s := &scope{environment: environment, state: newState(), now: start}
			for range 2 {
				s.isBehind = false
				if err := r.catchUp(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				s.now = start.Add(tc.later)
			}
			if s.isBehind != tc.want {
				t.Errorf("the request waits: %t, want %t", s.isBehind, tc.want)
			}
			s.state.served = &publish.Served{Revision: 1, Digest: "a"}
			if request := s.facts().request; !tc.isWaiting && (request == "") != tc.want {
				t.Errorf("the request that is to be answered is %q", request)
			}
		})
	}
}

// Whoever freezes production and then ends a break glass keeps what is served: the watch of ConfigMaps may show the end
// before that of environments shows the freeze.
func TestTheEndOfABreakGlassWaitsForTheEditsBeforeIt(t *testing.T) {
	for name, tc := range map[string]struct {
		shown string
		want  bool
	}{
		"the freeze is not shown yet": {"6", true},
		"the freeze is shown":         {"7", false},
	} {
		t.Run(name, func(t *testing.T) {
			frozen := builders.MakeEnvironment("production", "shop").Obj()
			frozen.Spec.Publish.Suspend, frozen.ResourceVersion = true, "7"
			live := readerOf(t, nil)
			r := &Reconciler{Client: readerOf(t, nil), changes: newChanges(), Live: interceptor.NewClient(
				live.(client.WithWatch), interceptor.Funcs{Get: func(
					_ context.Context, _ client.WithWatch, _ client.ObjectKey, into client.Object, _ ...client.GetOption,
				) error {
					frozen.DeepCopyInto(into.(*v1alpha1.FlagEnvironment))
					return nil
				}})}
			cached := builders.MakeEnvironment("production", "shop").Obj()
			cached.ResourceVersion = tc.shown
			s := &scope{environment: cached, state: newState()}
			s.state.served, s.state.endedGlass = &publish.Served{Revision: 1, Digest: "a"}, "end-1"
			if err := r.catchUp(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if s.isBehind != tc.want || s.facts().endedUnseen != tc.want || (s.state.endedGlass == "") == tc.want {
				t.Errorf("the end waits: %t, and is still to be looked at: %q", s.isBehind, s.state.endedGlass)
			}
		})
	}
}

// readerOf knows objects of a namespace as they are.
func readerOf(t *testing.T, flags []*v1alpha1.FeatureFlag) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), metav1.AddMetaToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			err := inner.List(ctx, list, options...)
			list.SetResourceVersion("1000") // As the API server, and unlike the fake client.
			return err
		},
	})
	for _, flag := range flags {
		builder = builder.WithObjects(flag)
	}
	return builder.Build()
}

// One list after the other makes each publish wait three times for the API server's cache.
func TestWhatIsStoredIsListedAtTheSameTime(t *testing.T) {
	var waiting sync.WaitGroup
	waiting.Add(len(sourceKinds))
	live := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			waiting.Done()
			waiting.Wait() // For ever, where the next list waits for this one.
			return nil
		},
	})
	found, err := (&Reconciler{Live: live}).listStored(t.Context(), "shop")
	if err != nil || len(found) != len(sourceKinds) {
		t.Errorf("found %v, %v", found, err)
	}
}

// A brake must not wait for a CRD that is gone, nor a publish for ever.
func TestAPublishDoesNotWaitForWhatCannotBeListed(t *testing.T) {
	live := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("no such Kind")
		},
	})
	environment := builders.MakeEnvironment("production", "shop").Manual().
		Annotation(v1alpha1.PublishRequestedAtAnnotation, "2027-01-01T09:00:00Z").Obj()
	s := &scope{environment: environment, state: newState()}
	if err := (&Reconciler{Live: live, changes: newChanges()}).catchUp(t.Context(), s); err != nil || s.isBehind {
		t.Errorf("the request waits: %t, %v", s.isBehind, err)
	}
}
