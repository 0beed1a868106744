// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command admission measures what the operator costs whoever writes flags: a patch, a creation and an apply of many, each
// next to the same write to an API server that has the Kinds and no webhooks, and to one whose webhooks admit everything
// at once, which is the floor. All three run in one run, and the writes take turns, because machines differ and are
// noisy: read the ratios. KUBEBUILDER_ASSETS names the directory of etcd, kube-apiserver and kubectl.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/test/bench/durations"
	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

const (
	project = "default"
	// quiet is longer than an environment gathers changes, so that every write is measured by itself.
	quiet = 600 * time.Millisecond
	// patchGoal is how often a patch may take the time of the same one without webhooks.
	patchGoal = 2
	// createGoal is how long a creation may take.
	createGoal = 25 * time.Millisecond
)

// applyGoals are how long kubectl may take to apply so many flags.
var applyGoals = map[int]time.Duration{1000: 30 * time.Second, 10_000: 5 * time.Minute}

var environments = []string{"preview", "staging", "production"}

func main() {
	ctrl.SetLogger(logr.Discard())
	sizes := flag.String("flags", "300,10000", "how many flags the project has, one run each")
	writes := flag.Int("writes", 60, "how many patches and creations are measured in each run")
	applies := flag.String(
		"apply", "1000", "how many flags kubectl applies to an empty project, one run each; empty for none",
	)
	flag.Parse()
	if err := run(context.Background(), list(*sizes), list(*applies), *writes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func list(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
}

func run(ctx context.Context, sizes, applies []string, writes int) error {
	fmt.Printf("%s/%s, %d processors, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	folder, err := os.MkdirTemp("", "admission-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := operator.Build(ctx, folder); err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "flags\twrite\tp50\tidle webhooks\tno webhooks\tratio\tp99\tidle webhooks\tno webhooks\tratio\t")
	var over []string
	for _, text := range sizes {
		size, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-flags: %w", err)
		}
		missed, err := measureWrites(ctx, folder, table, size, writes)
		if err != nil {
			return fmt.Errorf("%d flags: %w", size, err)
		}
		over = append(over, missed...)
	}
	for _, text := range applies {
		size, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-apply: %w", err)
		}
		missed, err := measureApply(ctx, folder, table, size)
		if err != nil {
			return fmt.Errorf("apply %d flags: %w", size, err)
		}
		over = append(over, missed...)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, goal := range over {
		fmt.Println("OVER ITS GOAL:", goal)
	}
	return nil
}

// measureWrites measures patches and creations, with the operator and without it in turns.
func measureWrites(ctx context.Context, folder string, table *tabwriter.Writer, size, writes int) ([]string, error) {
	on, stop, err := startAll(ctx, folder, size)
	if err != nil {
		return nil, err
	}
	defer stop()
	var patches, creations sample
	for i := range writes {
		name := flagName(i * size / writes)
		if err := patches.take(on, func(on *cluster) error { return on.patch(ctx, name, i) }); err != nil {
			return nil, err
		}
		created := makeFlag(size + i)
		create := func(on *cluster) error { return on.Create(ctx, created.DeepCopy()) }
		if err := creations.take(on, create); err != nil {
			return nil, err
		}
	}
	patches.print(table, size, "patch")
	creations.print(table, size, "create")
	var over []string
	if ratio := patches.ratio(50); ratio > patchGoal {
		over = append(over, fmt.Sprintf("a patch with %d flags: %.1f times, at most %d", size, ratio, patchGoal))
	}
	if took := durations.Percentile(creations.guarded, 50); took > createGoal {
		over = append(
			over,
			fmt.Sprintf("a creation with %d flags: %s, at most %s", size, durations.Rounded(took), createGoal),
		)
	}
	return over, nil
}

// measureApply measures how long kubectl takes to apply flags to a project without any.
func measureApply(ctx context.Context, folder string, table *tabwriter.Writer, size int) ([]string, error) {
	on, stop, err := startAll(ctx, folder, 0)
	if err != nil {
		return nil, err
	}
	defer stop()
	manifests := &bytes.Buffer{}
	for i := range size {
		flag := makeFlag(i)
		flag.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FeatureFlag"))
		data, err := yaml.Marshal(flag)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(manifests, "---\n%s", data)
	}
	file := filepath.Join(folder, "flags.yaml")
	if err := os.WriteFile(file, manifests.Bytes(), 0o600); err != nil {
		return nil, err
	}
	var applied sample
	if err := applied.take(on, func(on *cluster) error { return on.apply(file) }); err != nil {
		return nil, err
	}
	applied.print(table, size, "kubectl apply")
	if goal, has := applyGoals[size]; has && applied.guarded[0] > goal {
		return []string{
			fmt.Sprintf("kubectl apply of %d flags: %s, at most %s", size, durations.Rounded(applied.guarded[0]), goal),
		}, nil
	}
	return nil, nil
}

// sample is how long the same writes took with the operator, with webhooks that admit everything at once, and without
// webhooks. The second is the floor of whoever asks webhooks at all.
type sample struct{ guarded, idle, bare []time.Duration }

// take makes a write on each cluster, while nothing else goes on.
func (s *sample) take(on *clusters, write func(*cluster) error) error {
	for _, on := range []struct {
		*cluster

		took *[]time.Duration
	}{{on.guarded, &s.guarded}, {on.idle, &s.idle}, {on.bare, &s.bare}} {
		time.Sleep(quiet)
		begin := time.Now()
		if err := write(on.cluster); err != nil {
			return err
		}
		*on.took = append(*on.took, time.Since(begin))
	}
	return nil
}

func (s *sample) ratio(percent int) float64 {
	return float64(durations.Percentile(s.guarded, percent)) / float64(durations.Percentile(s.bare, percent))
}

func (s *sample) print(table *tabwriter.Writer, size int, write string) {
	cells := []string{strconv.Itoa(size), write}
	for _, percent := range []int{50, 99} {
		cells = append(
			cells,
			durations.Rounded(durations.Percentile(s.guarded, percent)),
			durations.Rounded(durations.Percentile(s.idle, percent)),
			durations.Rounded(durations.Percentile(s.bare, percent)),
			fmt.Sprintf("%.2f", s.ratio(percent)),
		)
	}
	fmt.Fprintln(table, strings.Join(cells, "\t")+"\t")
}

func flagName(i int) string { return fmt.Sprintf("flag-%05d", i) }

// makeFlag returns a flag such as a project has, in three environments: with a rule, a split, or off.
func makeFlag(i int) *v1alpha1.FeatureFlag {
	flag := builders.MakeFlag(flagName(i), project).Boolean()
	for _, environment := range environments {
		flag.Environment(environment)
		switch i % 4 {
		case 1:
			flag.Rule(builders.MakeRule("plan").Condition("plan", v1alpha1.OperatorIn, "beta", "enterprise").Serve("on"))
		case 2:
			flag.Rule(builders.MakeRule("half").Split("on", 50).Split("off", 50))
		case 3:
			flag.Disabled()
		}
	}
	return flag.Obj()
}

// patch changes what a flag publishes.
func (c *cluster) patch(ctx context.Context, name string, i int) error {
	object := &v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: name}}
	change := fmt.Appendf(nil, `{"spec":{"metadata":{"edit":"%d"}}}`, i)
	return c.Patch(ctx, object, client.RawPatch(types.MergePatchType, change))
}

// apply has kubectl apply a file.
func (c *cluster) apply(file string) error {
	user, err := c.controlPlane.AddUser(envtest.User{Name: "bench", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	kubectl, err := user.Kubectl()
	if err != nil {
		return err
	}
	if _, printed, err := kubectl.Run("apply", "-f", file); err != nil {
		said, _ := io.ReadAll(io.LimitReader(printed, 2000))
		return fmt.Errorf("kubectl apply: %w: %s", err, said)
	}
	return nil
}
