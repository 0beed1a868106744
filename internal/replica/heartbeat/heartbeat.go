// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package heartbeat gathers what SDKs say of themselves and brings it into the status of their environments: which SDKs
// there are, and which instances of a workload have loaded which revision.
//
// Heartbeats reach any replica. Each one gathers those that it gets in memory, and once a minute merges them into
// status.sdks and status.instances of the environment: what other replicas have written stays, and the newest word of
// each SDK and instance wins, whichever replica it reached. A write holds only against the resource version that was
// merged with, so that replicas do not undo each other, and is left out where it would say little more than what is
// there. So the number of writes does not grow with that of heartbeats, and little with that of replicas.
//
// What instances mean for the condition Acknowledged is for the FlagEnvironment controller to say, which alone writes
// conditions and runs in one replica only. It reads the instances from the status, where they also outlive a restart.
//
// Everybody who has an SDK key, which a browser shows, can send a heartbeat. Nothing that is sent makes the memory or
// the status grow beyond fixed bounds.
package heartbeat

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
)

const (
	// Interval is how often what was gathered is written.
	Interval = time.Minute

	// maxAttempts is how often one write is tried before it waits for the next time.
	maxAttempts = 3
)

// Heartbeat is what an SDK says of itself. Its strings are within the bounds of v1alpha1.SDK and v1alpha1.Instance.
type Heartbeat struct {
	// SDKType and SDKVersion name the SDK.
	SDKType, SDKVersion string
	// Instance is what the workload calls itself, and Revision the revision that it has loaded. Either may be empty or 0.
	Instance string
	Revision int64
}

// sdk is what status.sdks tells apart.
type sdk struct{ name, version string }

// loaded is what an instance has reported.
type loaded struct {
	revision int64
	at       time.Time
}

// observed is what was gathered for an environment and is not written yet.
type observed struct {
	// uid is that of the environment, after which another one may get the same name.
	uid       types.UID
	sdks      map[sdk]time.Time
	instances map[string]loaded
}

// Gatherer is safe for concurrent use. It is a Runnable for the manager.
type Gatherer struct {
	client client.Client
	live   client.Reader
	clock  clock.WithTicker

	mu       sync.Mutex
	observed map[types.NamespacedName]*observed
}

// New returns a Gatherer that reads environments from a client's cache, or live where the cache is behind, and writes
// their status. It needs the rights to get flagenvironments and to patch their status, which the FlagEnvironment
// controller needs too.
func New(cached client.Client, live client.Reader, clock clock.WithTicker) *Gatherer {
	return &Gatherer{client: cached, live: live, clock: clock, observed: map[types.NamespacedName]*observed{}}
}

// Seen notes a heartbeat with a key of that kind. Only server keys speak for an instance: client keys are in
// everybody's hands.
func (g *Gatherer) Seen(environment *store.Environment, kind store.KeyKind, beat Heartbeat) {
	now := g.clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	key := types.NamespacedName{Namespace: environment.Project, Name: environment.Name}
	of := g.observed[key]
	if of == nil || of.uid != environment.UID {
		of = &observed{uid: environment.UID, sdks: map[sdk]time.Time{}, instances: map[string]loaded{}}
		g.observed[key] = of
	}
	// What was seen later than now was seen while the clock was ahead.
	maps.DeleteFunc(of.sdks, func(_ sdk, at time.Time) bool { return at.After(now) })
	maps.DeleteFunc(of.instances, func(_ string, report loaded) bool { return report.at.After(now) })
	put(of.sdks, sdk{beat.SDKType, beat.SDKVersion}, now, v1alpha1.MaxSDKs, func(at time.Time) time.Time { return at })
	if kind == store.ServerKey && beat.Instance != "" && beat.Revision > 0 {
		put(
			of.instances,
			beat.Instance,
			loaded{beat.Revision, now},
			v1alpha1.MaxInstances,
			func(l loaded) time.Time { return l.at },
		)
	}
}

// put adds an entry where it is newer. Beyond limit entries, the oldest is dropped.
func put[K comparable, V any](entries map[K]V, key K, value V, limit int, at func(V) time.Time) {
	known, found := entries[key]
	if found && at(known).After(at(value)) {
		return
	}
	if !found && len(entries) >= limit {
		var oldest K
		first := true
		for candidate, entry := range entries {
			if first || at(entry).Before(at(entries[oldest])) {
				oldest, first = candidate, false
			}
		}
		delete(entries, oldest)
	}
	entries[key] = value
}

// NeedLeaderElection is false: heartbeats reach every replica.
func (*Gatherer) NeedLeaderElection() bool { return false }

// Start writes what was gathered once a minute, until ctx ends.
func (g *Gatherer) Start(ctx context.Context) error {
	ticker := g.clock.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			g.flush(ctx)
		}
	}
}

// flush writes what was gathered. What cannot be written waits for the next time.
func (g *Gatherer) flush(ctx context.Context) {
	g.mu.Lock()
	gathered := g.observed
	g.observed = map[types.NamespacedName]*observed{}
	g.mu.Unlock()
	for key, of := range gathered {
		if err := g.write(ctx, key, of); err != nil {
			log.FromContext(ctx).Error(err, "Could not write which SDKs were seen; it is tried again", "environment", key)
			g.giveBack(key, of)
		}
	}
}

// giveBack gathers again what could not be written, beside what came in meanwhile.
func (g *Gatherer) giveBack(key types.NamespacedName, of *observed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	newer := g.observed[key]
	g.observed[key] = of
	if newer == nil || newer.uid != of.uid {
		return
	}
	for name, at := range newer.sdks {
		put(of.sdks, name, at, v1alpha1.MaxSDKs, func(at time.Time) time.Time { return at })
	}
	for name, report := range newer.instances {
		put(of.instances, name, report, v1alpha1.MaxInstances, func(l loaded) time.Time { return l.at })
	}
}

// write merges what was gathered into the status of an environment, where that says more than the status does.
func (g *Gatherer) write(ctx context.Context, key types.NamespacedName, of *observed) error {
	reader := client.Reader(g.client)
	for attempt := 1; ; attempt++ {
		before := &v1alpha1.FlagEnvironment{}
		if err := reader.Get(ctx, key, before); apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("get environment: %w", err)
		}
		if before.UID != of.uid {
			return nil
		}
		after := before.DeepCopy()
		if !merge(after, of, g.clock.Now()) {
			return nil
		}
		err := g.client.Status().Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) || attempt == maxAttempts {
			return client.IgnoreNotFound(err)
		}
		reader = g.live
	}
}
