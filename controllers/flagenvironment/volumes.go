// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

const (
	// servedFactor is how many times the bytes that a namespace may store its environments may serve together.
	servedFactor = 2
	// alwaysServed is the part of a namespace's limit that each of its environments may serve whatever the others do.
	alwaysServed = 100
	// volumesRetry is how long a large publish waits for what the other environments serve to be known, after a start.
	volumesRetry = time.Second
)

// volumes are how many bytes environments serve, before compression: every replica holds that much for each. One flag
// counts in every environment that serves it, so that a namespace within its budget could take all memory. It is safe
// for concurrent use.
type volumes struct {
	mu            sync.Mutex
	byEnvironment map[types.NamespacedName]volume
}

type volume struct {
	isProduction bool
	bytes        int64
}

func newVolumes() *volumes { return &volumes{byEnvironment: map[types.NamespacedName]volume{}} }

// record notes what an environment serves.
func (v *volumes) record(key types.NamespacedName, of volume) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.byEnvironment[key] = of
}

// recordUnread notes an environment whose served file could not be read. Until it is read it counts with the volume of,
// so that others do not wait for it. An environment whose volume was known keeps that.
func (v *volumes) recordUnread(key types.NamespacedName, of volume) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, isKnown := v.byEnvironment[key]; !isKnown {
		v.byEnvironment[key] = of
	}
}

func (v *volumes) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.byEnvironment, key)
}

// reserve notes that an environment is about to serve so much, where that is within the limit together with those of
// others that are production as it is, or are not: who may not publish makes no environment of the former. Together is
// what all would serve. Known is false where nobody knows yet what one of the others serves.
func (v *volumes) reserve(
	key types.NamespacedName, of volume, others []types.NamespacedName, limit int64,
) (together int64, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	together = of.bytes
	for _, other := range others {
		served, isKnown := v.byEnvironment[other]
		if !isKnown {
			return 0, false
		}
		if other != key && served.isProduction == of.isProduction {
			together += served.bytes
		}
	}
	if together <= limit {
		v.byEnvironment[key] = of
	}
	return together, true
}

// recordVolume notes what the environment serves.
func (r *Reconciler) recordVolume(s *scope) {
	r.volumes.record(client.ObjectKeyFromObject(s.environment), volume{
		isProduction: s.environment.Spec.Production, bytes: int64(servedContents(s.state.served).Size()),
	})
}

// recordUnread notes that what the environment serves could not be read. It counts with what it may serve in any case.
func (r *Reconciler) recordUnread(s *scope) {
	r.volumes.recordUnread(client.ObjectKeyFromObject(s.environment), volume{
		isProduction: s.environment.Spec.Production, bytes: r.servedLimit() / alwaysServed,
	})
}

// servedLimit is how many bytes the environments of a namespace may serve together, and 0 where there is no limit.
func (r *Reconciler) servedLimit() int64 { return servedFactor * r.Budgets.Bytes() }

// reserve makes sure that replicas have memory for what is to be published. It fails with a *publish.Problem where the
// environments of the namespace would serve too much together, and returns how long to wait where that is not known
// yet. What does not grow, and what is small, is always published.
func (r *Reconciler) reserve(ctx context.Context, s *scope) (wait time.Duration, err error) {
	key, limit := client.ObjectKeyFromObject(s.environment), r.servedLimit()
	size := int64(s.state.compiled.Contents().Size())
	if limit == 0 || size <= max(limit/alwaysServed, int64(servedContents(s.state.served).Size())) {
		return 0, nil
	}
	list := &v1alpha1.FlagEnvironmentList{}
	if err := r.Client.List(ctx, list, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list environments: %w", err)
	}
	var others []types.NamespacedName
	for i := range list.Items {
		if !list.Items[i].IsElsewhere() {
			others = append(others, client.ObjectKeyFromObject(&list.Items[i]))
		}
	}
	together, known := r.volumes.reserve(key, volume{s.environment.Spec.Production, size}, others, limit)
	switch {
	case !known:
		return volumesRetry, nil
	case together > limit:
		return 0, &publish.Problem{
			Reason: v1alpha1.OverBudgetReason, Message: tooMuchTogether(s.environment.Spec.Production, size, together, limit),
		}
	}
	return 0, nil
}

// tooMuchTogether says why an environment is not published where those that are production as it is, or are not, would
// serve too much together.
func tooMuchTogether(isProduction bool, size, together, limit int64) string {
	others := "environments that are not production"
	if isProduction {
		others = "production environments"
	}
	return fmt.Sprintf("the datafile has %d bytes before compression, and those of the namespace's %s would have %d "+
		"together, of which they may have %d; make large flags smaller, delete environments or split the project",
		size, others, together, limit)
}

// withVolume is the action that is taken in the place of a publish for which there is no room, or none yet.
func (r *Reconciler) withVolume(ctx context.Context, s *scope, action Action) (Action, error) {
	if action.Kind != ActionPublish {
		return action, nil
	}
	wait, err := r.reserve(ctx, s)
	if err != nil || wait == 0 {
		return action, err
	}
	instead := decideLastGood(s.facts())
	instead.Hold, instead.Drops = cmp.Or(instead.Hold, wait), true
	return instead, nil
}
