// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// maxDecisions is how many decisions are remembered.
const maxDecisions = 8192

// newSelfReviews makes a client that asks under the token of the context's caller.
func newSelfReviews(config *rest.Config) (kubernetes.Interface, error) {
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.QPS = -1
	anonymous.Wrap(func(next http.RoundTripper) http.RoundTripper { return &asCaller{next} })
	reviews, err := kubernetes.NewForConfig(anonymous)
	if err != nil {
		return nil, fmt.Errorf("set up reviews: %w", err)
	}
	return reviews, nil
}

// newSelfTokenReviewer is newTokenReviewer for an operator that may not review tokens: it asks under the token itself who its holder is.
func newSelfTokenReviewer(config *rest.Config) (authenticator.Request, error) {
	reviews, err := newSelfReviews(config)
	if err != nil {
		return nil, err
	}
	ask := authenticator.TokenFunc(func(ctx context.Context, token string) (*authenticator.Response, bool, error) {
		ctx, cancel := context.WithTimeout(WithCaller(ctx, &Caller{Token: token}), reviewTimeout)
		defer cancel()
		review, err := reviews.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authentication.SelfSubjectReview{}, metav1.CreateOptions{})
		if apierrors.IsUnauthorized(err) {
			return nil, false, nil
		} else if err != nil {
			return nil, false, err
		}
		info := review.Status.UserInfo
		holder := &user.DefaultInfo{Name: info.Username, UID: info.UID, Groups: info.Groups, Extra: map[string][]string{}}
		for name, values := range info.Extra {
			holder.Extra[name] = values
		}
		return &authenticator.Response{User: holder}, true, nil
	})
	return bearertoken.New(tokencache.New(ask, false, reviewTTL, denialTTL)), nil
}

// decided is a question that was answered.
type decided struct {
	token                                              [sha256.Size]byte
	verb, group, resource, subresource, in, name, path string
}

// newSelfAuthorizer is newAuthorizer for an operator that may not ask for the rights of others: it asks under the caller's own token,
// and so knows the rights of the context's caller only.
func newSelfAuthorizer(config *rest.Config) (authorizer.Authorizer, error) {
	reviews, err := newSelfReviews(config)
	if err != nil {
		return nil, err
	}
	decisions := cache.NewLRUExpireCache(maxDecisions)
	return authorizer.AuthorizerFunc(func(ctx context.Context, of authorizer.Attributes) (authorizer.Decision, string, error) {
		caller := CallerFrom(ctx)
		if caller == nil || caller.User.GetName() != of.GetUser().GetName() {
			return authorizer.DecisionNoOpinion, "", errors.New("the rights of others are not known without the right to ask for them")
		}
		question := decided{
			sha256.Sum256([]byte(caller.Token)), of.GetVerb(), of.GetAPIGroup(), of.GetResource(), of.GetSubresource(), of.GetNamespace(), of.GetName(), of.GetPath(),
		}
		if decision, known := decisions.Get(question); known {
			return decision.(authorizer.Decision), "", nil
		}
		review := &authorization.SelfSubjectAccessReview{}
		if of.IsResourceRequest() {
			review.Spec.ResourceAttributes = &authorization.ResourceAttributes{
				Namespace: of.GetNamespace(), Verb: of.GetVerb(), Group: of.GetAPIGroup(), Version: of.GetAPIVersion(),
				Resource: of.GetResource(), Subresource: of.GetSubresource(), Name: of.GetName(),
			}
		} else {
			review.Spec.NonResourceAttributes = &authorization.NonResourceAttributes{Path: of.GetPath(), Verb: of.GetVerb()}
		}
		answer, err := reviews.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return authorizer.DecisionNoOpinion, "", err
		}
		decision, keep := authorizer.DecisionDeny, denialTTL
		if answer.Status.Allowed {
			decision, keep = authorizer.DecisionAllow, reviewTTL
		}
		decisions.Add(question, decision, keep)
		return decision, answer.Status.Reason, nil
	}), nil
}

// ConfinedMetricsFilter lets those ask for metrics who may get /metrics, for an operator that may not review tokens.
func ConfinedMetricsFilter(config *rest.Config, _ *http.Client) (metricsserver.Filter, error) {
	tokens, err := newSelfTokenReviewer(config)
	if err != nil {
		return nil, err
	}
	rights, err := newSelfAuthorizer(config)
	if err != nil {
		return nil, err
	}
	return func(_ logr.Logger, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := Bearer(r)
			response, ok, err := tokens.AuthenticateRequest(r)
			if err != nil || !ok {
				http.Error(w, "Unauthorized", http.StatusUnauthorized)
				return
			}
			ctx := WithCaller(r.Context(), &Caller{User: response.User, Token: token})
			decision, _, err := rights.Authorize(ctx, authorizer.AttributesRecord{User: response.User, Verb: "get", Path: r.URL.Path})
			if err != nil || decision != authorizer.DecisionAllow {
				http.Error(w, "Forbidden", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		}), nil
	}, nil
}
