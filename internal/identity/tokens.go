// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity asks the API server whose a token is and what its holder may do. It asks again where that fails in
// passing, and remembers the answers briefly.
//
// It is made of the parts of k8s.io/apiserver that are small. The delegating authenticator and authorizer there, and
// with them the filter of controller-runtime's metrics server, bring along CEL, gRPC and the exporters of
// OpenTelemetry, which would be a quarter of the manager's binary and a sixth of its resident memory.
package identity

import (
	"context"
	"time"

	"golang.org/x/net/http/httpguts"
	authentication "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

// timeout is how long the API server has to answer, with all attempts.
const timeout = 10 * time.Second

// Memory is how long an answer is taken for granted. Zero means that it is asked for each time.
type Memory struct {
	// Yes is for a token that is somebody's, and for a right that somebody has.
	Yes time.Duration
	// No is for a token that is nobody's, and for a right that somebody lacks.
	No time.Duration
}

// AskWho asks whose a token is, and returns nil where it is nobody's.
type AskWho func(ctx context.Context, token string) (*authentication.UserInfo, error)

// ByTokenReview asks by TokenReview.
func ByTokenReview(client authenticationv1.TokenReviewsGetter) AskWho {
	return func(ctx context.Context, token string) (*authentication.UserInfo, error) {
		if token == "" {
			return nil, nil //nolint:nilnil // The API server is not to be asked about it. It is nobody's.
		}
		question := &authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: token}}
		review, err := client.TokenReviews().Create(ctx, question, metav1.CreateOptions{})
		if err != nil || !review.Status.Authenticated {
			return nil, err
		}
		return &review.Status.User, nil
	}
}

// BySelfSubjectReview asks for the holder of the token that the client sends, which needs no right.
func BySelfSubjectReview(client authenticationv1.SelfSubjectReviewsGetter) AskWho {
	return func(ctx context.Context, token string) (*authentication.UserInfo, error) {
		if !httpguts.ValidHeaderFieldValue(token) {
			return nil, nil //nolint:nilnil // It cannot be sent, so it is nobody's.
		}
		review, err := client.SelfSubjectReviews().Create(ctx, &authentication.SelfSubjectReview{}, metav1.CreateOptions{})
		if apierrors.IsUnauthorized(err) {
			return nil, nil //nolint:nilnil // The token is nobody's.
		} else if err != nil {
			return nil, err
		}
		return &review.Status.UserInfo, nil
	}
}

// Tokens authenticates tokens. It fails where the API server does not say whose a token is.
func Tokens(ask AskWho, memory Memory) authenticator.Token {
	return cache.New(
		authenticator.TokenFunc(func(ctx context.Context, token string) (*authenticator.Response, bool, error) {
			var holder *authentication.UserInfo
			err := insist(ctx, func(ctx context.Context) (err error) {
				holder, err = ask(ctx, token)
				return err
			})
			if err != nil || holder == nil {
				return nil, false, err
			}
			return &authenticator.Response{User: User(holder)}, true, nil
		}),
		false,
		memory.Yes,
		memory.No,
	)
}

// User is a user as an authorizer takes it.
func User(info *authentication.UserInfo) user.Info {
	extra := make(map[string][]string, len(info.Extra))
	for name, values := range info.Extra {
		extra[name] = values
	}
	return &user.DefaultInfo{Name: info.Username, UID: info.UID, Groups: info.Groups, Extra: extra}
}

// insist asks again, for a good second, where an attempt fails in a way that passes.
func insist(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	err := wait.ExponentialBackoffWithContext(
		ctx,
		wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 4},
		func(ctx context.Context) (bool, error) {
			last = ask(ctx)
			if passes(last) {
				return false, nil
			}
			return true, last
		},
	)
	if wait.Interrupted(err) && last != nil {
		return last
	}
	return err
}

// passes reports whether an error is one of those that a client of Kubernetes waits out.
func passes(err error) bool {
	_, later := apierrors.SuggestsClientDelay(err)
	return later || apierrors.IsInternalError(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		net.IsConnectionReset(err) || net.IsHTTP2ConnectionLost(err)
}
