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

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/phaseflag"
)

func TestPhaseflag(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View phaseflag")
}

var (
	world     *servertest.World
	counted   *usage.Recorder
	datafiles = store.NewStore()
)

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		if err := datafiles.SetupWithManager(mgr); err != nil {
			return err
		}
		var err error
		if counted, err = usage.New(clock.RealClock{}, prometheus.NewRegistry()); err != nil {
			return err
		}
		srv.Mount(phaseflag.New(server.Deps{
			Server: srv, Datafiles: datafiles, Usage: counted, History: mgr.GetClient(), Clock: clock.RealClock{},
		}))
		return nil
	})
})

// impersonate reaches the API server as somebody who may do everything.
func impersonate(name string) *k8srest.Config {
	config := k8srest.CopyConfig(world.Config)
	config.Impersonate = k8srest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}}
	return config
}
