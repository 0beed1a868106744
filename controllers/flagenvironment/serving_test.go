// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

func TestSetState(t *testing.T) {
	const manual = v1alpha1.PublishModeManual
	for name, tc := range map[string]struct {
		spec        v1alpha1.Publish
		revision    int64
		pending     int32
		unfit       int32
		wrong       []string // Types of conditions that are False.
		want        v1alpha1.PublishState
		wantMessage string
	}{
		"what is wanted is served": {revision: 3, want: "Serving", wantMessage: "all conditions are True"},
		"a freeze": {
			spec: v1alpha1.Publish{Suspend: true}, revision: 3, pending: 2, want: "Frozen",
			wantMessage: "publishing is suspended at revision 3, and 2 changed flags wait",
		},
		"a freeze before the first publish": {
			spec: v1alpha1.Publish{Suspend: true}, wrong: []string{v1alpha1.PublishedCondition}, want: "Frozen",
		},
		"a pin": {
			spec: v1alpha1.Publish{Revision: new(int64(3))}, revision: 3, want: "Pinned", wantMessage: "revision 3 is pinned",
		},
		"a pin while frozen": {spec: v1alpha1.Publish{Revision: new(int64(3)), Suspend: true}, revision: 3, want: "Pinned"},
		"a pin to what is not there": {
			spec: v1alpha1.Publish{Revision: new(int64(9))}, revision: 3, wrong: []string{v1alpha1.PublishedCondition},
			want: "Degraded",
		},
		"a broken flag":                {revision: 3, wrong: []string{v1alpha1.CompiledCondition}, want: "Degraded"},
		"a broken flag under a freeze": {spec: v1alpha1.Publish{Suspend: true}, revision: 3, wrong: []string{v1alpha1.CompiledCondition}, want: "Frozen"},
		"laggards, as after each publish": {
			revision: 3, wrong: []string{v1alpha1.AcknowledgedCondition}, want: "Serving",
		},
		"changes wait": {
			spec: v1alpha1.Publish{Mode: manual}, revision: 3, pending: 1, want: "AwaitingPublish",
			wantMessage: "1 changed flags wait for a publish",
		},
		"the first publish waits": {
			spec: v1alpha1.Publish{Mode: manual}, wrong: []string{v1alpha1.PublishedCondition}, want: "AwaitingPublish",
		},
		"what waits does not fit": {
			spec: v1alpha1.Publish{Mode: manual}, revision: 3, pending: 2, unfit: 2, want: "Serving",
			wantMessage: "all conditions are True; the changes of 2 flags do not fit",
		},
		"some of what waits does not fit": {
			spec: v1alpha1.Publish{Mode: manual}, revision: 3, pending: 3, unfit: 2, want: "AwaitingPublish",
			wantMessage: "1 changed flags wait for a publish, and the changes of 2 flags do not fit",
		},
		"a draft without room": {
			revision: 3, pending: 1, unfit: 1, want: "Serving", wantMessage: "True; the changes of 1 flags do not fit",
		},
		"a draft without room under a freeze": {
			spec: v1alpha1.Publish{Suspend: true}, revision: 3, pending: 1, unfit: 1, want: "Frozen",
			wantMessage: "publishing is suspended at revision 3, and the changes of 1 flags do not fit",
		},
		"nothing waits":            {spec: v1alpha1.Publish{Mode: manual}, revision: 3, want: "Serving"},
		"nothing can be published": {wrong: []string{v1alpha1.PublishedCondition}, want: "Degraded"},
	} {
		t.Run(name, func(t *testing.T) {
			status := &v1alpha1.FlagEnvironmentStatus{PublishedRevision: tc.revision}
			status.Flags.Pending = tc.pending
			ready := metav1.Condition{
				Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Message: "all conditions are True",
			}
			for _, wrong := range tc.wrong {
				ready.Status = metav1.ConditionFalse
				status.Conditions = append(status.Conditions, metav1.Condition{Type: wrong, Status: metav1.ConditionFalse})
			}
			status.Conditions = append(status.Conditions, ready)
			setState(&tc.spec, status, tc.unfit)
			if status.State != tc.want {
				t.Errorf("kubectl get ffe shows %s, want %s", status.State, tc.want)
			}
			if message := status.Conditions[len(tc.wrong)].Message; !strings.Contains(message, tc.wantMessage) {
				t.Errorf("READY says %q, want %q", message, tc.wantMessage)
			}
		})
	}
}

// Whoever rolls back waits for status.pinnedRevision, and learns nothing where it is not that of the pin: the wait times
// out although the revision is served.
func TestPinnedRevision(t *testing.T) {
	for name, tc := range map[string]struct {
		pin    *int64
		served publish.Served
		want   int64
	}{
		"served as it is":                     {new(int64(3)), publish.Served{Revision: 3}, 3},
		"served with flags forced off":        {new(int64(3)), publish.Served{Revision: 5, PinnedRevision: 3}, 3},
		"a pin of what flags forced off make": {new(int64(5)), publish.Served{Revision: 5, PinnedRevision: 3}, 5},
		"not served yet":                      {new(int64(3)), publish.Served{Revision: 4}, 0},
		"no pin":                              {nil, publish.Served{Revision: 3}, 0},
		"what a pin has left":                 {nil, publish.Served{Revision: 5, PinnedRevision: 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pinnedRevision(&v1alpha1.Publish{Revision: tc.pin}, &tc.served); got != tc.want {
				t.Errorf("status.pinnedRevision is %d, want %d", got, tc.want)
			}
		})
	}
}
