// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

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

// flagsPath is where the flags of a project are.
const flagsPath = "/api/projects/{project_id}/feature_flags"

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

// finder finds what a request speaks of.
type finder struct {
	cluster *server.Cluster
	store   *store.Store
}

// place is a project and the environment that a request speaks of.
type place struct {
	project     *server.Project
	environment *v1alpha1.FlagEnvironment
	// served is what is published of the environment, and nil where the store has nothing of it yet.
	served *store.Environment
}

// project finds the project of a request.
func (f *finder) project(ctx context.Context, scope *Scope) (*server.Project, error) {
	if scope.ProjectID == current || scope.ProjectID == "" {
		return f.cluster.ProjectOf(ctx, scope.Project)
	}
	return f.cluster.Project(ctx, scope.ProjectID)
}

// place finds the project and environment of a request.
func (f *finder) place(ctx context.Context, scope *Scope) (*place, error) {
	project, err := f.project(ctx, scope)
	if err != nil {
		return nil, err
	}
	environment, err := f.cluster.EnvironmentOf(ctx, project, scope.Environment)
	if err != nil {
		return nil, err
	}
	at := &place{project: project, environment: environment}
	if served, found := f.store.Environment(
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
func (f *finder) flag(ctx context.Context, project *server.Project, id string) (*v1alpha1.FeatureFlag, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		flag, err := f.cluster.Flag(ctx, project, id)
		refused, is := asRefusal(err)
		if key, has := strings.CutPrefix(id, keyPrefix); has && is && refused.Status == http.StatusNotFound {
			return f.cluster.Flag(ctx, project, key)
		}
		return flag, err
	}
	flags, err := f.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, flag := range flags {
		if idOf(flag.UID) == number {
			return flag, nil
		}
	}
	return f.cluster.Flag(ctx, project, id)
}

// flags are those of a project, by key and by id; of several with one key it is the one that holds the key.
func (f *finder) flags(ctx context.Context, project *server.Project) (map[string]*v1alpha1.FeatureFlag, error) {
	all, err := f.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	return byKey(all), nil
}

// FlagScope is the flag of a request.
type FlagScope struct {
	Scope
	ID string `path:"id" doc:"The flag: its id, key, UID or name."`
}

// find finds flag and environment of a request.
func (f *finder) find(ctx context.Context, scope *FlagScope) (*place, *v1alpha1.FeatureFlag, error) {
	project, err := f.project(ctx, &scope.Scope)
	if err != nil {
		return nil, nil, err
	}
	flag, err := f.flag(ctx, project, scope.ID)
	if err != nil {
		return nil, nil, err
	}
	at, err := f.place(ctx, &scope.Scope)
	return at, flag, err
}

// byKey are flags by key; of several with one key it is the one that holds the key.
func byKey(all []*v1alpha1.FeatureFlag) map[string]*v1alpha1.FeatureFlag {
	flags := make(map[string]*v1alpha1.FeatureFlag, len(all))
	for _, flag := range all {
		if other, taken := flags[flag.Key()]; taken {
			flag = validation.Holder(flag, other)
		}
		flags[flag.Key()] = flag
	}
	return flags
}
