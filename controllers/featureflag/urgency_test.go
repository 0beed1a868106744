// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// A brake that on call does not see at once is pulled twice. Whoever has switched a flag looks whether that is served.
func TestUrgencyOfAFlag(t *testing.T) {
	type change func(*v1alpha1.EnvironmentState)
	wanted := func(on bool) change { return func(s *v1alpha1.EnvironmentState) { s.Wanted.Enabled = on } }
	braked := func(s *v1alpha1.EnvironmentState) { s.Wanted.ForceDisabled = true }
	served := func(on bool) change {
		return func(s *v1alpha1.EnvironmentState) { s.Served = &v1alpha1.ServedState{Enabled: on} }
	}
	of := func(changes ...change) []v1alpha1.EnvironmentState {
		states := []v1alpha1.EnvironmentState{{Name: "staging"}, {Name: "production"}}
		for _, change := range changes {
			change(&states[1])
		}
		return states
	}
	on := of(wanted(true), served(true))
	for name, tc := range map[string]struct {
		before, after []v1alpha1.EnvironmentState
		want          status.Urgency
	}{
		"a description": {on, on, status.Calm},
		"a share": {on, of(wanted(true), served(true), func(s *v1alpha1.EnvironmentState) {
			s.Served.Configuration, s.State = "10%", v1alpha1.ServingStatePending
		}), status.Calm},
		"an environment without the flag":  {on[:1], of(), status.Calm},
		"switched off, not served yet":     {on, of(wanted(false), served(true)), status.Soon},
		"switched off and served":          {on, of(wanted(false), served(false)), status.Soon},
		"switched off by what is served":   {on, of(wanted(true), served(false)), status.Soon},
		"archived":                         {on, of(wanted(false)), status.Soon},
		"switched on":                      {of(served(false)), on, status.Soon},
		"a new environment in which it is": {on[:1], on, status.Soon},
		"a brake, not served yet":          {on, of(wanted(true), served(true), braked), status.Immediate},
		"a brake that is served": {
			of(wanted(true), served(true), braked), of(wanted(true), served(false), braked), status.Immediate,
		},
		"a brake as before": {of(served(false), braked), of(wanted(true), served(false), braked), status.Soon},
		"a brake that is lifted": {
			of(wanted(true), served(false), braked), of(wanted(true), served(false)), status.Immediate,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ready := []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue}}
			before := &v1alpha1.FeatureFlagStatus{Environments: tc.before, Conditions: ready}
			after := &v1alpha1.FeatureFlagStatus{Environments: tc.after, Conditions: ready}
			if got := urgencyOf(before, after); got != tc.want {
				t.Errorf("the urgency is %d, want %d", got, tc.want)
			}
			before.Conditions = nil
			if got := urgencyOf(before, after); got != status.Immediate {
				t.Errorf("the urgency of the first status is %d, want %d", got, status.Immediate)
			}
		})
	}
}
