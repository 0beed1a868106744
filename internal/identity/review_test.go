// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/jackstaff-dev/jackstaff/internal/identity"
)

var (
	forAnHour = identity.Memory{Yes: time.Hour, No: time.Hour}
	// full is what an API server with too much to do says.
	full = apierrors.NewTooManyRequests("later", 0)
)

// who answers a number of times with an error, then with a user for the token "good".
type who struct {
	failures int
	err      error
	asked    int
}

func (w *who) ask(_ context.Context, token string) (*authentication.UserInfo, error) {
	if w.asked++; w.asked <= w.failures {
		return nil, w.err
	}
	if token != "good" {
		return nil, nil //nolint:nilnil // It is nobody's.
	}
	return &authentication.UserInfo{
		Username: "jane", UID: "7", Groups: []string{"devs"}, Extra: map[string]authentication.ExtraValue{"scope": {"flags"}},
	}, nil
}

func TestATokenIsSomebodysOrNobodys(t *testing.T) {
	server := &who{}
	tokens := identity.Tokens(server.ask, forAnHour)
	for range 3 {
		response, ok, err := tokens.AuthenticateToken(t.Context(), "good")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if u := response.User; u.GetName() != "jane" || u.GetUID() != "7" || u.GetGroups()[0] != "devs" ||
			u.GetExtra()["scope"][0] != "flags" {
			t.Errorf("the user is %+v", u)
		}
		if _, ok, err := tokens.AuthenticateToken(t.Context(), "bad"); ok || err != nil {
			t.Error("a wrong token is somebody's", ok, err)
		}
	}
	if server.asked != 2 {
		t.Errorf("the API server was asked %d times, want once for each token", server.asked)
	}
}

func TestWhatFailsInPassingIsAskedAgain(t *testing.T) {
	server := &who{failures: 2, err: full}
	if _, ok, err := identity.Tokens(server.ask, forAnHour).AuthenticateToken(t.Context(), "good"); !ok || err != nil {
		t.Error(ok, err)
	}
	away := &who{failures: 100, err: full}
	if _, _, err := identity.Tokens(
		away.ask,
		forAnHour,
	).AuthenticateToken(
		t.Context(),
		"good",
	); !apierrors.IsTooManyRequests(
		err,
	) {
		t.Errorf("the error is %v, want the API server's", err)
	}
	if away.asked != 4 {
		t.Errorf("asked %d times, want 4", away.asked)
	}
	broken := &who{failures: 1, err: errors.New("no such host")}
	tokens := identity.Tokens(broken.ask, forAnHour)
	if _, _, err := tokens.AuthenticateToken(t.Context(), "good"); err == nil || broken.asked != 1 {
		t.Errorf("asked %d times, with %v in the end", broken.asked, err)
	}
	if _, ok, err := tokens.AuthenticateToken(t.Context(), "good"); !ok || err != nil {
		t.Error("a failure is remembered", ok, err)
	}
}

// rights answers that jane may get what is in shop.
type rights struct {
	questions []*authorization.SubjectAccessReviewSpec
	err       error
}

func (r *rights) ask(
	_ context.Context,
	right *authorization.SubjectAccessReviewSpec,
) (*authorization.SubjectAccessReviewStatus, error) {
	r.questions = append(r.questions, right)
	if r.err != nil {
		return nil, r.err
	}
	allowed := right.User == "jane" && (right.NonResourceAttributes != nil || right.ResourceAttributes.Namespace == "shop")
	return &authorization.SubjectAccessReviewStatus{Allowed: allowed, Reason: "because"}, nil
}

func may(name, namespace, flag string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{
		User: &user.DefaultInfo{
			Name:   name,
			Groups: []string{"devs"},
			Extra:  map[string][]string{"scope": {"flags"}},
		},
		Verb:            "get",
		Namespace:       namespace,
		APIGroup:        "flags.jackstaff.dev",
		APIVersion:      "v1alpha1",
		Resource:        "featureflags",
		Name:            flag,
		ResourceRequest: true,
	}
}

func TestRights(t *testing.T) {
	server := &rights{}
	authorize := identity.Rights(server.ask, forAnHour)
	for range 2 {
		for _, tc := range []struct {
			right authorizer.AttributesRecord
			want  authorizer.Decision
		}{
			{may("jane", "shop", "a"), authorizer.DecisionAllow},
			{may("jane", "shop", "b"), authorizer.DecisionAllow},
			{may("jane", "bank", "a"), authorizer.DecisionDeny},
			{may("john", "shop", "a"), authorizer.DecisionDeny},
			{authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "jane"}, Verb: "get", Path: "/metrics"}, authorizer.DecisionAllow},
		} {
			if decision, reason, err := authorize.Authorize(
				t.Context(),
				tc.right,
			); decision != tc.want || reason != "because" ||
				err != nil {
				t.Errorf("%+v: %v %q %v, want %v", tc.right, decision, reason, err, tc.want)
			}
		}
	}
	if len(server.questions) != 5 {
		t.Errorf("the API server was asked %d times, want once for each right", len(server.questions))
	}
	first := server.questions[0]
	if first.Groups[0] != "devs" || first.Extra["scope"][0] != "flags" ||
		first.ResourceAttributes.Group != "flags.jackstaff.dev" ||
		first.ResourceAttributes.Name != "a" {
		t.Errorf("the question is %+v", first)
	}
	if path := server.questions[4].NonResourceAttributes; path == nil || path.Path != "/metrics" {
		t.Errorf("the question is %+v", server.questions[4])
	}
}

func TestRightsAreForgotten(t *testing.T) {
	count := func(memory identity.Memory, right authorizer.AttributesRecord) int {
		server := &rights{}
		authorize := identity.Rights(server.ask, memory)
		for range 2 {
			if _, _, err := authorize.Authorize(t.Context(), right); err != nil {
				t.Error(err)
			}
		}
		return len(server.questions)
	}
	for what, asked := range map[string]int{
		"without a memory":                    count(identity.Memory{}, may("jane", "shop", "a")),
		"with a refusal that is not kept":     count(identity.Memory{Yes: time.Hour}, may("jane", "bank", "a")),
		"with a question that is a megabyte":  count(forAnHour, may("jane", "shop", strings.Repeat("x", 1<<20))),
		"with an answer kept for no time yet": count(identity.Memory{Yes: time.Nanosecond, No: time.Nanosecond}, may("jane", "shop", "a")),
	} {
		if asked != 2 {
			t.Errorf("%s: asked %d times, want 2", what, asked)
		}
	}
}

func TestNobodyIsAllowedWhatIsNotKnown(t *testing.T) {
	server := &rights{err: errors.New("no such host")}
	decision, _, err := identity.Rights(server.ask, forAnHour).Authorize(t.Context(), may("jane", "shop", "a"))
	if decision != authorizer.DecisionNoOpinion || !errors.Is(err, server.err) {
		t.Error(decision, err)
	}
}

func TestATokenThatNoHeaderCanCarryIsNobodys(t *testing.T) {
	if holder, err := identity.BySelfSubjectReview(nil)(t.Context(), "a\nb"); holder != nil || err != nil {
		t.Error(holder, err)
	}
}
