// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdkkeys

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

func TestPlan(t *testing.T) {
	now := time.Date(2027, 3, 15, 9, 0, 10, 0, time.UTC)
	key := func(name string, age time.Duration, confirmed bool) v1alpha1.SDKKey {
		return v1alpha1.SDKKey{SecretName: name, CreatedAt: metav1.NewTime(now.Add(-age)), Confirmed: confirmed}
	}
	old, young, lost := key("old", time.Hour, true), key("young", 0, true), key("lost", 0, false)
	list := func(keys ...v1alpha1.SDKKey) []v1alpha1.SDKKey { return keys }
	tests := map[string]struct {
		keys                    []v1alpha1.SDKKey
		rotate, revoke, handled string
		want                    plan
		wantIdle                bool
	}{
		"a new environment": {want: plan{makes: true}},
		"a new environment that asks": {
			rotate: "2027-03-15T09:00:00Z",
			want:   plan{makes: true, request: "2027-03-15T09:00:00Z"},
		},
		"nothing to do":     {keys: list(old), want: plan{keys: list(old)}, wantIdle: true},
		"what a crash left": {keys: list(lost, old), want: plan{keys: list(old), makes: true}},
		"a request": {
			keys:   list(old),
			rotate: "2027-03-15T09:00:00Z",
			want:   plan{keys: list(old), makes: true, request: "2027-03-15T09:00:00Z"},
		},
		"a request that was answered": {
			keys:     list(old),
			rotate:   "2027-03-15T09:00:00Z",
			handled:  "2027-03-15T09:00:00Z",
			want:     plan{keys: list(old)},
			wantIdle: true,
		},
		"a request that is no time": {keys: list(old), rotate: "now", want: plan{keys: list(old)}, wantIdle: true},
		"a request beyond all bounds": {
			keys:     list(old),
			rotate:   "2027-03-15T09:00:00." + strings.Repeat("1", 99) + "Z",
			want:     plan{keys: list(old)},
			wantIdle: true,
		},
		"a fourth pair": {
			keys:   list(young, old, old),
			rotate: "2027-03-15T09:00:00Z",
			want:   plan{keys: list(young, old, old), full: true, request: "2027-03-15T09:00:00Z"},
		},
		"three pairs that nobody minds": {
			keys:     list(young, old, old),
			want:     plan{keys: list(young, old, old)},
			wantIdle: true,
		},
		"a fourth pair for a revoked one": {
			keys:   list(young, young, old),
			rotate: "2027-03-15T09:00:00Z",
			revoke: "2027-03-15T09:00:00Z",
			want:   plan{keys: list(young, young), revoked: []string{"old"}, makes: true, request: "2027-03-15T09:00:00Z"},
		},
		"revoked": {
			keys:   list(young, old),
			revoke: "2027-03-15T09:00:00Z",
			want:   plan{keys: list(young), revoked: []string{"old"}},
		},
		"revoked in the second of the new": {
			keys:   list(young, old),
			revoke: "2027-03-15T09:00:10Z",
			want:   plan{keys: list(young), revoked: []string{"old"}},
		},
		"all revoked": {
			keys:   list(old),
			revoke: "2027-03-15T09:00:00Z",
			want:   plan{revoked: []string{"old"}, makes: true},
		},
		"to be revoked later": {
			keys:     list(young, old),
			revoke:   "2027-03-15T09:00:15Z",
			want:     plan{keys: list(young, old), wait: 5 * time.Second},
			wantIdle: true,
		},
		"to be revoked within the second": {
			keys:     list(young),
			revoke:   "2027-03-15T09:00:10.9Z",
			want:     plan{keys: list(young)},
			wantIdle: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment(
				"production",
				"shop",
			).Annotation(
				v1alpha1.RotateKeysRequestedAtAnnotation,
				tc.rotate,
			).
				Annotation(
					v1alpha1.RevokeKeysBeforeAnnotation,
					tc.revoke,
				).Obj()
			environment.Status.SDKKeys, environment.Status.LastHandledRotateAt = tc.keys, tc.handled
			got := planFor(environment, now)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("what becomes of the keys (-want +got):\n%s", diff)
			}
			if idle := got.idle(&environment.Status); idle != tc.wantIdle {
				t.Errorf("idle: %v, want %v", idle, tc.wantIdle)
			}
		})
	}
}
