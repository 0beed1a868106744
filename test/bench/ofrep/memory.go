// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

const (
	// settled is how long a process has to give back what it took to start.
	settled = 20 * time.Second
	// patience is how long anything may take.
	patience = 5 * time.Minute
)

// compareMemory runs the manager's binary, first with everything in one process, then as a replica that only serves,
// and the Kubernetes client of that replica alone.
func compareMemory(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "ofrep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := operator.Build(ctx, folder, "./test/bench/ofrep/kubeclient"); err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 17, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "resident MiB\tflags\tall\tat most\tthe client\tthe rest\t")
	for _, count := range []int{0, 100, 10_000} {
		measured, err := measureMemory(ctx, folder, count)
		if err != nil {
			return fmt.Errorf("%d flags: %w", count, err)
		}
		for i, name := range []string{"manager", "serving replica"} {
			kubeClient := measured[2].Resident
			fmt.Fprintf(
				table,
				"%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t\n",
				name,
				count,
				measured[i].Resident,
				measured[i].Most,
				kubeClient,
				measured[i].Resident-kubeClient,
			)
		}
		// What takes minutes is shown as it comes.
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// measureMemory measures a manager, a replica that only serves, and the Kubernetes client alone, with so many flags.
func measureMemory(ctx context.Context, folder string, count int) (measured [3]operator.Memory, err error) {
	controlPlane := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := controlPlane.Start()
	if err != nil {
		return measured, err
	}
	defer func() { _ = controlPlane.Stop() }()
	config.QPS = -1
	scheme := k8sruntime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return measured, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return measured, err
	}
	cluster, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return measured, err
	}
	if err := fill(ctx, cluster, count); err != nil {
		return measured, err
	}
	kubeconfig := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(kubeconfig, controlPlane.KubeConfig, 0o600); err != nil {
		return measured, err
	}
	webhooks := envtest.WebhookInstallOptions{}
	if err := webhooks.PrepWithoutInstalling(); err != nil {
		return measured, err
	}
	defer func() { _ = webhooks.Cleanup() }()
	for i, more := range [][]string{nil, {"--controllers=false"}} {
		if measured[i], err = holdFlags(ctx, cluster, count, operator.Options{
			Folder: folder, Kubeconfig: kubeconfig, Certificates: webhooks.LocalServingCertDir, Arguments: more,
		}); err != nil {
			return measured, err
		}
	}
	measured[2], err = holdCaches(ctx, filepath.Join(folder, "kubeclient"), "--kubeconfig="+kubeconfig)
	return measured, err
}

// holdCaches runs the Kubernetes client alone until its caches have everything, and lets it settle.
func holdCaches(ctx context.Context, program string, arguments ...string) (operator.Memory, error) {
	p, err := start(ctx, program, arguments...)
	if err != nil {
		return operator.Memory{}, err
	}
	defer p.stdin.Close()
	time.Sleep(settled)
	return operator.MemoryOf(p.id)
}

// fill makes an environment and flags of different kinds.
func fill(ctx context.Context, cluster client.Client, count int) error {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator.Namespace}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "jackstaff-session-key"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "jackstaff-seal"}},
		builders.MakeEnvironment("production", "default").Defaulted().Obj(),
	}
	for _, object := range objects {
		if err := cluster.Create(ctx, object); err != nil {
			return err
		}
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	creators := sync.WaitGroup{}
	for range 8 {
		creators.Go(func() {
			for i := next.Add(1); i <= int64(count) && failed.Load() == nil; i = next.Add(1) {
				if err := cluster.Create(ctx, makeFlag(i)); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	creators.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func makeFlag(i int64) *v1alpha1.FeatureFlag {
	flag := builders.MakeFlag(fmt.Sprintf("flag-%05d", i), "default").Boolean().Environment("production")
	switch i % 3 {
	case 1:
		flag.Rule(builders.MakeRule("plan").Condition("plan", v1alpha1.OperatorIn, "beta", "enterprise").Serve("on"))
	case 2:
		flag.Rule(builders.MakeRule("half").Split("on", 50).Split("off", 50))
	}
	return flag.Defaulted().Obj()
}

// holdFlags runs a manager until all flags are published and it is ready, and lets it settle.
func holdFlags(
	ctx context.Context,
	cluster client.Client,
	count int,
	options operator.Options,
) (operator.Memory, error) {
	manager, err := operator.Start(ctx, options)
	if err != nil {
		return operator.Memory{}, err
	}
	defer manager.Stop()
	err = wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		environment := &v1alpha1.FlagEnvironment{}
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: "default", Name: "production"}, environment); err != nil {
			return false, err
		}
		published := environment.Status.PublishedRevision > 0 &&
			environment.Status.Flags == v1alpha1.FlagCounts{Total: int32(count)}
		return published && manager.IsReady(ctx), nil
	})
	if err != nil {
		return operator.Memory{}, fmt.Errorf("wait for the flags: %w: %s", err, manager.Log())
	}
	time.Sleep(settled)
	return manager.Memory()
}
