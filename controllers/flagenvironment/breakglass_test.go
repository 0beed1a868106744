// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// Two people who break the glass one after the other, before the operator is back, leave one mark. Who reads the record
// must see that the second has not done all of it.
func TestWhatWasSeenBeforeABreakGlass(t *testing.T) {
	for name, tc := range map[string]struct {
		before         *publish.Served
		last, revision int64
		want           int64
	}{
		"the first, after a restart":   {nil, 3, 4, 0},
		"the second, after a restart":  {nil, 3, 5, 3},
		"the first, in memory":         {&publish.Served{Revision: 4}, 3, 5, 0},
		"the second, in memory":        {&publish.Served{Revision: 4}, 3, 7, 4},
		"nothing was published before": {nil, 0, 2, 0},
	} {
		if got := seenBefore(tc.revision, tc.before, tc.last); got != tc.want {
			t.Errorf("%s: revision %d, want %d", name, got, tc.want)
		}
	}
}
