// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package posthog is the view of flags in the form of PostHog's API: management of flags in the default environment of
// a project, and what PostHog's clients ask for, definitions to evaluate by themselves and evaluations by the server.
package posthog

import (
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/clients"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// view serves the operations.
type view struct {
	*lookup.Finder

	server    *server.Server
	clients   *clients.Clients
	history   client.Reader
	telemetry clients.Telemetry
	clock     clock.PassiveClock
}

// patterns are those under which the view is served.
var patterns = []string{
	"/api/projects/",
	"/api/feature_flag/local_evaluation",
	"/api/feature_flag/local_evaluation/",
	"/flags",
	"/flags/",
	"/decide",
	"/decide/",
	"/array/",
	"/batch",
	"/batch/",
	"/capture",
	"/capture/",
	"/track",
	"/track/",
	"/engage",
	"/engage/",
	"/e",
	"/e/",
	"/i/v0/e",
	"/i/v0/e/",
	"/s",
	"/s/",
}

// New makes the view. Without Deps.Usage, when and for whom flags were evaluated is not known.
func New(deps server.Deps) *server.View {
	find := &lookup.Finder{Cluster: deps.Server.Cluster, Store: deps.Datafiles}
	asked := clients.New(&deps, find)
	v := &view{
		Finder: find, server: deps.Server, clients: asked, history: deps.History, telemetry: asked.Telemetry,
		clock: deps.Clock,
	}
	shell := server.NewView(
		deps.Server,
		filters.ViewName,
		"Flags in the form of PostHog's API, and what PostHog's clients ask for.",
		"application/json",
		lookup.NewFailure,
	)
	shell.TrailingSlash, shell.Around, shell.Words = true, clients.ForClients, filters.Words()
	v.registerFlags(shell)
	v.registerActions(shell)
	asked.Register(shell)
	shell.Serve(patterns...)
	return shell
}
