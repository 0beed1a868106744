// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep

import (
	"net/http"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/internal/rest"
	"github.com/jackstaff-dev/jackstaff/internal/serving"
)

// origin is the environment that a request asks, and as what.
type origin struct {
	environment *serving.Environment
	kind        serving.KeyKind
	// sdkKey is the key that was shown, and empty where it was a Kubernetes token.
	sdkKey string
}

// isServer says whether whoever asks may know what is for servers: all flags, and their metadata.
func (o *origin) isServer() bool { return o.kind == serving.ServerKey }

func (o *origin) engine(of *serving.Revision) *evaluate.Engine {
	if o.isServer() {
		return of.Engine()
	}
	return of.ClientEngine()
}

// open finds the environment that a request may ask: that of its SDK key, or with a Kubernetes token the one that its headers name. It
// fails with a *rest.Error.
func (h *handler) open(r *http.Request) (*origin, error) {
	credential := rest.Bearer(r)
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
	ctx := rest.WithCaller(r.Context(), caller)
	project, err := h.server.Cluster.ProjectOf(ctx, r.Header.Get(rest.ProjectHeader))
	if err != nil {
		return nil, err
	}
	environment, err := h.server.Cluster.EnvironmentOf(ctx, project, r.Header.Get(rest.EnvironmentHeader))
	if err != nil {
		return nil, err
	}
	served, ok := h.store.Environment(environment.Namespace, environment.Name)
	if !ok {
		return nil, rest.NotFound("environment", environment.Name)
	}
	return &origin{environment: served, kind: serving.ServerKey}, nil
}

// openByKey limits callers by their address where anybody may have the key, and those who guess.
func (h *handler) openByKey(r *http.Request, key string) (*origin, error) {
	environment, kind, ok := h.store.ByKey(key)
	if !ok || kind == serving.ClientKey {
		if refused := h.server.Limits().TakeAddress(r); refused != nil {
			return nil, refused
		}
	}
	if !ok && !h.store.Synced() {
		return nil, &rest.Error{Status: http.StatusServiceUnavailable, Message: "not all datafiles were read yet", RetryAfter: time.Second}
	}
	if !ok {
		return nil, rest.Errorf(http.StatusUnauthorized, "the SDK key is not valid")
	}
	return &origin{environment: environment, kind: kind, sdkKey: key}, nil
}
