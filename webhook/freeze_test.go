// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever patches the end and the reason of a freeze without the freeze believed that production was frozen.
func TestAFreezeWithoutSuspendIsWarnedOf(t *testing.T) {
	const rest = ": removed, because spec.publish.suspend is not true: nothing is frozen; write suspend: true in the same change"
	until := new(metav1.NewTime(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)))
	later := new(metav1.NewTime(until.Add(time.Hour)))
	frozen := &v1alpha1.Publish{Suspend: true, SuspendUntil: until, SuspendReason: "black friday"}
	for name, tc := range map[string]struct {
		before *v1alpha1.Publish
		now    v1alpha1.Publish
		want   string
	}{
		"on creation": {nil, v1alpha1.Publish{SuspendUntil: until}, "spec.publish.suspendUntil" + rest},
		"both": {
			&v1alpha1.Publish{}, v1alpha1.Publish{SuspendUntil: until, SuspendReason: "black friday"},
			"spec.publish.suspendUntil, spec.publish.suspendReason" + rest,
		},
		"the reason": {&v1alpha1.Publish{}, v1alpha1.Publish{SuspendReason: "x"}, "spec.publish.suspendReason" + rest},
		"a freeze":   {&v1alpha1.Publish{}, *frozen, ""},
		"the end of a freeze, which leaves both over": {
			frozen, v1alpha1.Publish{SuspendUntil: until, SuspendReason: "black friday"}, "",
		},
		"the end of a freeze, and another one": {
			frozen, v1alpha1.Publish{SuspendUntil: later, SuspendReason: "black friday"}, "spec.publish.suspendUntil" + rest,
		},
		"nothing of it": {&v1alpha1.Publish{}, v1alpha1.Publish{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := &admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Create}}
			if tc.before != nil {
				stored := builders.MakeEnvironment("production", "shop").Obj()
				stored.Spec.Publish = *tc.before
				raw, err := json.Marshal(stored)
				if err != nil {
					t.Fatal(err)
				}
				request.Operation, request.OldObject = admissionv1.Update, runtime.RawExtension{Raw: raw}
			}
			environment := builders.MakeEnvironment("production", "shop").Obj()
			environment.Spec.Publish = tc.now
			if got := freezesNothing(request, environment); got != tc.want {
				t.Errorf("admission warns %q, want %q", got, tc.want)
			}
		})
	}
}
