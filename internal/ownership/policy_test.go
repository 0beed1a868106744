// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"context"
	"errors"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// What somebody wrote without the operator is believed only because the API server let nobody write it but those who may
// publish. A policy that does not bind them vouches for nothing.
func TestGuarded(t *testing.T) {
	type (
		policy  = admissionregistrationv1.ValidatingAdmissionPolicy
		binding = admissionregistrationv1.ValidatingAdmissionPolicyBinding
	)
	for name, tc := range map[string]struct {
		change func(*policy, *binding)
		err    error
		want   bool
	}{
		"as it is installed": {want: true},
		"as the API server completes it": {want: true, change: func(_ *policy, b *binding) {
			b.Spec.MatchResources = &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
			}
		}},
		"audits only": {change: func(_ *policy, b *binding) {
			b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Audit}
		}},
		"lets pass what it cannot evaluate": {change: func(p *policy, _ *binding) {
			p.Spec.FailurePolicy = new(admissionregistrationv1.Ignore)
		}},
		"leaves out namespaces": {change: func(_ *policy, b *binding) {
			b.Spec.MatchResources = &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			}
		}},
		"binds another policy": {change: func(_ *policy, b *binding) { b.Spec.PolicyName = "other" }},
		"is not bound":         {change: func(_ *policy, b *binding) { b.Name = "other" }},
		"is not there":         {change: func(p *policy, _ *binding) { p.Name = "other" }},
		"may not be read":      {err: apierrors.NewForbidden(schema.GroupResource{}, PolicyName, errors.New("no role"))},
	} {
		t.Run(name, func(t *testing.T) {
			p := &policy{ObjectMeta: metav1.ObjectMeta{Name: PolicyName}}
			b := &binding{ObjectMeta: metav1.ObjectMeta{Name: PolicyName}}
			b.Spec.PolicyName = PolicyName
			b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}
			if tc.change != nil {
				tc.change(p, b)
			}
			reader := fake.NewClientBuilder().WithObjects(p, b).WithInterceptorFuncs(interceptor.Funcs{
				Get: func(
					ctx context.Context, inner client.WithWatch, key client.ObjectKey, object client.Object,
					options ...client.GetOption,
				) error {
					if tc.err != nil {
						return tc.err
					}
					return inner.Get(ctx, key, object, options...)
				},
			}).Build()
			if got, err := Guarded(t.Context(), reader); err != nil || got != tc.want {
				t.Errorf("guarded is %t, %v", got, err)
			}
		})
	}
}

// Whoever ends a break glass is recorded. A mark of the end must not count as one of the beginning, nor the other way
// round, and a user's name may be what an end looks like.
func TestTheMarkOfTheEnd(t *testing.T) {
	at := time.Date(2027, 1, 1, 3, 0, 0, 0, time.UTC)
	marked := func(value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Annotations: map[string]string{v1alpha1.BreakGlassAnnotation: value},
		}}
	}
	for _, actor := range []string{"alice", "the ended", "system:serviceaccount:a:b"} {
		mark := BreakGlass{Actor: actor, At: at}
		if _, is := BreakGlassOf(marked(mark.Ended())); is {
			t.Errorf("the end by %s counts as a break glass", actor)
		}
		if by, is := BreakGlassEndOf(marked(mark.Ended())); !is || by != mark {
			t.Errorf("the end by %s is read as %v, %t", actor, by, is)
		}
		if _, is := BreakGlassEndOf(marked(mark.String())); is {
			t.Errorf("the break glass of %s counts as its end", actor)
		}
	}
	if _, is := BreakGlassEndOf(marked("alice ended")); is {
		t.Error("an end without a time is believed")
	}
}
