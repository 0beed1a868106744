// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Records that were written past admission, and so cannot be read, may have told that the flag was on. The next change
// replaces them, and must not make a draft of the flag for an editor.
func TestAFlagWhoseRecordsWereLostIsNoDraft(t *testing.T) {
	flag := func(records string) *v1alpha1.FeatureFlag {
		made := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Disabled().
			Annotation(v1alpha1.ChangesAnnotation, records).Obj()
		made.Status.NeverEnabledIn = []string{"production"}
		return made
	}
	request := &admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "a", UserInfo: authenticationv1.UserInfo{Username: "eve@example.com"},
	}}
	h := &historian{clock: clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0)), own: "operator"}
	for name, tc := range map[string]struct {
		records string
		want    bool
	}{
		"none were lost": {"", true},
		"some were lost": {"nonsense", false},
	} {
		t.Run(name, func(t *testing.T) {
			old, changed := flag(tc.records), flag(tc.records)
			changed.Spec.Description = "another"
			if err := h.record(context.Background(), request, old, changed); err != nil {
				t.Fatal(err)
			}
			if got := wasNeverEnabled(changed, "production"); got != tc.want {
				t.Errorf("it was never enabled: %t, want %t; its records are %s", got, tc.want,
					changed.Annotations[v1alpha1.ChangesAnnotation])
			}
		})
	}
}
