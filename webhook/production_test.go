// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
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
				permission: &permission{authorizer.AuthorizerFunc(
					func(_ context.Context, right authorizer.Attributes) (authorizer.Decision, string, error) {
						if right.GetVerb() == "publish" && right.GetNamespace() == "shop" && test.allowed &&
							right.GetName() == test.mayPublish {
							return authorizer.DecisionAllow, "", nil
						}
						return authorizer.DecisionNoOpinion, "", nil
					},
				)},
			}
			ctx := admission.NewContextWithRequest(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				Namespace: "shop", UserInfo: authenticationv1.UserInfo{Username: "alice@example.com"},
			}})

			found, err := o.guardedProduction(ctx, "shop")

			if err != nil || len(found) != test.guarded || len(reads) != test.reads {
				t.Errorf("%d environments, %d reads, %v; want %d and %d", len(found), len(reads), err, test.guarded, test.reads)
			}
		})
	}
}
