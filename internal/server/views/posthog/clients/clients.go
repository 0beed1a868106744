// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clients answers PostHog's clients: definitions to evaluate by themselves, evaluations by the server, the
// configuration of pages, and the events that they send.
package clients

import (
	"net/http"

	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// Clients answer what PostHog's clients ask for.
type Clients struct {
	*lookup.Finder

	server    *server.Server
	Telemetry Telemetry
	clock     clock.PassiveClock
	Published Published
}

// New makes them. Without Deps.Usage, when and for whom flags were evaluated is not known.
func New(deps *server.Deps, find *lookup.Finder) *Clients {
	c := &Clients{Finder: find, server: deps.Server, Telemetry: unknown{}, clock: deps.Clock}
	if deps.Usage != nil {
		c.Telemetry = deps.Usage
	}
	return c
}

// Register adds the operations of clients to the view.
func (c *Clients) Register(shell *server.View) {
	c.registerEvaluation(shell)
	c.registerCapture(shell)
	c.registerPage(shell)
}

func (c *Clients) registerEvaluation(shell *server.View) {
	const define = "Definitions of flags, for clients that evaluate"
	server.Register(
		shell,
		server.LimitsItself(server.Public(lookup.Operation("definitions", http.MethodGet, "/flags/definitions", define))),
		c.definitions,
	)
	server.Register(
		shell,
		server.LimitsItself(
			server.Public(
				lookup.Operation("old-local-evaluation", http.MethodGet, "/api/feature_flag/local_evaluation", define),
			),
		),
		c.definitions,
	)
	server.Register(
		shell,
		server.LimitsItself(
			server.Public(lookup.Operation("local-evaluation", http.MethodGet, lookup.FlagsPath+"/local_evaluation", define)),
		),
		c.localEvaluation,
	)
	for id, path := range map[string]string{"evaluate": "/flags", "decide": "/decide"} {
		server.Register(
			shell,
			server.LimitsItself(server.Public(lookup.Operation(id, http.MethodPost, path, "Evaluate flags"))),
			c.evaluate(path),
		)
	}
	server.Register(
		shell,
		server.LimitsItself(server.Public(
			lookup.Operation(
				"remote-config",
				http.MethodGet,
				lookup.FlagsPath+"/{id}/remote_config",
				"The payload of a remote configuration",
			),
		)),
		c.remoteConfig,
	)
	server.Register(
		shell,
		lookup.Operation(
			"evaluation-reasons",
			http.MethodGet,
			lookup.FlagsPath+"/evaluation_reasons",
			"What each flag is for somebody, and why",
		),
		c.evaluationReasons,
	)
}
