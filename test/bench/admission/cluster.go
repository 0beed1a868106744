// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

// patience is how long the operator may take to be ready, and to publish all flags.
const patience = 2 * time.Minute

// webhooks are the shipped ones.
var webhooks = []string{filepath.Join("config", "webhook", "manifests.yaml")}

// cluster is an API server and an administrator's client of it.
type cluster struct {
	client.Client

	controlPlane *envtest.Environment
	kubeconfig   string
}

// clusters are the API servers that are compared: with the operator, with webhooks that admit everything at once, and
// without webhooks.
type clusters struct{ guarded, idle, bare *cluster }

// startAll starts the clusters, all with the same flags in three environments.
func startAll(ctx context.Context, folder string, size int) (all *clusters, stop func(), err error) {
	var stops []func()
	stopAll := func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	defer func() {
		if err != nil { // Whatever the results are by then.
			stopAll()
		}
	}()
	all = &clusters{}
	for _, start := range []struct {
		name     string
		into     **cluster
		webhooks []string
		answer   func(*cluster) (stop func(), err error)
	}{
		{"bare", &all.bare, nil, nil},
		{"idle", &all.idle, webhooks, func(c *cluster) (func(), error) { return c.admitAll(ctx) }},
		{"guarded", &all.guarded, webhooks, func(c *cluster) (func(), error) { return c.operate(ctx, folder) }},
	} {
		started, err := startCluster(filepath.Join(folder, start.name), envtest.WebhookInstallOptions{Paths: start.webhooks})
		if err != nil {
			return nil, nil, err
		}
		stops = append(stops, func() { _ = started.controlPlane.Stop() })
		if start.answer != nil {
			stop, err := start.answer(started)
			if err != nil {
				return nil, nil, err
			}
			stops = append(stops, stop)
		}
		if err := started.fill(ctx, size); err != nil {
			return nil, nil, err
		}
		*start.into = started
	}
	return all, stopAll, all.guarded.settle(ctx, size)
}

// startCluster starts an API server with the Kinds.
func startCluster(kubeconfig string, webhooks envtest.WebhookInstallOptions) (*cluster, error) {
	c := &cluster{kubeconfig: kubeconfig, controlPlane: &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: webhooks,
	}}
	config, err := c.controlPlane.Start()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if c.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	return c, os.WriteFile(kubeconfig, c.controlPlane.KubeConfig, 0o600)
}

// admitAll answers the webhooks by admitting everything, and returns what stops it.
func (c *cluster) admitAll(ctx context.Context) (stop func(), err error) {
	at := c.controlPlane.WebhookInstallOptions
	server := webhook.NewServer(webhook.Options{
		Host: at.LocalServingHost, Port: at.LocalServingPort, CertDir: at.LocalServingCertDir,
	})
	server.Register("/", &admission.Webhook{Handler: admission.HandlerFunc(
		func(context.Context, admission.Request) admission.Response { return admission.Allowed("") },
	)})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Fprintln(os.Stderr, "bench: serve webhooks:", err)
		}
	}
	for started := server.StartedChecker(); started(nil) != nil; time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("serve webhooks: %w", err)
		default:
		}
	}
	return stop, nil
}

// operate runs the manager, and returns what stops it.
func (c *cluster) operate(ctx context.Context, folder string) (stop func(), err error) {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator.Namespace}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "jackstaff-session-key"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "jackstaff-seal"}},
	} {
		if err := c.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	webhooks := c.controlPlane.WebhookInstallOptions
	manager, err := operator.Start(ctx, operator.Options{
		Folder:       folder,
		Kubeconfig:   c.kubeconfig,
		Certificates: webhooks.LocalServingCertDir,
		WebhookPort:  webhooks.LocalServingPort,
		// The goals are for projects larger than the shipped budget.
		Arguments: []string{"--api=false", "--" + budget.ObjectsFlag + "=0", "--" + budget.BytesFlag + "=0"},
	})
	if err != nil {
		return nil, err
	}
	return manager.Stop, manager.WaitReady(ctx, patience)
}

// fill makes the environments and the flags.
func (c *cluster) fill(ctx context.Context, size int) error {
	for _, name := range environments {
		environment := builders.MakeEnvironment(name, project)
		if name == "production" {
			environment.Production()
		}
		if err := c.Create(ctx, environment.Obj()); err != nil {
			return err
		}
	}
	for i := range size {
		if err := c.Create(ctx, makeFlag(i)); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until every flag is served and every status is written.
func (c *cluster) settle(ctx context.Context, size int) error {
	last := &v1alpha1.FeatureFlag{}
	for deadline := time.Now().Add(patience); size > 0; time.Sleep(quiet) {
		if err := c.Get(ctx, client.ObjectKey{Namespace: project, Name: flagName(size - 1)}, last); err != nil {
			return err
		}
		if last.Status.ObservedGeneration == last.Generation {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("the flags are not served in time")
		}
	}
	time.Sleep(4 * quiet)
	return nil
}
