// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package atono_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/atono"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/phaseflag"
)

func TestAtono(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View atono")
}

var world *servertest.World

// The view shares its paths with phaseflag's.
var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		counter, err := usage.New(clock.RealClock{}, prometheus.NewRegistry())
		if err != nil {
			return err
		}
		deps := server.Deps{
			Server: srv, Datafiles: store.NewStore(), Usage: counter, History: mgr.GetClient(), Clock: clock.RealClock{},
		}
		srv.Mount(atono.New(deps), phaseflag.New(deps))
		return nil
	})
})
