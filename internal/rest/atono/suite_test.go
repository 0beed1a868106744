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

	"github.com/jackstaff-dev/jackstaff/internal/rest"
	"github.com/jackstaff-dev/jackstaff/internal/rest/atono"
	"github.com/jackstaff-dev/jackstaff/internal/rest/phaseflag"
	"github.com/jackstaff-dev/jackstaff/internal/rest/resttest"
	"github.com/jackstaff-dev/jackstaff/internal/serving"
	"github.com/jackstaff-dev/jackstaff/internal/telemetry"
)

func TestAtono(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View atono")
}

var world *resttest.World

// The view shares its paths with phaseflag's.
var _ = BeforeSuite(func() {
	world = resttest.Start(rest.Options{}, func(mgr ctrl.Manager, server *rest.Server) error {
		counter, err := telemetry.New(clock.RealClock{}, prometheus.NewRegistry())
		if err != nil {
			return err
		}
		other := phaseflag.New(server, serving.NewStore(), counter, mgr.GetClient(), clock.RealClock{})
		server.MountByQuery("environment_id", other, atono.New(server, clock.RealClock{}), "/api/v1/flags", "/api/v1/flags/")
		server.Mount(other, "/api/v1/evaluate")
		return nil
	})
})
