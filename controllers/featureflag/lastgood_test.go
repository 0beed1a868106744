// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// Whoever stages a change that does not fit looks at the events of the flag. Published was False before, so that no
// transition tells of it.
func TestAStagedChangeThatDoesNotFitIsAnEvent(t *testing.T) {
	published := func(is metav1.ConditionStatus, reason string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.PublishedCondition, Status: is, Reason: reason}}
	}
	awaiting := published(metav1.ConditionFalse, v1alpha1.AwaitingPublishReason)
	lastGood := published(metav1.ConditionFalse, v1alpha1.LastGoodReason)
	for name, tc := range map[string]struct {
		was, is []metav1.Condition
		want    int
	}{
		"it does not fit":              {awaiting, lastGood, 1},
		"it still does not fit":        {lastGood, lastGood, 0},
		"it fits again":                {lastGood, awaiting, 0},
		"a transition, which is told":  {published(metav1.ConditionTrue, v1alpha1.PublishedReason), lastGood, 0},
		"the first status, as well":    {nil, lastGood, 0},
		"a status without a condition": {awaiting, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(2)
			r := &Reconciler{Status: &status.Patcher{Recorder: recorder}}
			before := builders.MakeFlag("checkout", "shop").Boolean().Obj()
			after := before.DeepCopy()
			before.Status.Conditions, after.Status.Conditions = tc.was, tc.is
			r.tellLastGood(before, after)
			if len(recorder.Events) != tc.want {
				t.Errorf("%d events, want %d", len(recorder.Events), tc.want)
			}
		})
	}
}
