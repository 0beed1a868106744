// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep

import (
	"net/http"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// origin is the environment that a request asks, and as what.
type origin struct {
	environment *store.Environment
	kind        store.KeyKind
	// sdkKey is the key that was shown, and empty where it was a Kubernetes token.
	sdkKey string
}

// isServer says whether whoever asks may know what is for servers: all flags, and their metadata.
func (o *origin) isServer() bool { return o.kind == store.ServerKey }

// set is what answers.
func (o *origin) set(of *store.Revision) wire.Set {
	return wire.Set{ID: o.environment.SetID, Revision: of.Number}
}

func (o *origin) engine(of *store.Revision) *evaluate.Engine {
	if o.isServer() {
		return of.Engine()
	}
	return of.ClientEngine()
}

// open finds the environment that a request may ask: that of its SDK key, or with a Kubernetes token the one that its
// headers name. It fails with a *server.Error.
func (h *handler) open(r *http.Request) (*origin, error) {
	credential := server.Bearer(r)
	if credential == "" {
		credential = r.Header.Get("X-API-Key")
	}
	if strings.HasPrefix(credential, "sdk_") || strings.HasPrefix(credential, "cli_") {
		return h.openByKey(r, credential)
	}
	caller, err := h.server.AuthenticateToken(r, credential)
	if err != nil {
		return nil, err
	}
	ctx := server.WithCaller(r.Context(), caller)
	project, err := h.server.Cluster.ProjectOf(ctx, r.Header.Get(server.ProjectHeader))
	if err != nil {
		return nil, err
	}
	environment, err := h.server.Cluster.EnvironmentOf(ctx, project, r.Header.Get(server.EnvironmentHeader))
	if err != nil {
		return nil, err
	}
	served, ok := h.store.Environment(environment.Namespace, environment.Name)
	if !ok {
		return nil, server.NotFound("environment", environment.Name)
	}
	return &origin{environment: served, kind: store.ServerKey}, nil
}

// openByKey limits callers by their address where anybody may have the key, and those who guess.
func (h *handler) openByKey(r *http.Request, key string) (*origin, error) {
	environment, kind, ok := h.store.ByKey(key)
	if !ok || kind == store.ClientKey {
		if refused := h.server.Limits().TakeAddress(r); refused != nil {
			return nil, refused
		}
	}
	if !ok && !h.store.Synced() {
		return nil, &server.Error{
			Status:     http.StatusServiceUnavailable,
			Message:    "not all datafiles were read yet",
			RetryAfter: time.Second,
		}
	}
	if !ok {
		return nil, server.Errorf(http.StatusUnauthorized, "the SDK key is not valid")
	}
	return &origin{environment: environment, kind: kind, sdkKey: key}, nil
}
