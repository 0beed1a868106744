// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/jackstaff-dev/jackstaff/internal/metrics"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/flagd"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/server/sdk"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/atono"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/avsb"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/flagmint"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/phaseflag"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog"
)

// Mount adds every view to server, and to mgr what they stand on. Datafiles are served that bear the seal.
func Mount(mgr ctrl.Manager, srv *server.Server, seal *ownership.Seal) error {
	datafiles := store.NewStore()
	datafiles.Seal = seal
	if err := datafiles.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("follow datafiles: %w", err)
	}
	if err := mgr.AddReadyzCheck("datafiles", func(*http.Request) error {
		if !datafiles.Synced() {
			return errors.New("not all datafiles were read yet")
		}
		return nil
	}); err != nil {
		return fmt.Errorf("set up probes: %w", err)
	}
	evaluations, err := usage.New(clock.RealClock{}, ctrlmetrics.Registry)
	if err != nil {
		return err
	}
	if err := mgr.Add(&metrics.Served{
		Registerer: ctrlmetrics.Registry, Collectors: []prometheus.Collector{metrics.StreamClients(srv.Streams)},
	}); err != nil {
		return fmt.Errorf("count streams: %w", err)
	}
	heartbeats := heartbeat.New(mgr.GetClient(), mgr.GetAPIReader(), clock.RealClock{})
	if err := mgr.Add(heartbeats); err != nil {
		return fmt.Errorf("gather heartbeats: %w", err)
	}
	deps := server.Deps{
		Server:     srv,
		Datafiles:  datafiles,
		Usage:      evaluations,
		Heartbeats: heartbeats,
		History:    mgr.GetClient(),
		Clock:      clock.RealClock{},
	}
	srv.Mount(
		avsb.New(deps),
		phaseflag.New(deps),
		atono.New(deps),
		flagmint.New(deps),
		posthog.New(deps),
	)
	ofrep.Mount(srv, datafiles, evaluations, clock.RealClock{})
	flagd.Mount(srv, datafiles, evaluations, clock.RealClock{})
	byKey := sdk.NewHandler(datafiles, clock.RealClock{}, srv.LimitAddress)
	srv.Handle("/api/sdk/datafile/", byKey)
	srv.Handle("/api/sdk/stream/", srv.Stream(byKey))
	return nil
}
