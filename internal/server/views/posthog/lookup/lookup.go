// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lookup finds what a request of PostHog's API speaks of: project, environment and flag. It holds what all its
// operations share, the form of their errors included.
package lookup

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// FlagsPath is where the flags of a project are.
const FlagsPath = "/api/projects/{project_id}/feature_flags"

// Operation is one of the view, which sees the request itself.
func Operation(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id,
		Method:      method,
		Path:        path,
		Summary:     summary,
		Middlewares: huma.Middlewares{withRequest},
	}
}

type requestKey struct{}

// Exchange is a request and its answer.
type Exchange struct {
	Request *http.Request
	Writer  http.ResponseWriter
}

// withRequest lets operations see the request itself.
func withRequest(ctx huma.Context, next func(huma.Context)) {
	request, writer := humago.Unwrap(ctx)
	next(huma.WithValue(ctx, requestKey{}, Exchange{request, writer}))
}

// ExchangeOf is what withRequest put into a context.
func ExchangeOf(ctx context.Context) Exchange {
	found, _ := ctx.Value(requestKey{}).(Exchange)
	return found
}

// CurrentProject is the name of the project that clients use which know none.
const CurrentProject = "@current"

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

// Finder finds what a request speaks of.
type Finder struct {
	Cluster *server.Cluster
	Store   *store.Store
}

// Place is a project and the environment that a request speaks of.
type Place struct {
	Project     *server.Project
	Environment *v1alpha1.FlagEnvironment
	// Served is what is published of the environment, and nil where the store has nothing of it yet.
	Served *store.Environment
}

// Project finds the project of a request.
func (f *Finder) Project(ctx context.Context, scope *Scope) (*server.Project, error) {
	if scope.ProjectID == CurrentProject || scope.ProjectID == "" {
		return f.Cluster.ProjectOf(ctx, scope.Project)
	}
	return f.Cluster.Project(ctx, scope.ProjectID)
}

// Place finds the project and environment of a request.
func (f *Finder) Place(ctx context.Context, scope *Scope) (*Place, error) {
	project, err := f.Project(ctx, scope)
	if err != nil {
		return nil, err
	}
	environment, err := f.Cluster.EnvironmentOf(ctx, project, scope.Environment)
	if err != nil {
		return nil, err
	}
	at := &Place{Project: project, Environment: environment}
	if served, found := f.Store.Environment(
		environment.Namespace,
		environment.Name,
	); found &&
		served.UID == environment.UID {
		at.Served = served
	}
	return at, nil
}

// keyPrefix in front of a key says that it is one, for keys that are words of the API, such as activity.
const keyPrefix = "key:"

// Flag finds a flag by the integer that stands for it, or by UID, key or name.
func (f *Finder) Flag(ctx context.Context, project *server.Project, id string) (*v1alpha1.FeatureFlag, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		flag, err := f.Cluster.Flag(ctx, project, id)
		refused, is := AsRefusal(err)
		if key, has := strings.CutPrefix(id, keyPrefix); has && is && refused.Status == http.StatusNotFound {
			return f.Cluster.Flag(ctx, project, key)
		}
		return flag, err
	}
	flags, err := f.Cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, flag := range flags {
		if IDOf(flag.UID) == number {
			return flag, nil
		}
	}
	return f.Cluster.Flag(ctx, project, id)
}

// Flags are those of a project, by key and by id; of several with one key it is the one that holds the key.
func (f *Finder) Flags(ctx context.Context, project *server.Project) (map[string]*v1alpha1.FeatureFlag, error) {
	all, err := f.Cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	return ByKey(all), nil
}

// FlagScope is the flag of a request.
type FlagScope struct {
	Scope
	ID string `path:"id" doc:"The flag: its id, key, UID or name."`
}

// Find finds flag and environment of a request.
func (f *Finder) Find(ctx context.Context, scope *FlagScope) (*Place, *v1alpha1.FeatureFlag, error) {
	project, err := f.Project(ctx, &scope.Scope)
	if err != nil {
		return nil, nil, err
	}
	flag, err := f.Flag(ctx, project, scope.ID)
	if err != nil {
		return nil, nil, err
	}
	at, err := f.Place(ctx, &scope.Scope)
	return at, flag, err
}

// ByKey are flags by key; of several with one key it is the one that holds the key.
func ByKey(all []*v1alpha1.FeatureFlag) map[string]*v1alpha1.FeatureFlag {
	flags := make(map[string]*v1alpha1.FeatureFlag, len(all))
	for _, flag := range all {
		if other, taken := flags[flag.Key()]; taken {
			flag = validation.Holder(flag, other)
		}
		flags[flag.Key()] = flag
	}
	return flags
}
