// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

// measureMemory measures a manager that starts on so many filled namespaces, until every environment has its say. It
// returns what is over its goal.
func measureMemory(ctx context.Context, folder string, namespaces int, filled crowd, unbounded bool) ([]string, error) {
	b, err := newBench(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	for i := range namespaces {
		if err := b.fill(ctx, fmt.Sprintf("crowd-%02d", i), filled); err != nil {
			return nil, fmt.Errorf("fill a namespace: %w", err)
		}
	}
	var more []string
	if unbounded {
		more = []string{"--namespace-max-environments=0", "--namespace-max-objects=0", "--namespace-max-bytes=0"}
	}
	var starts [2]started // The first one publishes everything.
	for i := range starts {
		patience := settleTime * time.Duration(max(1, namespaces*filled.environments/100))
		if starts[i], err = b.startOnce(ctx, folder, namespaces*filled.environments, patience, more); err != nil {
			return nil, err
		}
	}
	fmt.Printf(
		"%d namespaces of %d environments, %d flags with %d bytes that compress well, and %d audiences of %d members\n",
		namespaces, filled.environments, filled.flags, filled.payload, filled.audiences, filled.members,
	)
	var over []string
	for i, name := range []string{"first start", "second start"} {
		s := &starts[i]
		fmt.Printf("  %s: ready after %.1f s, %s, %.0f MiB resident, %.0f MiB at most of %d MiB\n",
			name, s.ready.Seconds(), s.settling(), s.memory.Resident, s.memory.Most, shippedLimit)
		if s.ready > readyGoal {
			over = append(over, fmt.Sprintf("%d namespaces, %s: ready after %s, goal %s", namespaces, name, s.ready, readyGoal))
		}
		if s.memory.Most > shippedLimit {
			over = append(
				over,
				fmt.Sprintf("%d namespaces, %s: %.0f MiB, goal %d", namespaces, name, s.memory.Most, shippedLimit),
			)
		}
	}
	return over, nil
}

// settleTime is how long a hundred environments may take to have their say, before the measurement ends without. An API
// server on the same machine writes some ten objects for each of them.
const settleTime = 3 * time.Minute

// started is what was measured of one start. Settled is 0 where not every environment had its say in time: that is no
// goal, and the memory is measured all the same.
type started struct {
	ready, settled time.Duration
	memory         operator.Memory
}

func (s *started) settling() string {
	if s.settled == 0 {
		return "not settled in time"
	}
	return fmt.Sprintf("settled after %.0f s", s.settled.Seconds())
}

// startOnce runs a manager until it is ready and every environment says whether it is published, or patience is over,
// and ends it.
func (b *bench) startOnce(
	ctx context.Context, folder string, environments int, patience time.Duration, more []string,
) (result started, err error) {
	m, err := b.startManager(ctx, folder, more...)
	if err != nil {
		return result, err
	}
	defer m.Stop()
	for deadline := m.Began.Add(patience); result.settled == 0 && time.Now().Before(deadline); {
		time.Sleep(500 * time.Millisecond)
		if result.ready == 0 && m.IsReady(ctx) {
			result.ready = time.Since(m.Began)
		}
		if _, err := m.Memory(); err != nil {
			return result, err // It has ended.
		}
		// Before that, what the environments say may be from the last start.
		if result.ready == 0 || time.Since(m.Began) < result.ready+10*time.Second {
			continue
		}
		list := &v1alpha1.FlagEnvironmentList{}
		if err := b.List(ctx, list); err != nil {
			return result, fmt.Errorf("wait for the environments: %w", err)
		}
		said := 0
		for i := range list.Items {
			if meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.PublishedCondition) != nil {
				said++
			}
		}
		if said == environments {
			result.settled = time.Since(m.Began)
		}
	}
	if result.ready == 0 {
		return result, fmt.Errorf("the manager is not ready after %s: %s", patience, m.Log())
	}
	time.Sleep(10 * time.Second)
	result.memory, err = m.Memory()
	return result, err
}
