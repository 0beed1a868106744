// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"maps"
	"slices"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// A list of a thousand stars goes through the flags once.
func TestKeysGoThroughFlagsOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		asked, want []string
		times       int
	}{
		"two flags":       {[]string{"b", "made-up", "b"}, []string{"b", "made-up"}, 0},
		"all":             {[]string{"*"}, []string{"a", "b"}, 1},
		"all, often":      {slices.Repeat([]string{"*"}, 1000), []string{"a", "b"}, 1},
		"all and another": {[]string{"*", "made-up", "a", "*"}, []string{"a", "b", "made-up"}, 1},
	} {
		times := 0
		all := func(yield func(*evaluate.Flag) bool) {
			times++
			_ = yield(&evaluate.Flag{Key: "a"}) && yield(&evaluate.Flag{Key: "b"})
		}
		got := slices.Sorted(maps.Keys(keys(tc.asked, all)))
		if !slices.Equal(got, tc.want) || times != tc.times {
			t.Errorf("%s: %v, after going through the flags %d times", name, got, times)
		}
	}
}
