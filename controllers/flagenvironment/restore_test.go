// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"
	"time"
)

// Two minutes of 120 hand edits a second: the log stays readable and the API server alive.
func TestRestoresHaveAPace(t *testing.T) {
	var r restores
	begin := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	var writes, lines, told int
	var first time.Duration = -1
	for at := time.Duration(0); at < 2*time.Minute; at += time.Second / 120 {
		now := begin.Add(at)
		if r.pace.wait(now) > 0 {
			continue
		}
		if first < 0 {
			first = at
		}
		writes++
		if tell, silent := r.begin(now); tell {
			lines++
			told += 1 + silent
		}
	}
	if first != 0 {
		t.Errorf("the first restore waits for %s", first)
	}
	if writes < 120 || writes > 130 {
		t.Errorf("%d writes in two minutes, want about one a second", writes)
	}
	if lines != 2 {
		t.Errorf("%d lines in two minutes, want one a minute", lines)
	}
	if told+r.silent != writes {
		t.Errorf("the log tells of %d restores, and %d wait to be told, of %d", told, r.silent, writes)
	}
}
