// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/test/bench/durations"
)

const (
	// editGoal and brakeGoal are how many times its quiet p99 a neighbour's edit and brake may take.
	editGoal, brakeGoal = 3, 2
	// pause is longer than an environment gathers changes, so that every edit is measured by itself.
	pause = 600 * time.Millisecond
	// writers is how many connections write the crowd.
	writers = 4
)

// measureFairness measures a neighbour's edits and brakes, first quietly, then while another namespace is written
// without a pause. It returns what is over its goal.
func measureFairness(ctx context.Context, folder string, filled crowd, edits int) ([]string, error) {
	b, err := newBench(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	if err := b.fill(ctx, "neighbour", crowd{environments: 1, flags: 100}); err != nil {
		return nil, err
	}
	filled.audiences = min(filled.audiences, 2)
	if err := b.fill(ctx, "crowd", filled); err != nil {
		return nil, err
	}
	m, err := b.startManager(ctx, folder, "--namespace-max-environments=0")
	if err != nil {
		return nil, err
	}
	defer m.Stop()
	served, err := b.follow(ctx)
	if err != nil {
		return nil, err
	}
	if err := wait.PollUntilContextTimeout(
		ctx,
		time.Second,
		10*time.Minute,
		true,
		func(ctx context.Context) (bool, error) {
			list := &v1alpha1.FlagEnvironmentList{}
			err := b.List(ctx, list)
			return !slices.ContainsFunc(
				list.Items,
				func(e v1alpha1.FlagEnvironment) bool { return e.Status.PublishedRevision == 0 },
			), err
		},
	); err != nil {
		return nil, fmt.Errorf("wait for the first publish: %w", err)
	}
	var measured [2][3][]time.Duration // Quietly and beside the crowd: edits, brakes and bare calls.
	if err := b.makeBare(ctx); err != nil {
		return nil, err
	}
	if measured[0], err = b.neighbour(ctx, served, edits, "quiet"); err != nil {
		return nil, err
	}
	crowding, stop := context.WithCancel(ctx)
	defer stop()
	written := b.write(crowding, filled)
	began := time.Now()
	if measured[1], err = b.neighbour(ctx, served, edits, "beside"); err != nil {
		return nil, err
	}
	stop()
	fmt.Printf(
		"beside %d environments and %d flags, of which %.0f are written a second\n",
		filled.environments,
		filled.flags,
		float64(written())/time.Since(began).Seconds(),
	)
	return report(measured)
}

func report(measured [2][3][]time.Duration) ([]string, error) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "a neighbour's\tquiet p50\tbeside p50\tquiet p99\tbeside p99\tratio of p99\tgoal\t")
	var over []string
	for i, row := range []struct {
		name string
		goal float64
	}{{"edit", editGoal}, {"brake", brakeGoal}, {"three bare calls", 0}} {
		quiet, beside := measured[0][i], measured[1][i]
		ratio := float64(durations.Percentile(beside, 99)) / float64(durations.Percentile(quiet, 99))
		fmt.Fprintf(
			table,
			"%s\t%s\t%s\t%s\t%s\t%.2f\t%.0f\t\n",
			row.name,
			durations.Rounded(durations.Percentile(quiet, 50)),
			durations.Rounded(
				durations.Percentile(beside, 50),
			),
			durations.Rounded(durations.Percentile(quiet, 99)),
			durations.Rounded(durations.Percentile(beside, 99)),
			ratio,
			row.goal,
		)
		if row.goal > 0 && ratio > row.goal {
			over = append(
				over,
				fmt.Sprintf("a neighbour's %s takes %.2f times its quiet p99, goal %.0f", row.name, ratio, row.goal),
			)
		}
	}
	return over, table.Flush()
}

// follow begins to receive what the neighbour serves.
func (b *bench) follow(ctx context.Context) (<-chan *corev1.ConfigMap, error) {
	watcher, err := b.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace("neighbour"))
	if err != nil {
		return nil, err
	}
	served := make(chan *corev1.ConfigMap, 100_000)
	go func() {
		defer close(served)
		for event := range watcher.ResultChan() {
			configMap, is := event.Object.(*corev1.ConfigMap)
			if is && event.Type != watch.Deleted && configMap.Labels[v1alpha1.DatafileLabel] == v1alpha1.DatafileServed {
				served <- configMap
			}
		}
	}()
	return served, nil
}

// makeBare makes the namespace and the ConfigMap of bareCalls.
func (b *bench) makeBare(ctx context.Context) error {
	return errors.Join(
		b.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}),
		b.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "bare", Name: "served"}}),
	)
}

// bareCalls takes the time of what a publish asks of the API server, without an operator: it reads a ConfigMap, creates
// one and updates one, of the size of a datafile. This is the floor: no operator is faster than the API server that it
// asks.
func (b *bench) bareCalls(ctx context.Context, number string) (time.Duration, error) {
	document := strings.Repeat("flag ", 8<<10)
	served := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "bare", Name: "served"}}
	entry := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bare", Name: "entry-" + number},
		Data:       map[string]string{"document": document},
	}
	began := time.Now()
	if err := b.Get(ctx, client.ObjectKeyFromObject(served), served); err != nil {
		return 0, err
	}
	if err := b.Create(ctx, entry); err != nil {
		return 0, err
	}
	served.Data = map[string]string{"document": document, "number": number}
	err := b.Update(ctx, served)
	return time.Since(began), err
}

// neighbour measures edits and brakes of flags in the neighbour's namespace, and bare calls, one after the other.
func (b *bench) neighbour(
	ctx context.Context,
	served <-chan *corev1.ConfigMap,
	count int,
	label string,
) (took [3][]time.Duration, err error) {
	for i := range count {
		name := fmt.Sprintf("flag-%05d", i%100)
		value := label + strconv.Itoa(i)
		edited, err := b.timed(
			ctx,
			served,
			name,
			fmt.Sprintf(`{"spec":{"metadata":{"edit":%q}}}`, value),
			func(document string) bool {
				return strings.Contains(document, value)
			},
		)
		if err != nil {
			return took, err
		}
		took[0] = append(took[0], edited)
		off := `"` + name + `":{"defaultVariation":"off","enabled":false`
		braked, err := b.timed(ctx, served, name, brakeOf(environmentName(0)), func(document string) bool {
			return strings.Contains(document, off)
		})
		if err != nil {
			return took, err
		}
		took[1] = append(took[1], braked)
		if _, err := b.timed(ctx, served, name, brakeOf(""), func(document string) bool {
			return !strings.Contains(document, off)
		}); err != nil {
			return took, err
		}
		bare, err := b.bareCalls(ctx, value)
		if err != nil {
			return took, err
		}
		took[2] = append(took[2], bare)
	}
	return took, nil
}

func brakeOf(environments string) string {
	return fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ForceDisabledAnnotation, environments)
}

// timed patches a flag and takes the time from then until the served datafile is as it should be.
func (b *bench) timed(
	ctx context.Context,
	served <-chan *corev1.ConfigMap,
	name, patch string,
	wanted func(document string) bool,
) (time.Duration, error) {
	time.Sleep(pause)
	flag := &v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Namespace: "neighbour", Name: name}}
	if err := b.Patch(ctx, flag, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return 0, err
	}
	began := time.Now()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case configMap, ok := <-served:
			if !ok {
				return 0, errors.New("the watch ended")
			}
			if wanted(configMap.Data["datafile.json"]) {
				return time.Since(began), nil
			}
		case <-deadline:
			return 0, fmt.Errorf("the patch %s of flag %q is not served in time", patch, name)
		}
	}
}

// write edits the flags of the crowd without a pause until ctx ends. What it returns waits for the end, and returns how
// many edits there were.
func (b *bench) write(ctx context.Context, filled crowd) func() int64 {
	var written atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for ctx.Err() == nil {
				i := written.Add(1)
				flag := &v1alpha1.FeatureFlag{
					ObjectMeta: metav1.ObjectMeta{Namespace: "crowd", Name: fmt.Sprintf("flag-%05d", i%int64(filled.flags))},
				}
				patch := fmt.Appendf(nil, `{"spec":{"metadata":{"edit":"%d"}}}`, i)
				_ = b.Patch(ctx, flag, client.RawPatch(types.MergePatchType, patch)) // The end of ctx fails the last.
			}
		})
	}
	return func() int64 {
		group.Wait()
		return written.Load()
	}
}
