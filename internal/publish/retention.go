// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

const (
	// defaultHistoryLimit is how many of the newest revisions are kept where the spec does not say.
	defaultHistoryLimit = 10

	// hourlyFor and dailyFor are how long one revision an hour and one a day are kept besides the newest.
	hourlyFor = 24 * time.Hour
	dailyFor  = 7 * 24 * time.Hour

	// burst is how long a revision was served at most that is one of many in a burst of edits.
	burst = time.Minute
)

// kept is a revision of the history.
type kept struct {
	revision int64
	// at is when it was published, and zero where nobody knows.
	at time.Time
}

// keptOf returns the revisions of the history, which is in the order of their numbers. One of which both the published
// and the compressed form are there counts once.
func keptOf(history []metav1.PartialObjectMetadata) []kept {
	all := make([]kept, len(history))
	for i := range history {
		all[i].revision = ownership.RevisionOf(&history[i])
		all[i].at, _ = time.Parse(time.RFC3339, history[i].Annotations[v1alpha1.PublishedAtAnnotation])
	}
	return slices.CompactFunc(all, func(a, b kept) bool { return a.revision == b.revision })
}

// expired returns the revisions that are to be removed, of all in the order of their numbers. The newest limit stay.
// Of the others, one stays for each hour of the last day and one for each day of the last week, in UTC: the one that
// was served longest, so that what was served before a burst of edits outlives the burst.
func expired(all []kept, limit int, now time.Time) []int64 {
	newest := max(0, len(all)-limit)
	stays := make([]bool, len(all))
	for i := newest; i < len(all); i++ {
		stays[i] = true
	}
	served := func(i int) time.Duration {
		if i == len(all)-1 {
			return now.Sub(all[i].at)
		}
		return all[i+1].at.Sub(all[i].at)
	}
	for _, rule := range []struct{ every, within time.Duration }{{time.Hour, hourlyFor}, {24 * time.Hour, dailyFor}} {
		best := map[time.Time]int{}
		isKept := map[time.Time]bool{}
		for i := range all {
			bucket := all[i].at.Truncate(rule.every)
			if all[i].at.IsZero() || now.Sub(all[i].at) > rule.within {
				continue
			}
			isKept[bucket] = isKept[bucket] || i >= newest
			if other, has := best[bucket]; i < newest && (!has || served(i) >= served(other)) {
				best[bucket] = i
			}
		}
		for bucket, i := range best {
			stays[i] = stays[i] || !isKept[bucket] || served(i) > burst
		}
	}
	var gone []int64
	for i := range all {
		if !stays[i] {
			gone = append(gone, all[i].revision)
		}
	}
	return slices.Clip(gone)
}

// compressible returns the revisions that are to be compressed, of all in the order of their numbers: those beyond the
// newest limit that stay. The hour in which one was published must be over: until then another one of the hour often
// takes its place, and a burst of edits would write each twice.
func compressible(all []kept, gone []int64, limit int, now time.Time) []int64 {
	var old []int64
	for _, one := range all[:max(0, len(all)-limit)] {
		if !slices.Contains(gone, one.revision) && one.at.Truncate(time.Hour).Before(now.Truncate(time.Hour)) {
			old = append(old, one.revision)
		}
	}
	return old
}
