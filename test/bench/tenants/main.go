// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command tenants measures what one namespace costs the others: the memory of a manager that starts on namespaces which
// somebody has filled as far as the API server let him, how long a neighbour's edit and brake take while such a
// namespace is written without a pause, how long a neighbour's evaluations take beside costly ones, and what memory
// clients take that earn nothing. The manager is a process of its own, on a control plane of its own, without
// webhooks, so that nothing is refused. KUBEBUILDER_ASSETS names the directory of etcd and kube-apiserver.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

const (
	// shippedLimit is the memory limit of the manager's container, in MiB, in config/manager and the chart.
	shippedLimit = 1024
	// readyGoal is how long a start may take.
	readyGoal = 30 * time.Second
)

// crowd is what somebody has filled a namespace with.
type crowd struct {
	environments, flags, audiences, members int
	// payload is how many bytes of text that compresses well a variation of each flag carries.
	payload int
}

// compressible is a crowd whose flags take 28 MB in each environment and little in a ConfigMap.
var compressible = crowd{environments: 40, flags: 40, payload: 700_000}

func main() {
	ctrl.SetLogger(logr.Discard())
	parts := flag.String("parts", "memory,compressible,fairness,evaluating,attacks", "what is measured")
	namespaces := flag.String(
		"namespaces",
		"1,10",
		"how many filled namespaces there are, one run of the part memory each",
	)
	edits := flag.Int("edits", 100, "how many edits and brakes are measured")
	var filled crowd
	flag.IntVar(&filled.environments, "environments", 101, "how many environments a filled namespace has")
	flag.IntVar(&filled.flags, "flags", 150, "how many flags")
	flag.IntVar(&filled.audiences, "audiences", 30, "how many audiences that no flag refers to")
	flag.IntVar(&filled.members, "members", 20_000, "how many members each of them has")
	flag.IntVar(
		&filled.payload,
		"payload",
		0,
		"how many bytes of text that compresses well a variation of each flag carries",
	)
	unbounded := flag.Bool("unbounded", false, "run the manager without budgets")
	flag.Parse()
	if err := run(context.Background(), *parts, *namespaces, *edits, filled, *unbounded); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, parts, namespaces string, edits int, filled crowd, unbounded bool) error {
	fmt.Printf("%s/%s, %d processors, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	folder, err := os.MkdirTemp("", "tenants-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := operator.Build(ctx, folder); err != nil {
		return err
	}
	var over []string
	if strings.Contains(parts, "memory") {
		for text := range strings.SplitSeq(namespaces, ",") {
			count, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("-namespaces: %w", err)
			}
			missed, err := measureMemory(ctx, folder, count, filled, unbounded)
			if err != nil {
				return fmt.Errorf("%d namespaces: %w", count, err)
			}
			over = append(over, missed...)
		}
	}
	if strings.Contains(parts, "compressible") {
		missed, err := measureMemory(ctx, folder, 1, compressible, unbounded)
		if err != nil {
			return fmt.Errorf("flags that compress well: %w", err)
		}
		over = append(over, missed...)
	}
	if strings.Contains(parts, "fairness") {
		missed, err := measureFairness(ctx, folder, filled, edits)
		if err != nil {
			return err
		}
		over = append(over, missed...)
	}
	missed, err := measureServing(ctx, folder, strings.Split(parts, ","))
	if err != nil {
		return err
	}
	for _, goal := range append(over, missed...) {
		fmt.Println("OVER ITS GOAL:", goal)
	}
	return nil
}

// bench is a control plane and how to reach it.
type bench struct {
	client.WithWatch

	controlPlane *envtest.Environment
	kubeconfig   string
	certificates string
}

func newBench(ctx context.Context, folder string) (*bench, error) {
	b := &bench{controlPlane: &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}}
	config, err := b.controlPlane.Start()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if b.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	b.kubeconfig = filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(b.kubeconfig, b.controlPlane.KubeConfig, 0o600); err != nil {
		return nil, err
	}
	webhooks := envtest.WebhookInstallOptions{}
	if err := webhooks.PrepWithoutInstalling(); err != nil {
		return nil, err
	}
	b.certificates = webhooks.LocalServingCertDir
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator.Namespace}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "jackstaff-session-key"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "jackstaff-seal"}},
	} {
		if err := b.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// stop ends the control plane.
func (b *bench) stop() { _ = b.controlPlane.Stop() }

// fill makes a namespace and fills it.
func (b *bench) fill(ctx context.Context, namespace string, with crowd) error {
	if err := b.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	var objects []func() client.Object
	for i := range with.environments {
		objects = append(objects, func() client.Object {
			return builders.MakeEnvironment(environmentName(i), namespace).Defaulted().Obj()
		})
	}
	for i := range with.flags {
		objects = append(objects, func() client.Object { return makeFlag(namespace, i, with) })
	}
	for i := range with.audiences {
		objects = append(objects, func() client.Object {
			members := make([]string, with.members)
			for j := range members {
				members[j] = fmt.Sprintf("user-%05d-%03d", j, i)
			}
			return builders.MakeAudience(fmt.Sprintf("audience-%02d", i), namespace).Members(members...).Obj()
		})
	}
	return inParallel(8, len(objects), func(i int) error { return b.Create(ctx, objects[i]()) })
}

func environmentName(i int) string { return fmt.Sprintf("env-%03d", i) }

// maxEnvironments is how many environments a flag may name.
const maxEnvironments = 50

// makeFlag returns a flag that is on in as many environments as it may name, with a rule that differs a little from one
// to the next.
func makeFlag(namespace string, i int, with crowd) *v1alpha1.FeatureFlag {
	flag := builders.MakeFlag(fmt.Sprintf("flag-%05d", i), namespace).Boolean()
	for e := range min(with.environments, maxEnvironments) {
		flag = flag.Environment(environmentName(e)).Rule(builders.MakeRule("plan").
			Condition("plan", v1alpha1.OperatorIn, "beta", environmentName(e)).Serve("on"))
	}
	made := flag.Defaulted().Obj()
	if with.payload > 0 {
		made.Spec.Variations[0].Payload = &v1alpha1.JSON{Raw: []byte(`"` + strings.Repeat("a", with.payload) + `"`)}
	}
	return made
}

func inParallel(workers, n int, do func(i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failures[worker] == nil; i = int(next.Add(1)) - 1 {
				failures[worker] = do(i)
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}
