// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// selectorHeader is the metadata in which flagd's clients say which flags they want.
const selectorHeader = "Flagd-Selector"

// selector is which environment a client asks for.
type selector struct {
	// key is an SDK key, for clients that can send no metadata. Else project and environment name the environment.
	key, project, environment string
}

// parseSelector reads `<namespace>.<environment>` or an SDK key, with `flagSetId=` before it or not. An empty text is
// no selector. It fails with an *Error of status 400, without the text: it may be a key with a mistake.
func parseSelector(text string) (selector, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "flagSetId=")
	if text == "" || isKey(text) {
		return selector{key: text}, nil
	}
	project, environment, _ := strings.Cut(text, ".")
	if project == "" || environment == "" {
		return selector{}, server.Errorf(
			http.StatusBadRequest,
			"the selector names no environment; write <namespace>.<environment>, or the SDK key",
		)
	}
	return selector{project: project, environment: environment}, nil
}

// allows reports whether what a key opens is what the selector asks for.
func (s *selector) allows(key string, environment *store.Environment) bool {
	switch {
	case s.key != "":
		return s.key == key
	case s.project != "":
		return s.project == environment.Project && s.environment == environment.Name
	default:
		return true
	}
}

func isKey(text string) bool {
	return strings.HasPrefix(text, "sdk_") || strings.HasPrefix(text, "cli_")
}

// origin is the environment that a request asks, and as what.
type origin struct {
	environment *store.Environment
	kind        store.KeyKind
	// sdkKey is the key that was shown, and empty where it was a Kubernetes token, which is token.
	sdkKey, token string
}

// open finds the environment that a request may ask: that of its SDK key, or with a Kubernetes token the one that the
// selector names, or the headers of OFREP. The selector of a message counts where no metadata has one. It fails with a
// *server.Error.
func (h *handler) open(ctx context.Context, inMessage string) (*origin, error) {
	r := exchangeOf(ctx).request
	text := r.Header.Get(selectorHeader)
	if text == "" {
		text = inMessage
	}
	selected, err := parseSelector(text)
	if err != nil {
		return nil, err
	}
	credential := server.Bearer(r)
	if credential == "" {
		credential = r.Header.Get("X-Api-Key")
	}
	if credential == "" && selected.key == "" && isKey(r.Host) {
		// The provider for JavaScript opens its stream of events without metadata, and can set nothing but the authority.
		credential = r.Host
	}
	switch {
	case credential == "" && selected.key != "":
		return h.openByKey(r, selected.key)
	case credential == "":
		return nil, server.Errorf(
			http.StatusUnauthorized,
			"an SDK key or a Kubernetes token is needed, as authorization: Bearer or x-api-key, or the key as the selector",
		)
	case isKey(credential):
		opened, err := h.openByKey(r, credential)
		if err == nil && !selected.allows(credential, opened.environment) {
			return nil, server.Errorf(http.StatusForbidden, "the SDK key does not open what the selector names")
		}
		return opened, err
	}
	caller, err := h.server.AuthenticateToken(r, credential)
	if err != nil {
		return nil, err
	}
	environment, err := h.environmentOf(server.WithCaller(ctx, caller), r, selected)
	if err != nil {
		return nil, err
	}
	return &origin{environment: environment, kind: store.ServerKey, token: credential}, nil
}

// environmentOf is the environment that the context's caller may read.
func (h *handler) environmentOf(ctx context.Context, r *http.Request, selected selector) (*store.Environment, error) {
	if selected.key != "" {
		return nil, server.Errorf(
			http.StatusForbidden, "the selector is an SDK key, which a Kubernetes token does not open; leave one of them out",
		)
	}
	header, name := selected.project, selected.environment
	if header == "" {
		header, name = r.Header.Get(server.ProjectHeader), r.Header.Get(server.EnvironmentHeader)
	}
	project, err := h.server.Cluster.ProjectOf(ctx, header)
	if err != nil {
		return nil, err
	}
	environment, err := h.server.Cluster.EnvironmentOf(ctx, project, name)
	if err != nil {
		return nil, err
	}
	served, found := h.store.Environment(environment.Namespace, environment.Name)
	if !found {
		return nil, server.NotFound("environment", environment.Name)
	}
	return served, nil
}

// openByKey limits callers by their address where anybody may have the key, and those who guess.
func (h *handler) openByKey(r *http.Request, key string) (*origin, error) {
	environment, kind, found := h.store.ByKey(key)
	if !found || kind == store.ClientKey {
		if refused := h.server.Limits().TakeAddress(r); refused != nil {
			return nil, refused
		}
	}
	if !found && !h.store.Synced() {
		return nil, &server.Error{
			Status:     http.StatusServiceUnavailable,
			Message:    "not all datafiles were read yet",
			RetryAfter: time.Second,
		}
	}
	if !found {
		return nil, server.Errorf(http.StatusUnauthorized, "the SDK key is not valid")
	}
	return &origin{environment: environment, kind: kind, sdkKey: key}, nil
}

// stillOpen fails with a *server.Error where whoever opened a stream may not read it any more. Whether a token is valid
// is only asked where tokens is true, and an API server that does not answer ends no stream.
func (h *handler) stillOpen(ctx context.Context, from *origin, tokens bool) error {
	if from.sdkKey != "" {
		if opened, _, found := h.store.ByKey(from.sdkKey); !found || opened != from.environment {
			return server.Errorf(http.StatusUnauthorized, "the SDK key is not valid any more")
		}
		return nil
	}
	if from.environment.Gone() {
		return server.NotFound("environment", from.environment.Name)
	}
	if !tokens {
		return nil
	}
	caller, err := h.server.Review(ctx, from.token)
	if err == nil {
		_, err = h.environmentOf(server.WithCaller(ctx, caller), exchangeOf(ctx).request, selector{
			project: from.environment.Project, environment: from.environment.Name,
		})
	}
	if err != nil && server.Refusal(err).Status == http.StatusServiceUnavailable {
		return nil
	}
	return err
}
