// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A misspelt name is the usual reason for a reference to nothing; a far-fetched proposal would mislead.
func TestNearest(t *testing.T) {
	among := []string{"production", "staging", "pre-production", "beta-testers", "eu"}
	for name, tc := range map[string]struct {
		name string
		want []string
	}{
		"short form":     {"prod", []string{"production"}},
		"swapped":        {"stagign", []string{"staging"}},
		"another case":   {"Production", []string{"production", "pre-production"}},
		"underscore":     {"beta_testers", []string{"beta-testers"}},
		"nothing near":   {"canary", nil},
		"too short":      {"p", nil},
		"itself":         {"eu", nil},
		"empty":          {"", nil},
		"more than that": {"productionx", []string{"production"}},
	} {
		t.Run(name, func(t *testing.T) {
			if delta := cmp.Diff(tc.want, Nearest(tc.name, among)); delta != "" {
				t.Errorf("proposals for %q (-want +got):\n%s", tc.name, delta)
			}
		})
	}
}
