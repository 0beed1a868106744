// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package atono shows flags and whether they are on in each environment, as JSON:API documents
// (https://jsonapi.org/format/1.1/).
package atono

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// mediaType is JSON:API's.
const mediaType = "application/vnd.api+json"

// view has what the operations need.
type view struct {
	cluster *server.Cluster
	clock   clock.PassiveClock
}

// New makes the view.
func New(deps server.Deps) *server.View {
	v := &view{cluster: deps.Server.Cluster, clock: deps.Clock}
	shown := server.NewView(
		deps.Server,
		"atono",
		"Flags, and whether they are on in each environment, as JSON:API documents.",
		mediaType,
		envelope,
	)
	server.Register(shown, huma.Operation{
		OperationID: "list-flags", Method: http.MethodGet, Path: "/api/v1/flags", Summary: "List the flags of a project",
	}, v.list)
	server.Register(shown, huma.Operation{
		OperationID: "get-flag",
		Method:      http.MethodGet,
		Path:        "/api/v1/flags/{id}",
		Summary:     "Get a flag with its configuration in each environment",
	}, v.get)
	server.Register(shown, huma.Operation{
		OperationID: "list-environments",
		Method:      http.MethodGet,
		Path:        "/api/v1/flags/{id}/environments",
		Summary:     "Get a flag's configuration in each environment",
	}, v.environments)
	server.Register(shown, huma.Operation{
		OperationID: "get-environment",
		Method:      http.MethodGet,
		Path:        "/api/v1/flags/{id}/environments/{environment}",
		Summary:     "Get a flag's configuration in an environment",
	}, v.environment)
	server.Register(shown, huma.Operation{
		OperationID: "update-environment",
		Method:      http.MethodPatch,
		Path:        "/api/v1/flags/{id}/environments/{environment}",
		Summary:     "Switch a flag on or off in an environment",
		Description: "On serves everybody the variation on, or the first one that is not the flag's default.",
	}, v.configure)
	shown.Serve("/api/v1/flags", "/api/v1/flags/")
	return shown
}

// Errors is how errors are written.
type Errors struct {
	Errors []Problem `json:"errors" nullable:"false"`
}

// Problem is one thing that is wrong.
type Problem struct {
	Status string  `json:"status" doc:"The HTTP status."`
	Title  string  `json:"title" doc:"What the status means."`
	Detail string  `json:"detail" doc:"What is wrong, and what to do."`
	Source *Source `json:"source,omitempty" doc:"What it is about."`
}

// Source says which part of a request is wrong.
type Source struct {
	Pointer   string `json:"pointer,omitempty" doc:"Where in the body (RFC 6901)."`
	Parameter string `json:"parameter,omitempty" doc:"Which query parameter."`
}

func envelope(e *server.Error) *Errors {
	problem := Problem{Status: strconv.Itoa(e.Status), Title: http.StatusText(e.Status), Detail: e.Message}
	if len(e.Fields) == 0 {
		return &Errors{Errors: []Problem{problem}}
	}
	shown := &Errors{}
	for _, field := range e.Fields {
		problem.Detail = e.Message + ": " + field.Message
		problem.Source = sourceOf(e.Status, field.Field)
		shown.Errors = append(shown.Errors, problem)
	}
	return shown
}

// sourceOf is what a field is: one of the body where a rule is broken, else a parameter, because a body that cannot be
// read has no fields.
func sourceOf(status int, field string) *Source {
	switch {
	case field == "body":
		return nil
	case status == http.StatusBadRequest:
		return &Source{Parameter: field}
	default:
		return &Source{Pointer: "/" + pointers.Replace(field)}
	}
}

var pointers = strings.NewReplacer(".", "/", "[", "/", "]", "")

// checkMediaType refuses what is no JSON:API document: other media types, and parameters that JSON:API does not know.
func checkMediaType(contentType string) error {
	sent, parameters, err := mime.ParseMediaType(contentType)
	if err == nil && sent == mediaType {
		delete(parameters, "ext")
		delete(parameters, "profile")
		if len(parameters) == 0 {
			return nil
		}
	}
	return server.Errorf(http.StatusUnsupportedMediaType, "the body must be %s, without parameters", mediaType)
}
