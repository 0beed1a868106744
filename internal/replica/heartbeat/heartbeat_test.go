// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
)

var noon = time.Date(2027, 3, 15, 12, 0, 0, 0, time.UTC)

// cluster is an environment in an API server, and the replicas that gather heartbeats for it.
type cluster struct {
	*testing.T
	client.Client
	clock *clocktesting.FakeClock
	// writes counts the writes of statuses, and fail is what they fail with.
	writes atomic.Int32
	fail   atomic.Pointer[error]
	// behind is what a cache that is behind shows.
	behind atomic.Pointer[v1alpha1.FlagEnvironment]
}

func newCluster(t *testing.T, acknowledge bool) *cluster {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	environment := builders.MakeEnvironment("production", "shop").Spec(func(spec *v1alpha1.FlagEnvironmentSpec) {
		spec.Delivery.Acknowledge = acknowledge
	}).Obj()
	environment.UID = "1"
	c := &cluster{T: t, clock: clocktesting.NewFakeClock(noon)}
	c.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(environment).WithStatusSubresource(environment).
		WithInterceptorFuncs(
			interceptor.Funcs{SubResourcePatch: func(ctx context.Context, under client.Client, sub string, object client.Object,
				patch client.Patch, options ...client.SubResourcePatchOption,
			) error {
				c.writes.Add(1)
				if err := c.fail.Load(); err != nil {
					return *err
				}
				return under.SubResource(sub).Patch(ctx, object, patch, options...)
			}},
		).Build()
	return c
}

// replica starts a gatherer, which ends with the test.
func (c *cluster) replica() *heartbeat.Gatherer {
	cached := interceptor.NewClient(c.Client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, under client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if shown := c.behind.Load(); shown != nil {
				shown.DeepCopyInto(object.(*v1alpha1.FlagEnvironment))
				return nil
			}
			return under.Get(ctx, key, object, options...)
		},
	})
	gatherer := heartbeat.New(cached, c.Client, c.clock)
	ctx, cancel := context.WithCancel(c.Context())
	done := make(chan error, 1)
	waiting := c.clock.Waiters()
	go func() { done <- gatherer.Start(ctx) }()
	c.until("the gatherer waits", func() bool { return c.clock.Waiters() > waiting })
	c.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			c.Error(err)
		}
	})
	return gatherer
}

// until waits for a condition.
func (c *cluster) until(what string, holds func() bool) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			c.Fatal("never: " + what)
		case <-ticker.C:
		}
	}
}

func (c *cluster) environment() *v1alpha1.FlagEnvironment {
	c.Helper()
	environment := &v1alpha1.FlagEnvironment{}
	if err := c.Get(c.Context(), client.ObjectKey{Namespace: "shop", Name: "production"}, environment); err != nil {
		c.Fatal(err)
	}
	return environment
}

// sdks are the SDKs of the status, by name and version.
func (c *cluster) sdks() map[string]time.Time {
	c.Helper()
	sdks := map[string]time.Time{}
	for _, sdk := range c.environment().Status.SDKs {
		sdks[sdk.Type+" "+sdk.Version] = sdk.LastSeen.UTC()
	}
	return sdks
}

func (c *cluster) instances() map[string]int64 {
	c.Helper()
	instances := map[string]int64{}
	for _, instance := range c.environment().Status.Instances {
		instances[instance.Name] = instance.Revision
	}
	return instances
}

// shown is the environment as what serves it knows it.
func shown() *store.Environment {
	return &store.Environment{Project: "shop", Name: "production", UID: "1"}
}

func beat(number int) heartbeat.Heartbeat {
	return heartbeat.Heartbeat{
		SDKType:    "@acme/go",
		SDKVersion: fmt.Sprintf("1.%d", number),
		Instance:   fmt.Sprintf("pod-%d", number),
		Revision:   7,
	}
}

func TestManyHeartbeatsMakeOneWrite(t *testing.T) {
	c := newCluster(t, false)
	gatherer := c.replica()
	for i := range 10_000 {
		gatherer.Seen(shown(), store.ClientKey, beat(i%3))
	}
	c.clock.Step(heartbeat.Interval)
	c.until("three SDKs in the status", func() bool { return len(c.sdks()) == 3 })
	if got := c.writes.Load(); got != 1 {
		t.Errorf("%d writes, want 1", got)
	}
	if instances := c.instances(); len(instances) > 0 {
		t.Errorf("instances are kept though the environment does not count them: %v", instances)
	}
}

func TestNothingGrowsWithoutBound(t *testing.T) {
	c := newCluster(t, true)
	gatherer := c.replica()
	for i := range 2000 {
		c.clock.SetTime(noon.Add(time.Duration(i) * time.Millisecond))
		gatherer.Seen(shown(), store.ServerKey, beat(i))
	}
	c.clock.Step(heartbeat.Interval)
	c.until("SDKs in the status", func() bool { return len(c.sdks()) > 0 })
	sdks, instances := c.sdks(), c.instances()
	if len(sdks) != v1alpha1.MaxSDKs || sdks["@acme/go 1.1999"].IsZero() || len(instances) != v1alpha1.MaxInstances ||
		instances["pod-1999"] != 7 {
		t.Errorf("%d SDKs and %d instances, or not the newest: %v %v", len(sdks), len(instances), sdks, instances)
	}
	gatherer.Seen(shown(), store.ServerKey, beat(0))
	c.clock.Step(heartbeat.Interval)
	c.until("the SDK seen last replaces one", func() bool { return !c.sdks()["@acme/go 1.0"].IsZero() })
	if sdks := c.sdks(); len(sdks) != v1alpha1.MaxSDKs {
		t.Errorf("%d SDKs", len(sdks))
	}
}

func TestReplicasKeepWhatOthersWrote(t *testing.T) {
	c := newCluster(t, true)
	first, second := c.replica(), c.replica()
	// The cache of both is behind what either writes.
	c.behind.Store(c.environment())
	first.Seen(shown(), store.ServerKey, beat(1))
	second.Seen(shown(), store.ServerKey, beat(2))
	c.clock.Step(heartbeat.Interval)
	c.until("the SDKs of both", func() bool { return len(c.sdks()) == 2 })
	c.behind.Store(nil)
	if diff := cmp.Diff(map[string]int64{"pod-1": 7, "pod-2": 7}, c.instances()); diff != "" {
		t.Error(diff)
	}

	// A pod reports to another replica than before.
	newer := beat(1)
	newer.Revision = 8
	second.Seen(shown(), store.ServerKey, newer)
	c.clock.Step(heartbeat.Interval)
	c.until("the newest word of the pod", func() bool { return c.instances()["pod-1"] == 8 })

	// What both replicas see all the time is not written by each of them.
	writes := c.writes.Load()
	for range 10 {
		first.Seen(shown(), store.ServerKey, newer)
		second.Seen(shown(), store.ServerKey, newer)
		seen := c.clock.Now().Truncate(time.Second)
		c.clock.Step(heartbeat.Interval)
		c.until("a write", func() bool { return c.sdks()["@acme/go 1.1"].Equal(seen) })
	}
	if got := c.writes.Load() - writes; got > 20 {
		t.Errorf("%d writes in ten minutes", got)
	}
}

func TestFailedWriteIsTriedAgain(t *testing.T) {
	c := newCluster(t, false)
	gatherer := c.replica()
	c.fail.Store(new(errors.New("away")))
	gatherer.Seen(shown(), store.ClientKey, beat(1))
	c.clock.Step(heartbeat.Interval)
	c.until("a write", func() bool { return c.writes.Load() > 0 })
	c.fail.Store(nil)
	c.until("the SDK in the status", func() bool {
		c.clock.Step(heartbeat.Interval)
		return len(c.sdks()) == 1
	})
}

func TestAnotherEnvironmentOfTheSameNameGetsNothing(t *testing.T) {
	c := newCluster(t, false)
	gatherer := c.replica()
	old := shown()
	old.UID = "0"
	gatherer.Seen(old, store.ClientKey, beat(1))
	gone := shown()
	gone.Name = "gone"
	gatherer.Seen(gone, store.ClientKey, beat(1))
	c.clock.Step(heartbeat.Interval)
	gatherer.Seen(shown(), store.ClientKey, beat(2))
	c.until("the SDK of the environment that is there", func() bool {
		c.clock.Step(heartbeat.Interval)
		return len(c.sdks()) > 0
	})
	if sdks := c.sdks(); !sdks["@acme/go 1.1"].IsZero() {
		t.Errorf("got %v", sdks)
	}
}

func TestOnlyServerKeysSpeakForInstances(t *testing.T) {
	c := newCluster(t, true)
	gatherer := c.replica()
	gatherer.Seen(shown(), store.ClientKey, beat(1))
	unnamed, unloaded := beat(2), beat(3)
	unnamed.Instance, unloaded.Revision = "", 0
	gatherer.Seen(shown(), store.ServerKey, unnamed)
	gatherer.Seen(shown(), store.ServerKey, unloaded)
	gatherer.Seen(shown(), store.ServerKey, beat(4))
	c.clock.Step(heartbeat.Interval)
	c.until("the SDKs in the status", func() bool { return len(c.sdks()) == 4 })
	if diff := cmp.Diff(map[string]int64{"pod-4": 7}, c.instances()); diff != "" {
		t.Error(diff)
	}
}

func TestInstancesThatAreSilentAreDropped(t *testing.T) {
	c := newCluster(t, true)
	environment := c.environment()
	environment.Status.Instances = []v1alpha1.Instance{
		{Name: "old", Revision: 1, LastSeen: metav1.Time{Time: noon.Add(-heartbeat.ExpectedFor)}},
	}
	if err := c.Status().Update(t.Context(), environment); err != nil {
		t.Fatal(err)
	}
	gatherer := c.replica()
	gatherer.Seen(shown(), store.ServerKey, beat(1))
	c.clock.Step(heartbeat.Interval)
	c.until("the new one in the status", func() bool { return c.instances()["pod-1"] == 7 })
	if diff := cmp.Diff(map[string]int64{"pod-1": 7}, c.instances()); diff != "" {
		t.Error(diff)
	}
}
