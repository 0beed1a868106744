// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"net/http"
	"slices"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
)

// Deps are what views are made of. Each view's package has a function New(Deps) *View, and takes what it needs.
type Deps struct {
	// Server is the server that the view is for. A view is served once Server.Mount has got it.
	Server *Server
	// Datafiles are the published revisions and the SDK keys that this replica knows.
	Datafiles *store.Store
	// Usage counts evaluations, and remembers when and for whom flags were evaluated.
	Usage *usage.Recorder
	// Heartbeats collects what SDKs say of themselves.
	Heartbeats *heartbeat.Gatherer
	// History reads the records of changes.
	History client.Reader
	// Clock is the time.
	Clock clock.PassiveClock
}

// route is a pattern that a view serves.
type route struct {
	// view is the name of the view.
	view string
	// pattern is one of http.ServeMux.
	pattern string
	// parameter is the query parameter that a request of this view has, and empty where every request is.
	parameter string
	handler   http.Handler
}

// Serve says under which patterns, such as /api/orgs/, the view is served.
func (v *View) Serve(patterns ...string) { v.ServeBy("", patterns...) }

// ServeBy says under which patterns the view is served, and by which query parameter its requests are told from those
// of another view under the same pattern.
func (v *View) ServeBy(parameter string, patterns ...string) {
	for _, pattern := range patterns {
		v.routes = append(v.routes, route{pattern: pattern, parameter: parameter, handler: v})
	}
}

// ServeWith says that handler, which calls the view, serves a pattern.
func (v *View) ServeWith(handler http.Handler, pattern string) {
	v.routes = append(v.routes, route{pattern: pattern, handler: handler})
}

// Mount adds views, each under its own patterns, and to the OpenAPI document. Start fails where two views serve the
// same.
func (s *Server) Mount(views ...*View) {
	for _, view := range views {
		s.views = append(s.views, view)
		for _, added := range view.routes {
			added.view = view.Name
			s.mount(added)
		}
	}
}

// mount adds a route. Under a pattern that several views have, those with a query parameter are asked first.
func (s *Server) mount(added route) {
	routes, shared := s.routes[added.pattern]
	if shared && slices.ContainsFunc(routes, func(other route) bool { return other.parameter == added.parameter }) {
		s.mistakes = append(s.mistakes, fmt.Errorf("two views serve %s", added.pattern))
		return
	}
	routes = append(routes, added)
	slices.SortFunc(routes, func(a, b route) int { return len(b.parameter) - len(a.parameter) })
	s.routes[added.pattern] = routes
	if !shared {
		s.mux.HandleFunc(
			added.pattern,
			func(w http.ResponseWriter, r *http.Request) { s.choose(added.pattern, r).ServeHTTP(w, r) },
		)
	}
}

// choose is the handler of a request under a pattern. A request without any of the parameters is for the last route.
func (s *Server) choose(pattern string, r *http.Request) http.Handler {
	routes := s.routes[pattern]
	chosen := routes[len(routes)-1]
	for _, candidate := range routes {
		if candidate.parameter != "" && r.URL.Query().Has(candidate.parameter) {
			chosen = candidate
			break
		}
	}
	ofView(r.Context(), chosen.view)
	return chosen.handler
}
