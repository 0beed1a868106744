// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	authentication "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/internal/identity"
)

// memory is how long the API server's word is taken for granted.
var memory = identity.Memory{Yes: 10 * time.Second, No: 2 * time.Second}

// newReviews returns what asks the API server who callers are and what they may do. A confined operator may not ask for
// others: it asks under the caller's own token, and so knows the rights of the context's caller only.
func newReviews(config *rest.Config, confined bool) (authenticator.Token, authorizer.Authorizer, error) {
	if confined {
		config = asCallerConfig(config)
	}
	who, err := authenticationv1.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("set up authentication: %w", err)
	}
	may, err := authorizationv1.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("set up authorization: %w", err)
	}
	if !confined {
		return identity.Tokens(
				identity.ByTokenReview(who),
				memory,
			), identity.Rights(
				identity.BySubjectAccessReview(may),
				memory,
			), nil
	}
	ask := identity.BySelfSubjectReview(who)
	tokens := identity.Tokens(func(ctx context.Context, token string) (*authentication.UserInfo, error) {
		return ask(WithCaller(ctx, &Caller{Token: token}), token)
	}, memory)
	return tokens, &ownRights{identity.Rights(identity.BySelfSubjectAccessReview(may), memory)}, nil
}

// ownRights knows the rights of the context's caller.
type ownRights struct{ authorizer.Authorizer }

// Authorize fails for users other than the context's caller.
func (o *ownRights) Authorize(ctx context.Context, of authorizer.Attributes) (authorizer.Decision, string, error) {
	caller := CallerFrom(ctx)
	if caller == nil || caller.User.GetName() != of.GetUser().GetName() {
		return authorizer.DecisionNoOpinion, "", errors.New(
			"the rights of others are not known without the right to ask for them",
		)
	}
	return o.Authorizer.Authorize(ctx, of)
}

// MetricsFilter lets those ask for metrics who may get /metrics.
func MetricsFilter(confined bool) func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
	return func(config *rest.Config, _ *http.Client) (metricsserver.Filter, error) {
		tokens, rights, err := newReviews(config, confined)
		if err != nil {
			return nil, err
		}
		return func(log logr.Logger, next http.Handler) (http.Handler, error) {
			return &metricsGuard{tokens: tokens, rights: rights, log: log, next: next}, nil
		}, nil
	}
}

type metricsGuard struct {
	tokens authenticator.Token
	rights authorizer.Authorizer
	log    logr.Logger
	next   http.Handler
}

func (g *metricsGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int) { http.Error(w, http.StatusText(status), status) }
	token := Bearer(r)
	if token == "" {
		refuse(http.StatusUnauthorized)
		return
	}
	response, ok, err := g.tokens.AuthenticateToken(r.Context(), token)
	if err != nil {
		g.log.Error(err, "Refusing metrics to somebody unknown")
		refuse(http.StatusInternalServerError)
		return
	}
	if !ok {
		refuse(http.StatusUnauthorized)
		return
	}
	ctx := WithCaller(r.Context(), &Caller{User: response.User, Token: token})
	decision, _, err := g.rights.Authorize(
		ctx,
		authorizer.AttributesRecord{User: response.User, Verb: "get", Path: r.URL.Path},
	)
	switch {
	case err != nil:
		g.log.Error(err, "Refusing metrics to somebody whose rights are unknown", "user", response.User.GetName())
		refuse(http.StatusInternalServerError)
	case decision != authorizer.DecisionAllow:
		refuse(http.StatusForbidden)
	default:
		g.next.ServeHTTP(w, r)
	}
}
