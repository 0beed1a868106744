// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
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
	var ready [2]time.Duration // At the first start, which publishes everything, and at the second.
	var resident, most [2]float64
	for i := range ready {
		if ready[i], resident[i], most[i], err = b.startOnce(ctx, folder, namespaces*filled.environments, more); err != nil {
			return nil, err
		}
	}
	fmt.Printf("%d namespaces of %d environments, %d flags and %d audiences of %d members\n", namespaces,
		filled.environments, filled.flags, filled.audiences, filled.members)
	var over []string
	for i, name := range []string{"first start", "second start"} {
		fmt.Printf("  %s: ready after %.1f s, %.0f MiB resident, %.0f MiB at most of %d MiB\n",
			name, ready[i].Seconds(), resident[i], most[i], shippedLimit)
		if ready[i] > readyGoal {
			over = append(over, fmt.Sprintf("%d namespaces, %s: ready after %s, goal %s", namespaces, name, ready[i], readyGoal))
		}
		if most[i] > shippedLimit {
			over = append(over, fmt.Sprintf("%d namespaces, %s: %.0f MiB, goal %d", namespaces, name, most[i], shippedLimit))
		}
	}
	return over, nil
}

// startOnce runs a manager until it is ready and every environment says whether it is published, and ends it.
func (b *bench) startOnce(
	ctx context.Context,
	folder string,
	environments int,
	more []string,
) (ready time.Duration, resident, most float64, err error) {
	m, err := b.startManager(ctx, folder, more...)
	if err != nil {
		return 0, 0, 0, err
	}
	defer m.stop()
	err = wait.PollUntilContextTimeout(
		ctx,
		500*time.Millisecond,
		10*time.Minute,
		true,
		func(ctx context.Context) (bool, error) {
			if ready == 0 && m.isReady(ctx) {
				ready = time.Since(m.began)
			}
			if _, _, err := m.memory(); err != nil {
				return false, err // It has ended.
			}
			if ready == 0 || time.Since(m.began) < ready+10*time.Second {
				return false, nil
			}
			list := &v1alpha1.FlagEnvironmentList{}
			if err := b.List(ctx, list); err != nil {
				return false, err
			}
			said := 0
			for i := range list.Items {
				if meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.PublishedCondition) != nil {
					said++
				}
			}
			return said == environments, nil
		},
	)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("wait for the environments: %w", err)
	}
	time.Sleep(10 * time.Second)
	resident, most, err = m.memory()
	return ready, resident, most, err
}
