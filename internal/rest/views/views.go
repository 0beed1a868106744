// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package views puts everything that is served on the REST server.
package views

import (
	"errors"
	"fmt"
	"net/http"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/jackstaff-dev/jackstaff/internal/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/rest"
	"github.com/jackstaff-dev/jackstaff/internal/rest/atono"
	"github.com/jackstaff-dev/jackstaff/internal/rest/avsb"
	"github.com/jackstaff-dev/jackstaff/internal/rest/flagmint"
	"github.com/jackstaff-dev/jackstaff/internal/rest/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/rest/phaseflag"
	"github.com/jackstaff-dev/jackstaff/internal/rest/posthog"
	"github.com/jackstaff-dev/jackstaff/internal/rest/sdk"
	"github.com/jackstaff-dev/jackstaff/internal/serving"
	"github.com/jackstaff-dev/jackstaff/internal/telemetry"
)

// Mount adds every view to server, and to mgr what they stand on.
func Mount(mgr ctrl.Manager, server *rest.Server) error {
	store := serving.NewStore()
	if err := store.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("follow datafiles: %w", err)
	}
	if err := mgr.AddReadyzCheck("datafiles", func(*http.Request) error {
		if !store.Synced() {
			return errors.New("not all datafiles were read yet")
		}
		return nil
	}); err != nil {
		return fmt.Errorf("set up probes: %w", err)
	}
	evaluations, err := telemetry.New(clock.RealClock{}, metrics.Registry)
	if err != nil {
		return err
	}
	heartbeats := heartbeat.New(mgr.GetClient(), mgr.GetAPIReader(), clock.RealClock{})
	if err := mgr.Add(heartbeats); err != nil {
		return fmt.Errorf("gather heartbeats: %w", err)
	}
	avsb.Mount(server, store, heartbeats, clock.RealClock{})
	flags := phaseflag.New(server, store, evaluations, mgr.GetClient(), clock.RealClock{})
	server.MountByQuery("environment_id", flags, atono.New(server, clock.RealClock{}), "/api/v1/flags", "/api/v1/flags/")
	server.Mount(flags, "/api/v1/evaluate")
	server.Mount(flagmint.New(server), "/projects/")
	server.Mount(posthog.New(server, store, mgr.GetClient(), evaluations, clock.RealClock{}), posthog.Patterns...)
	ofrep.Mount(server, store, evaluations, clock.RealClock{})
	byKey := sdk.NewHandler(store, clock.RealClock{}, server.LimitAddress)
	server.Handle("/api/sdk/datafile/", byKey)
	server.Handle("/api/sdk/stream/", server.Stream(byKey))
	return nil
}
