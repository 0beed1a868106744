// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"testing"
	"time"
)

// Every reader of a schedule asks this one definition: where two disagree, a view says "on" of a flag that is off.
func TestScheduleOnAt(t *testing.T) {
	const early, late = "2027-03-15T09:00:00Z", "2027-03-16T09:00:00Z"
	before, between, after := "2027-03-15T08:59:59Z", early, late
	for name, tc := range map[string]struct {
		schedule *Schedule
		want     [3]bool // At before, between and after.
	}{
		"none":            {nil, [3]bool{true, true, true}},
		"no instants":     {&Schedule{}, [3]bool{true, true, true}},
		"enable":          {&Schedule{EnableAt: early}, [3]bool{false, true, true}},
		"disable":         {&Schedule{DisableAt: late}, [3]bool{true, true, false}},
		"window":          {&Schedule{EnableAt: early, DisableAt: late}, [3]bool{false, true, false}},
		"pause":           {&Schedule{EnableAt: late, DisableAt: early}, [3]bool{true, false, true}},
		"cannot be read":  {&Schedule{EnableAt: "tomorrow"}, [3]bool{true, true, true}},
		"the same twice":  {&Schedule{EnableAt: early, DisableAt: early}, [3]bool{true, true, true}},
		"another offset":  {&Schedule{EnableAt: "2027-03-15T10:00:00+01:00"}, [3]bool{false, true, true}},
		"before the year": {&Schedule{EnableAt: "0001-01-01T00:00:00Z"}, [3]bool{true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, text := range []string{before, between, after} {
				now, err := time.Parse(time.RFC3339, text)
				if err != nil {
					t.Fatal(err)
				}
				if on := tc.schedule.OnAt(now); on != tc.want[i] {
					t.Errorf("at %s the flag is on: %t, want %t", text, on, tc.want[i])
				}
			}
		})
	}
}
