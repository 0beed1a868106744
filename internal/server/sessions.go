// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/securecookie"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// sessionCookie is the name of the cookie. The prefix makes browsers refuse it without TLS, or for another path or
	// domain.
	sessionCookie = "__Host-jackstaff-session"
	// CSRFHeader is the header that a write with a session carries.
	CSRFHeader = "X-Jackstaff-CSRF"
	// maxSession is how long a session lasts at most, and where its token does not say when it ends.
	maxSession = 12 * time.Hour
	// minSessionKey is the length of a key, in bytes.
	minSessionKey = 32
)

// sessionKeyField is where the Secret of the session key holds it.
const sessionKeyField = "key"

// SessionKey returns the key of a Secret that must exist, and makes it where the Secret has none yet. Of several
// replicas that do so at once, one is first and the others read what it wrote. It fails where the Secret is not there.
func SessionKey(ctx context.Context, secrets client.Client, name types.NamespacedName) ([]byte, error) {
	for {
		secret := &corev1.Secret{}
		if err := secrets.Get(ctx, name, secret); err != nil {
			return nil, fmt.Errorf("get the session key: %w", err)
		}
		if key := secret.Data[sessionKeyField]; len(key) >= minSessionKey {
			return key, nil
		}
		key := make([]byte, minSessionKey)
		_, _ = rand.Read(key) // It never fails.
		secret.Data = map[string][]byte{sessionKeyField: key}
		if err := secrets.Update(ctx, secret); apierrors.IsConflict(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("make the session key: %w", err)
		}
		return key, nil
	}
}

// sessions are Kubernetes tokens in encrypted cookies. The server keeps nothing of them, so that every replica reads
// every cookie.
type sessions struct {
	codec *securecookie.SecureCookie
	clock clock.PassiveClock
}

// session is what a cookie holds.
type session struct {
	Token   string    `json:"token"`
	CSRF    string    `json:"csrf"`
	Expires time.Time `json:"expires"`
}

// newSessions makes cookies with a key of at least 32 bytes.
func newSessions(key []byte, passive clock.PassiveClock) *sessions {
	signing, encryption := sha256.Sum256(
		append([]byte("sign "), key...),
	), sha256.Sum256(
		append([]byte("encrypt "), key...),
	)
	codec := securecookie.New(
		signing[:],
		encryption[:],
	).MaxAge(
		int(maxSession / time.Second),
	).MaxLength(
		8192,
	).SetSerializer(
		securecookie.JSONEncoder{},
	)
	return &sessions{codec: codec, clock: passive}
}

// token returns the token of a request's session, and nothing where it has none. It fails with an *Error of status 401
// where the session is over, and of 403 where a write lacks the CSRF token.
func (s *sessions) token(r *http.Request) (string, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", nil //nolint:nilerr // The only error is that there is no such cookie.
	}
	held := session{}
	if err := s.codec.Decode(sessionCookie, cookie.Value, &held); err != nil || !s.clock.Now().Before(held.Expires) {
		return "", &Error{Status: http.StatusUnauthorized, Message: "the session is over", Cause: err}
	}
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	if !isRead && subtle.ConstantTimeCompare([]byte(r.Header.Get(CSRFHeader)), []byte(held.CSRF)) != 1 {
		return "", Errorf(http.StatusForbidden, "a write with a session carries its CSRF token in the header %s", CSRFHeader)
	}
	return held.Token, nil
}

// begin makes the cookie of a new session.
func (s *sessions) begin(token string) (*http.Cookie, *session, error) {
	now := s.clock.Now()
	held := &session{Token: token, CSRF: rand.Text(), Expires: now.Add(maxSession).UTC().Truncate(time.Second)}
	if ends, ok := expiry(token); ok && ends.Before(held.Expires) {
		held.Expires = ends.UTC()
	}
	value, err := s.codec.Encode(sessionCookie, held)
	if err != nil {
		return nil, nil, &Error{Status: http.StatusBadRequest, Message: "the token is too long for a cookie", Cause: err}
	}
	return s.cookie(value, held.Expires), held, nil
}

// cookie holds a session until it expires. A time that is over has browsers forget the cookie.
func (s *sessions) cookie(value string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name:     sessionCookie,
		Value:    value,
		Path:     "/",
		Expires:  expires,
		MaxAge:   max(-1, int(expires.Sub(s.clock.Now())/time.Second)),
		HttpOnly: true,
		Secure:   true,
		SameSite: http.SameSiteStrictMode,
	}
}

// expiry is when a token ends by its own word (RFC 7519, section 4.1.4). The word was not checked here: the API server
// does that.
func expiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	claims := struct {
		Expires int64 `json:"exp"`
	}{}
	if json.Unmarshal(data, &claims) != nil || claims.Expires == 0 {
		return time.Time{}, false
	}
	return time.Unix(claims.Expires, 0), true
}

// SessionBody is what a new session answers.
type SessionBody struct {
	User      string    `json:"user" doc:"The Kubernetes user of the token."`
	CSRFToken string    `json:"csrfToken" doc:"What writes carry in the header X-Jackstaff-CSRF."`
	ExpiresAt time.Time `json:"expiresAt" doc:"When the session ends."`
}

type sessionInput struct {
	Authorization string `header:"Authorization" required:"true" doc:"Bearer and a Kubernetes token."`
}

type sessionOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      SessionBody
}

type endedOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

// registerSessions adds the paths by which a browser begins and ends a session.
func (s *Server) registerSessions(view *View) {
	Register(view, Public(huma.Operation{
		OperationID: "begin-session", Method: http.MethodPost, Path: "/api/session", DefaultStatus: http.StatusCreated,
		Summary: "Begin a session", Description: "Sets a cookie that stands for the token.",
	}), func(ctx context.Context, input *sessionInput) (*sessionOutput, error) {
		token := Bearer(&http.Request{Header: http.Header{"Authorization": {input.Authorization}}})
		caller, err := s.Review(ctx, token)
		if err == nil {
			err = s.limits.Take(caller.User.GetName())
		}
		if err != nil {
			return nil, err
		}
		cookie, held, err := s.sessions.begin(token)
		if err != nil {
			return nil, err
		}
		return &sessionOutput{
			SetCookie: *cookie,
			Body:      SessionBody{User: caller.User.GetName(), CSRFToken: held.CSRF, ExpiresAt: held.Expires},
		}, nil
	})
	Register(view, Public(huma.Operation{
		OperationID:   "end-session",
		Method:        http.MethodDelete,
		Path:          "/api/session",
		DefaultStatus: http.StatusNoContent,
		Summary:       "End the session",
	}), func(context.Context, *struct{}) (*endedOutput, error) {
		return &endedOutput{SetCookie: *s.sessions.cookie("", time.Unix(1, 0))}, nil
	})
}
