// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package phaseflag shows the flags of one environment at a time, which every request names in the query parameter
// environment_id.
package phaseflag

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// view has what the operations need.
type view struct {
	server  *server.Server
	cluster *server.Cluster
	store   *store.Store
	counter *usage.Recorder
	history client.Reader
	clock   clock.PassiveClock
}

// New makes the view. Where another view has the same paths, requests with environment_id are this view's.
func New(deps server.Deps) *server.View {
	v := &view{
		server:  deps.Server,
		cluster: deps.Server.Cluster,
		store:   deps.Datafiles,
		counter: deps.Usage,
		history: deps.History,
		clock:   deps.Clock,
	}
	shown := server.NewView(
		deps.Server,
		"phaseflag",
		"The flags of one environment, with targeting rules, history and evaluation.",
		"application/json",
		envelope,
	)
	server.Register(shown, huma.Operation{
		OperationID: "list-flags", Method: http.MethodGet, Path: "/api/v1/flags", Summary: "List the flags of an environment",
	}, v.list)
	server.Register(shown, huma.Operation{
		OperationID:   "create-flag",
		Method:        http.MethodPost,
		Path:          "/api/v1/flags",
		DefaultStatus: http.StatusCreated,
		Summary:       "Create a flag",
		Description:   "The flag is disabled in the environment.",
	}, v.create)
	server.Register(shown, huma.Operation{
		OperationID: "get-flag",
		Method:      http.MethodGet,
		Path:        "/api/v1/flags/{id}",
		Summary:     "Get a flag with its targeting rules",
	}, v.get)
	server.Register(shown, huma.Operation{
		OperationID: "update-flag",
		Method:      http.MethodPut,
		Path:        "/api/v1/flags/{id}",
		Summary:     "Update a flag",
		Description: "What the body leaves out stays. Rules are replaced by those that are given, matched by id, then " +
			"name, then place.",
	}, v.update)
	server.Register(shown, huma.Operation{
		OperationID:   "archive-flag",
		Method:        http.MethodDelete,
		Path:          "/api/v1/flags/{id}",
		DefaultStatus: http.StatusNoContent,
		Summary:       "Archive a flag",
		Description:   "PUT with archived: false restores it.",
	}, v.archive)
	server.Register(shown, huma.Operation{
		OperationID: "toggle-flag",
		Method:      http.MethodPost,
		Path:        "/api/v1/flags/{id}/toggle",
		Summary:     "Enable or disable a flag",
	}, v.toggle)
	server.Register(shown, huma.Operation{
		OperationID: "flag-history",
		Method:      http.MethodGet,
		Path:        "/api/v1/flags/{id}/history",
		Summary:     "Get the history of a flag, newest first",
	}, v.changes)
	server.Register(shown, huma.Operation{
		OperationID: "evaluate",
		Method:      http.MethodPost,
		Path:        "/api/v1/evaluate",
		Summary:     "Evaluate flags as they are published",
		Description: "Without environment_id it is the environment of the headers, else the project's default environment.",
	}, v.evaluate)
	shown.Words = words()
	shown.ServeBy("environment_id", "/api/v1/flags", "/api/v1/flags/")
	shown.Serve("/api/v1/evaluate")
	return shown
}

// ErrorBody is how errors are written.
type ErrorBody struct {
	Error ErrorDetails `json:"error"`
}

// ErrorDetails say what is wrong.
type ErrorDetails struct {
	Code    string              `json:"code" doc:"The status in words, such as not_found."`
	Message string              `json:"message" doc:"What is wrong, and what to do."`
	Details []server.FieldError `json:"details" nullable:"false" doc:"The fields that are wrong."`
}

func envelope(e *server.Error) *ErrorBody {
	code := strings.ReplaceAll(strings.ToLower(http.StatusText(e.Status)), " ", "_")
	return &ErrorBody{
		Error: ErrorDetails{Code: code, Message: e.Text(), Details: append([]server.FieldError{}, e.Fields...)},
	}
}

// Scope is the environment that a request speaks of.
type Scope struct {
	EnvironmentID string `query:"environment_id" required:"true" minLength:"1" doc:"The environment: a UID, or <project>.<name>."`
}

// FlagScope is the flag that a request speaks of.
type FlagScope struct {
	Scope
	ID string `path:"id" doc:"The flag: a UID, key or name."`
}

// find finds the flag and the environment.
func (v *view) find(ctx context.Context, scope FlagScope) (*v1alpha1.FeatureFlag, *v1alpha1.FlagEnvironment, error) {
	project, environment, err := v.cluster.EnvironmentAnywhere(ctx, scope.EnvironmentID)
	if err != nil {
		return nil, nil, err
	}
	flag, err := v.cluster.Flag(ctx, project, scope.ID)
	return flag, environment, err
}

// Paging is the part of a list that a request asks for.
type Paging struct {
	Page    int `query:"page" minimum:"1" default:"1" doc:"The page."`
	PerPage int `query:"per_page" minimum:"1" maximum:"200" default:"50" doc:"How many there are on a page."`
}

// Meta says which part of a list an answer is.
type Meta struct {
	Page    int `json:"page"`
	PerPage int `json:"per_page"`
	Total   int `json:"total" doc:"How many there are on all pages."`
}

// slice cuts out the page of a list.
func slice[T any](all []T, paging Paging) ([]T, Meta) {
	pages := (len(all) + paging.PerPage - 1) / paging.PerPage
	begin := min(min(paging.Page-1, pages)*paging.PerPage, len(all))
	end := min(begin+paging.PerPage, len(all))
	return all[begin:end], Meta{Page: paging.Page, PerPage: paging.PerPage, Total: len(all)}
}
