// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// access is what a client may ask for.
type access struct {
	// served is what is published of the environment, and nil where the store has nothing of it yet.
	served *store.Environment
	// project is the namespace.
	project *server.Project
	// environment is the name of the environment.
	environment string
	// key is the kind of SDK key, where isKey says that there is one. Else the caller is somebody with a Kubernetes token.
	key   store.KeyKind
	isKey bool
	// caller is who has the Kubernetes token, and nil with an SDK key.
	caller *server.Caller
}

// admit finds out who asks: by the SDK key or Kubernetes token in the header Authorization, else by the SDK key that
// PostHog's clients call the project's token, else by the session. The environment is that of the SDK key, in whichever
// place it is; else the request's.
func (c *Clients) admit(ctx context.Context, scope *lookup.Scope, token string) (*access, error) {
	request := lookup.ExchangeOf(ctx).Request
	held, kind, found := c.Store.ByKey(cmp.Or(server.Bearer(request), token))
	// Programs of one's own may ask as often as they like; whoever has a page's key, or none, has an address.
	if !found || kind != store.ServerKey {
		if err := c.server.Limits().TakeAddress(request); err != nil {
			return nil, err
		}
	}
	if found {
		return c.byKey(ctx, scope, held, kind)
	}
	if !c.Store.Synced() {
		return nil, notSynced()
	}
	caller, err := c.server.Authenticate(request)
	if err != nil {
		return nil, err
	}
	ctx = server.WithCaller(ctx, caller)
	asked := *scope
	if held, _, found := c.Store.ByKey(token); found && scope.ProjectID == "" {
		asked.ProjectID, asked.Environment = held.Project, held.Name
	}
	at, err := c.Place(ctx, &asked)
	if err != nil {
		return nil, err
	}
	return &access{served: at.Served, project: at.Project, environment: at.Environment.Name, caller: caller}, nil
}

// byKey is the access that an SDK key gives, which is to its own project.
func (c *Clients) byKey(
	ctx context.Context,
	scope *lookup.Scope,
	held *store.Environment,
	kind store.KeyKind,
) (*access, error) {
	project, err := c.Cluster.Project(ctx, held.Project)
	if err != nil {
		return nil, err
	}
	if asked := scope.ProjectID; asked != "" && asked != lookup.CurrentProject && asked != project.Name &&
		asked != string(project.UID) &&
		asked != teamOf(project) {
		return nil, server.NotFound("project", asked)
	}
	return &access{served: held, project: project, environment: held.Name, key: kind, isKey: true}, nil
}

// teamOf is the integer that stands for a project.
func teamOf(project *server.Project) string { return strconv.FormatInt(lookup.IDOf(project.UID), 10) }

// ofServer fails where a client key asks for what only servers may see.
func (a *access) ofServer() error {
	if a.isKey && a.key == store.ClientKey {
		return server.Errorf(
			http.StatusForbidden,
			"a client key may not see this, which names whom flags are released to; use a server key",
		)
	}
	return nil
}

// findFor finds a flag by the integer that stands for it, or by key, for whoever has access.
func (c *Clients) findFor(ctx context.Context, of *access, id string) (*v1alpha1.FeatureFlag, error) {
	if !of.isKey {
		return c.Flag(ctx, of.project, id)
	}
	flags, err := c.objects(ctx, of.project.Name)
	if err != nil {
		return nil, err
	}
	for key, flag := range flags {
		if key == id || strconv.FormatInt(lookup.IDOf(flag.UID), 10) == id {
			return flag, nil
		}
	}
	return nil, server.NotFound("flag", id)
}

// objects are the flags of a project by key, for what is told of them to clients: id, version and what the view keeps
// of them.
func (c *Clients) objects(ctx context.Context, namespace string) (map[string]*v1alpha1.FeatureFlag, error) {
	all := &v1alpha1.FeatureFlagList{}
	if err := c.Cluster.Reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	pointers := make([]*v1alpha1.FeatureFlag, len(all.Items))
	for i := range all.Items {
		pointers[i] = &all.Items[i]
	}
	return lookup.ByKey(pointers), nil
}

// byToken is the environment of an SDK key, which need not be told from a wrong one in time: it is the caller's own. It
// fails with an *Error of status 401 where no environment has the key, and of 429 where its address asks too often.
func (c *Clients) byToken(ctx context.Context, token string) (*store.Environment, error) {
	held, kind, found := c.Store.ByKey(token)
	if !found || kind != store.ServerKey {
		if err := c.server.Limits().TakeAddress(lookup.ExchangeOf(ctx).Request); err != nil {
			return nil, err
		}
	}
	switch {
	case found:
		return held, nil
	case !c.Store.Synced():
		return nil, notSynced()
	default:
		return nil, server.Errorf(
			http.StatusUnauthorized,
			"no environment has this project token; use one of its SDK keys, a client key in pages",
		)
	}
}

// notSynced says that the keys are not known yet.
func notSynced() error {
	return &server.Error{
		Status:  http.StatusServiceUnavailable,
		Message: "the server has not read everything yet that is published",
	}
}
