// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A client that sends back what it read must not be refused because the operator has seen the flag meanwhile, under the
// same ETag. A status that asks for something must not be taken and forgotten.
func TestAStatusThatWasReadIsTaken(t *testing.T) {
	production := builders.MakeEnvironment("production", "shop").Obj()
	flag := func() *builders.FlagBuilder {
		return builders.MakeFlag("x", "shop").Boolean().Environment("production")
	}
	for name, tc := range map[string]struct {
		flag            *v1alpha1.FeatureFlag
		wasEnabled      bool
		status, enabled string
		alone, read     bool
	}{
		"as it is":                 {flag().Disabled().Obj(), true, "inactive", "", true, true},
		"before it was seen":       {flag().Disabled().Obj(), true, "active", "", false, true},
		"off, and never on":        {flag().Disabled().Obj(), false, "inactive", "", false, false},
		"on":                       {flag().Obj(), true, "inactive", "", false, false},
		"archived":                 {flag().Archived().Obj(), true, "active", "", false, false},
		"not archived":             {flag().Disabled().Obj(), true, "archived", "", false, false},
		"enabled by what was read": {flag().Disabled().Obj(), true, "active", "true", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.wasEnabled {
				tc.flag.Status.FirstEnabledTime = new(metav1.Now())
			}
			asked := ReadOnly{Status: json.RawMessage(`"` + tc.status + `"`)}
			if tc.enabled != "" {
				asked.Enabled = json.RawMessage(tc.enabled)
			}
			if err := asked.check(tc.flag, production, time.Now()); (err == nil) != tc.alone {
				t.Errorf("alone it is answered with %v", err)
			}
			asked.UpdatedAt = json.RawMessage(`"2026-01-02T15:04:05Z"`)
			if err := asked.check(tc.flag, production, time.Now()); (err == nil) != tc.read {
				t.Errorf("beside what was read it is answered with %v", err)
			}
		})
	}
}
