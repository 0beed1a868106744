// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// storing is an API server that holds objects.
func storing(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

// allowing lets the user publish in the namespace shop what mayPublish says.
func allowing(mayPublish func(name string) bool) *permission {
	return &permission{authorizer.AuthorizerFunc(
		func(_ context.Context, right authorizer.Attributes) (authorizer.Decision, string, error) {
			if right.GetVerb() == "publish" && right.GetNamespace() == "shop" && mayPublish(right.GetName()) {
				return authorizer.DecisionAllow, "", nil
			}
			return authorizer.DecisionNoOpinion, "", nil
		},
	)}
}

// requested is the context of a user's request in the namespace shop.
func requested(t *testing.T, dryRun bool) context.Context {
	t.Helper()
	return admission.NewContextWithRequest(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Namespace: "shop", UserInfo: authenticationv1.UserInfo{Username: "alice@example.com"}, DryRun: &dryRun,
	}})
}

// A read of an environment takes as long as all else that admission does. Whoever may publish every environment of the
// namespace waits for none; a right on single environments spares no read, for another may have become production.
func TestEnvironmentsAreReadForWhoLacksThePermission(t *testing.T) {
	for name, test := range map[string]struct {
		// mayPublish are the names that the user may publish, of which the empty one stands for all.
		mayPublish string
		allowed    bool
		reads      int
		guarded    int
	}{
		"publisher of the namespace":  {mayPublish: "", allowed: true, reads: 0, guarded: 0},
		"publisher of production":     {mayPublish: "production", allowed: true, reads: 2, guarded: 1},
		"nobody, who lacks the right": {allowed: false, reads: 2, guarded: 1},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := k8sruntime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			stored := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
				builders.MakeEnvironment(
					"production",
					"shop",
				).Production().Obj(),
				builders.MakeEnvironment("staging", "shop").Obj(),
			).Build()
			reads := make(chan string, 10)
			counted := interceptor.NewClient(stored, interceptor.Funcs{Get: func(
				ctx context.Context, of client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption,
			) error {
				reads <- key.Name
				return of.Get(ctx, key, into, options...)
			}})
			o := &objects{
				cached: stored, live: counted, recent: &recentNames{}, clock: clocktesting.NewFakePassiveClock(time.Now()),
				permission: allowing(func(name string) bool { return test.allowed && name == test.mayPublish }),
			}

			found, err := o.guardedProduction(requested(t, false), "shop")

			if err != nil || len(found) != test.guarded || len(reads) != test.reads {
				t.Errorf("%d environments, %d reads, %v; want %d and %d", len(found), len(reads), err, test.guarded, test.reads)
			}
		})
	}
}

// Each name that was admitted lately costs every edit of a flag a read, for as long as the cache may not know it. What is
// not stored, and what somebody without the permission asks for, is no such name: thousands of dry runs of an editor
// would hold up the others.
func TestOnlyWhatIsStoredWithThePermissionIsRemembered(t *testing.T) {
	staging, production := builders.MakeEnvironment("new", "shop"), builders.MakeEnvironment("new", "shop").Production()
	for name, test := range map[string]struct {
		environment *v1alpha1.FlagEnvironment
		mayPublish  bool
		dryRun      bool
		want        []string
	}{
		"stored":                     {environment: production.Obj(), mayPublish: true, want: []string{"new"}},
		"in a dry run":               {environment: production.Obj(), mayPublish: true, dryRun: true},
		"without the permission":     {environment: production.Obj()},
		"no production":              {environment: staging.Obj()},
		"no production, a publisher": {environment: staging.Obj(), mayPublish: true},
	} {
		t.Run(name, func(t *testing.T) {
			stored := storing(t)
			rules := &flagEnvironments{objects{
				cached: stored, live: stored, recent: &recentNames{}, clock: clocktesting.NewFakePassiveClock(time.Now()),
				permission: allowing(func(string) bool { return test.mayPublish }),
			}}
			w := &webhook[v1alpha1.FlagEnvironment, *v1alpha1.FlagEnvironment]{rules: rules, permission: rules.permission}

			err := w.permit(requested(t, test.dryRun), nil, test.environment)

			if isRefused := err != nil; isRefused != (test.environment.Spec.Production && !test.mayPublish) {
				t.Fatalf("it is answered with %v", err)
			}
			if names := rules.recent.in("shop"); !slices.Equal(names, test.want) {
				t.Errorf("%v are looked up, want %v", names, test.want)
			}
		})
	}
}
