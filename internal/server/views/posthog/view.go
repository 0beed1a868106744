// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package posthog is the view of flags in the form of PostHog's API: management of flags in the default environment of
// a project, and what PostHog's clients ask for, definitions to evaluate by themselves and evaluations by the server.
package posthog

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Telemetry remembers what this replica evaluates.
type Telemetry interface {
	// Evaluated remembers the answer that a context got, which it must not change.
	Evaluated(environment *store.Environment, result *evaluate.Result, context map[string]any, now time.Time)
	// LastEvaluated is when a flag was evaluated last, and false where that is not known.
	LastEvaluated(environment *store.Environment, flag string) (time.Time, bool)
	// Sample returns a fair sample of the contexts that were evaluated lately, each of another subject, and how many
	// subjects there were.
	Sample(environment *store.Environment) (contexts []map[string]any, subjects int)
	// Captured counts what clients sent of a kind, event or recording.
	Captured(environment *store.Environment, kind string, count int)
}

// unknown is the telemetry of a server that has none.
type unknown struct{}

// Evaluated forgets.
func (unknown) Evaluated(*store.Environment, *evaluate.Result, map[string]any, time.Time) {}

// LastEvaluated does not know.
func (unknown) LastEvaluated(*store.Environment, string) (time.Time, bool) {
	return time.Time{}, false
}

// Sample is empty.
func (unknown) Sample(*store.Environment) ([]map[string]any, int) { return nil, 0 }

// Captured forgets.
func (unknown) Captured(*store.Environment, string, int) {}

// view serves the operations.
type view struct {
	server    *server.Server
	cluster   *server.Cluster
	store     *store.Store
	history   client.Reader
	telemetry Telemetry
	clock     clock.PassiveClock
	published published
}

// flagsPath is where the flags of a project are.
const flagsPath = "/api/projects/{project_id}/feature_flags"

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
	v := &view{
		server:    deps.Server,
		cluster:   deps.Server.Cluster,
		store:     deps.Datafiles,
		history:   deps.History,
		telemetry: unknown{},
		clock:     deps.Clock,
	}
	if deps.Usage != nil {
		v.telemetry = deps.Usage
	}
	shell := server.NewView(
		deps.Server,
		viewName,
		"Flags in the form of PostHog's API, and what PostHog's clients ask for.",
		"application/json",
		failure,
	)
	shell.TrailingSlash, shell.Around = true, forClients
	v.registerFlags(shell)
	v.registerActions(shell)
	v.registerClients(shell)
	v.registerCapture(shell)
	v.registerPage(shell)
	shell.Serve(patterns...)
	return shell
}

// operation is one of the view, which sees the request itself.
func operation(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id,
		Method:      method,
		Path:        path,
		Summary:     summary,
		Middlewares: huma.Middlewares{withRequest},
	}
}

type requestKey struct{}

// exchange is a request and its answer.
type exchange struct {
	request *http.Request
	writer  http.ResponseWriter
}

// withRequest lets operations see the request itself.
func withRequest(ctx huma.Context, next func(huma.Context)) {
	request, writer := humago.Unwrap(ctx)
	next(huma.WithValue(ctx, requestKey{}, exchange{request, writer}))
}

func exchangeOf(ctx context.Context) exchange {
	found, _ := ctx.Value(requestKey{}).(exchange)
	return found
}

// current is the name of the project that clients use which know none.
const current = "@current"

// Headers choose where the path does not.
type Headers struct {
	Project     string `header:"X-Jackstaff-Project" doc:"The project where the path names none, or @current."`
	Environment string `header:"X-Jackstaff-Environment" doc:"An environment other than the default one."`
}

// Scope is the project of a request.
type Scope struct {
	ProjectID string `path:"project_id" doc:"The project: the name or UID of a namespace, or @current for that of the header, the service account or the server."`
	Headers
}

// place is a project and the environment that a request speaks of.
type place struct {
	project     *server.Project
	environment *v1alpha1.FlagEnvironment
	// served is what is published of the environment, and nil where the store has nothing of it yet.
	served *store.Environment
}

// project finds the project of a request.
func (v *view) project(ctx context.Context, scope *Scope) (*server.Project, error) {
	if scope.ProjectID == current || scope.ProjectID == "" {
		return v.cluster.ProjectOf(ctx, scope.Project)
	}
	return v.cluster.Project(ctx, scope.ProjectID)
}

// place finds the project and environment of a request.
func (v *view) place(ctx context.Context, scope *Scope) (*place, error) {
	project, err := v.project(ctx, scope)
	if err != nil {
		return nil, err
	}
	environment, err := v.cluster.EnvironmentOf(ctx, project, scope.Environment)
	if err != nil {
		return nil, err
	}
	at := &place{project: project, environment: environment}
	if served, found := v.store.Environment(
		environment.Namespace,
		environment.Name,
	); found &&
		served.UID == environment.UID {
		at.served = served
	}
	return at, nil
}

// keyPrefix in front of a key says that it is one, for keys that are words of the API, such as activity.
const keyPrefix = "key:"

// flag finds a flag by the integer that stands for it, or by UID, key or name.
func (v *view) flag(ctx context.Context, project *server.Project, id string) (*v1alpha1.FeatureFlag, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		flag, err := v.cluster.Flag(ctx, project, id)
		refused, is := asRefusal(err)
		if key, has := strings.CutPrefix(id, keyPrefix); has && is && refused.Status == http.StatusNotFound {
			return v.cluster.Flag(ctx, project, key)
		}
		return flag, err
	}
	flags, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, flag := range flags {
		if idOf(flag.UID) == number {
			return flag, nil
		}
	}
	return v.cluster.Flag(ctx, project, id)
}

// flags are those of a project, by key and by id; of several with one key it is the one that holds the key.
func (v *view) flags(ctx context.Context, project *server.Project) (map[string]*v1alpha1.FeatureFlag, error) {
	all, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	return byKey(all), nil
}
