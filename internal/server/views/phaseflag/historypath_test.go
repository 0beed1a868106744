// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import "testing"

// TestHistoryPaths fails where the history of a flag names fields as the Kinds do, which callers of the view do not know.
func TestHistoryPaths(t *testing.T) {
	for path, want := range map[string]string{
		"spec.displayName": "name",
		"spec.environments[production].schedule.enableAt":            "schedule.enable_at",
		"spec.environments[Staging].codeDefault":                     "environments[Staging].code_default",
		"spec.environments[production].defaultVariation":             "default_variation",
		"spec.environments[production].overrides[newUser].variation": "overrides[newUser].variation",
	} {
		if got := showPath(path, "production"); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
