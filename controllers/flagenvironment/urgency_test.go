// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// Whoever freezes, pins or publishes waits for the answer. Whoever edits a description may send an update after it.
func TestUrgencyOfAnEnvironment(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.FlagEnvironmentStatus)
		want   status.Urgency
	}{
		"a description": {func(*v1alpha1.FlagEnvironmentStatus) {}, status.Calm},
		"a freeze": {func(s *v1alpha1.FlagEnvironmentStatus) {
			s.State = v1alpha1.PublishStateFrozen
		}, status.Immediate},
		"a publish": {func(s *v1alpha1.FlagEnvironmentStatus) { s.PublishedRevision = 8 }, status.Immediate},
		"an answer": {func(s *v1alpha1.FlagEnvironmentStatus) { s.LastHandledPublishAt = "now" }, status.Immediate},
		"a problem": {func(s *v1alpha1.FlagEnvironmentStatus) {
			s.Conditions[0].Status = metav1.ConditionFalse
		}, status.Immediate},
		"another reason": {func(s *v1alpha1.FlagEnvironmentStatus) {
			s.Conditions[0].Message = "black friday"
		}, status.Immediate},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.FlagEnvironmentStatus{
				ObservedGeneration: 1,
				PublishedRevision:  7,
				State:              v1alpha1.PublishStateServing,
				Conditions: []metav1.Condition{
					{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, ObservedGeneration: 1},
				},
			}
			after := before.DeepCopy()
			after.ObservedGeneration, after.Conditions[0].ObservedGeneration = 2, 2
			tc.change(after)
			if got := urgencyOf(before, after); got != tc.want {
				t.Errorf("the urgency is %d, want %d", got, tc.want)
			}
			before.ObservedGeneration = -1
			if got := urgencyOf(before, after); got != status.Immediate {
				t.Errorf("the urgency of the first status is %d, want %d", got, status.Immediate)
			}
		})
	}
}
