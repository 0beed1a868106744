// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	k8srest "k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/internal/rest"
	"github.com/jackstaff-dev/jackstaff/internal/rest/phaseflag"
	"github.com/jackstaff-dev/jackstaff/internal/rest/resttest"
	"github.com/jackstaff-dev/jackstaff/internal/serving"
	"github.com/jackstaff-dev/jackstaff/internal/telemetry"
)

func TestPhaseflag(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View phaseflag")
}

var (
	world   *resttest.World
	counted *telemetry.Recorder
	store   = serving.NewStore()
)

var _ = BeforeSuite(func() {
	world = resttest.Start(rest.Options{}, func(mgr ctrl.Manager, server *rest.Server) error {
		if err := store.SetupWithManager(mgr); err != nil {
			return err
		}
		var err error
		if counted, err = telemetry.New(clock.RealClock{}, prometheus.NewRegistry()); err != nil {
			return err
		}
		view := phaseflag.New(server, store, counted, mgr.GetClient(), clock.RealClock{})
		server.Mount(view, "/api/v1/flags", "/api/v1/flags/")
		server.Mount(view, "/api/v1/evaluate")
		return nil
	})
})

// impersonate reaches the API server as somebody who may do everything.
func impersonate(name string) *k8srest.Config {
	config := k8srest.CopyConfig(world.Config)
	config.Impersonate = k8srest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}}
	return config
}
