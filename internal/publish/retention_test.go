// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"slices"
	"testing"
	"time"
)

// Whoever comes to a broken production wants to go back to what was served before all the edits. A history of the last
// ten has lost that after a burst of eleven.
func TestExpired(t *testing.T) {
	now := time.Date(2027, 1, 20, 12, 0, 0, 0, time.UTC)
	// history are revisions from 1 on, by how long before now they were published.
	history := func(ages ...time.Duration) []kept {
		all := make([]kept, len(ages))
		for i, age := range ages {
			all[i] = kept{revision: int64(i + 1), at: now.Add(-age)}
		}
		return all
	}
	// burst is many revisions, a second apart, the last of them at that age.
	burst := func(age time.Duration) (ages []time.Duration) {
		for i := 23; i >= 0; i-- {
			ages = append(ages, age+time.Duration(i)*time.Second)
		}
		return ages
	}
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		all   []kept
		limit int
		// stay are those that stay.
		stay []int64
	}{
		"nothing":       {nil, 10, nil},
		"fewer":         {history(3*time.Minute, 2*time.Minute), 10, []int64{1, 2}},
		"a burst alone": {history(burst(time.Minute)...), 2, []int64{23, 24}},
		"what was served before a burst in the same hour": {
			history(append([]time.Duration{50 * time.Minute}, burst(10*time.Minute)...)...), 3, []int64{1, 23, 24, 25},
		},
		"what was served before a burst of yesterday": {
			history(append([]time.Duration{30 * time.Hour}, burst(26*time.Hour)...)...), 2, []int64{1, 24, 25},
		},
		"the end of an older burst, which was served long": {
			history(append(append([]time.Duration{5 * time.Hour}, burst(170*time.Minute)...), burst(time.Minute)...)...),
			2, []int64{1, 25, 48, 49},
		},
		"one an hour of the last day": {
			history(150*time.Minute, 140*time.Minute, 90*time.Minute, 80*time.Minute, 10*time.Minute), 1, []int64{2, 4, 5},
		},
		"one a day of the last week, then none": {
			history(9*day, 8*day, 3*day+2*time.Hour, 3*day+time.Hour, 2*day, time.Minute), 1, []int64{4, 5, 6},
		},
		"what has no time counts by its number alone": {
			[]kept{{revision: 1}, {revision: 2}, {revision: 3, at: now}}, 1, []int64{3},
		},
		"a clock that was set back": {history(0, time.Hour, -time.Hour), 1, []int64{1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			gone := expired(tc.all, tc.limit, now)
			var stay []int64
			for _, entry := range tc.all {
				if !slices.Contains(gone, entry.revision) {
					stay = append(stay, entry.revision)
				}
			}
			if !slices.Equal(stay, tc.stay) {
				t.Errorf("the revisions %v stay, want %v", stay, tc.stay)
			}
		})
	}
}

// What stays goes on staying until its time is over: a history that is looked at every minute keeps the same.
func TestExpiredIsStable(t *testing.T) {
	begin := time.Date(2027, 1, 20, 0, 0, 0, 0, time.UTC)
	var all []kept
	for minute := range 3 * 24 * 60 {
		now := begin.Add(time.Duration(minute) * time.Minute)
		if minute%7 == 0 {
			all = append(all, kept{revision: int64(minute + 1), at: now})
		}
		gone := expired(all, 10, now)
		all = slices.DeleteFunc(all, func(entry kept) bool { return slices.Contains(gone, entry.revision) })
	}
	if len(all) < 10+23+1 || len(all) > 10+25+3 {
		t.Errorf("%d revisions are kept of three days", len(all))
	}
}
