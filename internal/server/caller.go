// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// Caller is who asks.
type Caller struct {
	// User is the Kubernetes identity.
	User user.Info
	// Token is the caller's own token, with which writes are made.
	Token string
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, caller *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerFrom returns the caller of a request that was authenticated, and nil of one that was not.
func CallerFrom(ctx context.Context) *Caller {
	caller, _ := ctx.Value(callerKey{}).(*Caller)
	return caller
}

// ServiceAccountNamespace is the namespace of the caller where that is a service account, and empty where it is not.
func (c *Caller) ServiceAccountNamespace() string {
	account, ok := strings.CutPrefix(c.User.GetName(), "system:serviceaccount:")
	if !ok {
		return ""
	}
	namespace, _, _ := strings.Cut(account, ":")
	return namespace
}

// Bearer is the token of a request's Authorization header, and empty where it has none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Authenticate returns who makes a request: the holder of the Kubernetes token in its Authorization header, or else of
// the session in its cookie. It fails with an *Error of status 401 where there is no valid identity, of 403 where a
// write lacks the session's CSRF token, and of 429 where the caller asks too often.
func (s *Server) Authenticate(r *http.Request) (*Caller, error) {
	token := Bearer(r)
	if token == "" {
		var err error
		if token, err = s.sessions.token(r); err != nil {
			return nil, err
		}
	}
	return s.AuthenticateToken(r, token)
}

// AuthenticateToken is Authenticate for a token that the request carries elsewhere.
func (s *Server) AuthenticateToken(r *http.Request, token string) (*Caller, error) {
	if token == "" {
		return nil, Errorf(http.StatusUnauthorized, "a Kubernetes token is needed, as Authorization: Bearer or as a session")
	}
	// Pages that evaluate empty the address's own bucket, and behind a proxy everybody has one address.
	wrong := "wrong tokens from " + addressOf(r)
	if err := s.limits.check(wrong); err != nil {
		return nil, err
	}
	caller, err := s.Review(r.Context(), token)
	if err != nil {
		// The API server is asked about each wrong token, and must not be flooded.
		return nil, cmp.Or(s.limits.Take(wrong), err)
	}
	return caller, s.limits.Take(caller.User.GetName())
}

// Review returns whose token it is. It fails with an *Error of status 401 where the token is nobody's, and of 503 where
// the API server does not say.
func (s *Server) Review(ctx context.Context, token string) (*Caller, error) {
	response, ok, err := s.tokens.AuthenticateToken(ctx, token)
	if err != nil {
		return nil, &Error{
			Status:     http.StatusServiceUnavailable,
			Message:    "the API server does not say whose token it is",
			RetryAfter: time.Second,
			Cause:      err,
		}
	}
	if !ok {
		return nil, &Error{Status: http.StatusUnauthorized, Message: "the token is not valid"}
	}
	return &Caller{User: response.User, Token: token}, nil
}
