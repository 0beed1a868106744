// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"encoding/json"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

const (
	// maxRemembered is how many rights are remembered.
	maxRemembered = 8192
	// maxQuestion is how many bytes a question may have whose answer is remembered: names come from outside.
	maxQuestion = 8 << 10
)

// AskRight asks for one right of a user.
type AskRight func(context.Context, *authorization.SubjectAccessReviewSpec) (*authorization.SubjectAccessReviewStatus, error)

// BySubjectAccessReview asks for the rights of anybody.
func BySubjectAccessReview(client authorizationv1.SubjectAccessReviewsGetter) AskRight {
	return func(ctx context.Context, right *authorization.SubjectAccessReviewSpec) (*authorization.SubjectAccessReviewStatus, error) {
		question := &authorization.SubjectAccessReview{Spec: *right}
		review, err := client.SubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
		return &review.Status, err
	}
}

// ByLocalSubjectAccessReview asks for the rights of anybody in one namespace, to which a Role can give the right.
func ByLocalSubjectAccessReview(client authorizationv1.LocalSubjectAccessReviewsGetter) AskRight {
	return func(ctx context.Context, right *authorization.SubjectAccessReviewSpec) (*authorization.SubjectAccessReviewStatus, error) {
		question := &authorization.LocalSubjectAccessReview{Spec: *right}
		question.Namespace = right.ResourceAttributes.Namespace
		review, err := client.LocalSubjectAccessReviews(question.Namespace).Create(ctx, question, metav1.CreateOptions{})
		return &review.Status, err
	}
}

// BySelfSubjectAccessReview asks for the rights of the holder of the token that the client sends, which needs no right.
func BySelfSubjectAccessReview(client authorizationv1.SelfSubjectAccessReviewsGetter) AskRight {
	return func(ctx context.Context, right *authorization.SubjectAccessReviewSpec) (*authorization.SubjectAccessReviewStatus, error) {
		question := &authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
			ResourceAttributes: right.ResourceAttributes, NonResourceAttributes: right.NonResourceAttributes,
		}}
		review, err := client.SelfSubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
		return &review.Status, err
	}
}

// Rights authorizes users. It fails where the API server does not say what a user may do.
func Rights(ask AskRight, memory Memory) authorizer.Authorizer {
	remembered := cache.NewLRUExpireCache(maxRemembered)
	return authorizer.AuthorizerFunc(
		func(ctx context.Context, of authorizer.Attributes) (authorizer.Decision, string, error) {
			right := rightOf(of)
			form, err := json.Marshal(right)
			if err != nil {
				return authorizer.DecisionNoOpinion, "", err
			}
			question := string(form)
			if known, found := remembered.Get(question); found {
				return decide(known.(*authorization.SubjectAccessReviewStatus))
			}
			var answer *authorization.SubjectAccessReviewStatus
			err = insist(ctx, func(ctx context.Context) (err error) {
				answer, err = ask(ctx, right)
				return err
			})
			if err != nil {
				return authorizer.DecisionNoOpinion, "", err
			}
			keep := memory.No
			if answer.Allowed {
				keep = memory.Yes
			}
			if keep > 0 && len(question) <= maxQuestion {
				remembered.Add(question, answer, keep)
			}
			return decide(answer)
		},
	)
}

func rightOf(of authorizer.Attributes) *authorization.SubjectAccessReviewSpec {
	who := of.GetUser()
	right := &authorization.SubjectAccessReviewSpec{
		User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: map[string]authorization.ExtraValue{},
	}
	for name, values := range who.GetExtra() {
		right.Extra[name] = values
	}
	if of.IsResourceRequest() {
		right.ResourceAttributes = &authorization.ResourceAttributes{
			Namespace: of.GetNamespace(), Verb: of.GetVerb(), Group: of.GetAPIGroup(), Version: of.GetAPIVersion(),
			Resource: of.GetResource(), Subresource: of.GetSubresource(), Name: of.GetName(),
		}
	} else {
		right.NonResourceAttributes = &authorization.NonResourceAttributes{Path: of.GetPath(), Verb: of.GetVerb()}
	}
	return right
}

func decide(answer *authorization.SubjectAccessReviewStatus) (authorizer.Decision, string, error) {
	if answer.Allowed {
		return authorizer.DecisionAllow, answer.Reason, nil
	}
	return authorizer.DecisionDeny, answer.Reason, nil
}
