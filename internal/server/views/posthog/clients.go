// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"net/http"

	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// clients answer what PostHog's clients ask for.
type clients struct {
	*finder

	server    *server.Server
	telemetry Telemetry
	clock     clock.PassiveClock
	published published
}

// newClients makes them. Without Deps.Usage, when and for whom flags were evaluated is not known.
func newClients(deps *server.Deps, find *finder) *clients {
	c := &clients{finder: find, server: deps.Server, telemetry: unknown{}, clock: deps.Clock}
	if deps.Usage != nil {
		c.telemetry = deps.Usage
	}
	return c
}

// register adds the operations of clients to the view.
func (c *clients) register(shell *server.View) {
	c.registerEvaluation(shell)
	c.registerCapture(shell)
	c.registerPage(shell)
}

func (c *clients) registerEvaluation(shell *server.View) {
	const define = "Definitions of flags, for clients that evaluate"
	server.Register(
		shell,
		server.LimitsItself(server.Public(operation("definitions", http.MethodGet, "/flags/definitions", define))),
		c.definitions,
	)
	server.Register(
		shell,
		server.LimitsItself(
			server.Public(operation("old-local-evaluation", http.MethodGet, "/api/feature_flag/local_evaluation", define)),
		),
		c.definitions,
	)
	server.Register(
		shell,
		server.LimitsItself(
			server.Public(operation("local-evaluation", http.MethodGet, flagsPath+"/local_evaluation", define)),
		),
		c.localEvaluation,
	)
	for id, path := range map[string]string{"evaluate": "/flags", "decide": "/decide"} {
		server.Register(
			shell,
			server.LimitsItself(server.Public(operation(id, http.MethodPost, path, "Evaluate flags"))),
			c.evaluate(path),
		)
	}
	server.Register(
		shell,
		server.LimitsItself(server.Public(
			operation("remote-config", http.MethodGet, flagsPath+"/{id}/remote_config", "The payload of a remote configuration"),
		)),
		c.remoteConfig,
	)
	server.Register(
		shell,
		operation(
			"evaluation-reasons",
			http.MethodGet,
			flagsPath+"/evaluation_reasons",
			"What each flag is for somebody, and why",
		),
		c.evaluationReasons,
	)
}
