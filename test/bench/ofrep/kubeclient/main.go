// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubeclient is what the Kubernetes client alone takes of memory: it holds in its caches what a replica of the
// manager holds that only serves, and does nothing with it. It writes a line when all of it is there, and ends with its
// standard input.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

func main() {
	flag.Parse() // The package of ctrl.GetConfig defines -kubeconfig.
	if err := run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "kubeclient:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctrl.SetLogger(logr.Discard())
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Cache:   controllers.CacheOptions(),
		Client:  controllers.ClientOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	// The indexes begin the caches of all kinds.
	if err := index.Setup(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	go func() {
		if mgr.GetCache().WaitForCacheSync(ctx) {
			flags := &v1alpha1.FeatureFlagList{}
			err := mgr.GetCache().List(ctx, flags, client.UnsafeDisableDeepCopy)
			fmt.Println(len(flags.Items), err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return mgr.Start(ctx)
}
