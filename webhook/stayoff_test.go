// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever removes a brake with kubectl annotate NAME- read that the flag was annotated, and believed that it was on.
func TestABrakeThatIsLeftOutIsWarnedOf(t *testing.T) {
	const brake = v1alpha1.ForceDisabledAnnotation
	const warning = "the flag stays off in production: to leave out the annotation flags.jackstaff.dev/force-disabled " +
		"does not lift it; write flags.jackstaff.dev/force-disabled= with an empty value"
	for name, tc := range map[string]struct {
		before, now map[string]string
		operation   admissionv1.Operation
		want        string
	}{
		"left out":              {map[string]string{brake: "production"}, nil, admissionv1.Update, warning},
		"left out among others": {map[string]string{brake: "production"}, map[string]string{"a": "b"}, admissionv1.Update, warning},
		"lifted":                {map[string]string{brake: "production"}, map[string]string{brake: ""}, admissionv1.Update, ""},
		"kept":                  {map[string]string{brake: "production"}, map[string]string{brake: "production"}, admissionv1.Update, ""},
		"lifted before":         {map[string]string{brake: ""}, nil, admissionv1.Update, ""},
		"none":                  {nil, nil, admissionv1.Update, ""},
		"a new flag":            {nil, nil, admissionv1.Create, ""},
	} {
		t.Run(name, func(t *testing.T) {
			old, flag := builders.MakeFlag("payments", "shop").Obj(), builders.MakeFlag("payments", "shop").Obj()
			old.Annotations, flag.Annotations = tc.before, tc.now
			raw, err := json.Marshal(old)
			if err != nil {
				t.Fatal(err)
			}
			request := &admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: tc.operation}}
			if tc.operation == admissionv1.Update {
				request.OldObject = runtime.RawExtension{Raw: raw}
			}
			if got := staysOff(request, flag); got != tc.want {
				t.Errorf("admission warns %q, want %q", got, tc.want)
			}
		})
	}
	if got := staysOff(
		&admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Update}},
		builders.MakeEnvironment("production", "shop").Obj(),
	); got != "" {
		t.Errorf("an environment has no brake, and admission warns %q", got)
	}
}
