// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package durations says in benchmarks how long things took.
package durations

import (
	"slices"
	"time"
)

// Percentile is the duration that so many percent of values do not exceed, by nearest rank. There is at least one
// value.
func Percentile(values []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

// Rounded writes a duration with three digits or less than one percent of rounding.
func Rounded(d time.Duration) string { return d.Round(max(d/100, 1)).String() }
