// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package heartbeat

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// ExpectedFor is how long an instance is expected to report again.
	ExpectedFor = 10 * time.Minute

	// How much older the status may be than what was seen before only that is worth a write. Below Interval for SDKs, so
	// that steady heartbeats make a write a minute at most however many replicas get them; well below ExpectedFor for
	// instances.
	sdkTolerance      = Interval
	instanceTolerance = 3 * time.Minute

	// ahead is how far the clock of another replica may be ahead of this one's. What was seen later than that was written
	// while a clock was wrong, and would be believed until that time comes.
	ahead = Interval
)

// IsExpected reports whether an instance that was last seen at a time counts at now: it reported lately, and not in the
// future.
func IsExpected(lastSeen, now time.Time) bool {
	return now.Sub(lastSeen) < ExpectedFor && !isFromFuture(lastSeen, now)
}

func isFromFuture(at, now time.Time) bool { return at.Sub(now) > ahead }

// merge brings what was observed into the status of an environment, and reports whether that is worth a write.
// Instances are kept only where the environment counts them.
func merge(environment *v1alpha1.FlagEnvironment, of *observed, now time.Time) bool {
	status := &environment.Status
	changed := false
	status.SDKs, changed = mergeSDKs(status.SDKs, of, now)
	if !environment.Spec.Delivery.Acknowledge {
		return changed
	}
	instances, more := mergeInstances(status.Instances, of, now)
	status.Instances = instances
	return changed || more
}

func mergeSDKs(listed []v1alpha1.SDK, of *observed, now time.Time) ([]v1alpha1.SDK, bool) {
	all := map[sdk]time.Time{}
	changed := false
	for _, entry := range listed {
		if isFromFuture(entry.LastSeen.Time, now) {
			changed = true
			continue
		}
		all[sdk{entry.Type, entry.Version}] = entry.LastSeen.Time
	}
	for name, at := range of.sdks {
		known, found := all[name]
		if !found || at.After(known) {
			all[name] = at
			changed = changed || at.Sub(known) >= sdkTolerance
		}
	}
	merged := make([]v1alpha1.SDK, 0, len(all))
	for name, at := range all {
		merged = append(
			merged,
			v1alpha1.SDK{Type: name.name, Version: name.version, LastSeen: metav1.Time{Time: at.Truncate(time.Second)}},
		)
	}
	merged = newest(
		merged,
		v1alpha1.MaxSDKs,
		func(entry v1alpha1.SDK) time.Time { return entry.LastSeen.Time },
		func(a, b v1alpha1.SDK) int {
			return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Version, b.Version))
		},
	)
	return merged, changed
}

func mergeInstances(listed []v1alpha1.Instance, of *observed, now time.Time) ([]v1alpha1.Instance, bool) {
	all := map[string]loaded{}
	changed := false
	for _, entry := range listed {
		if isFromFuture(entry.LastSeen.Time, now) {
			changed = true
			continue
		}
		all[entry.Name] = loaded{entry.Revision, entry.LastSeen.Time}
	}
	for name, report := range of.instances {
		known, found := all[name]
		if !found || report.at.After(known.at) {
			all[name] = report
			changed = changed || known.revision != report.revision || report.at.Sub(known.at) >= instanceTolerance
		}
	}
	merged := make([]v1alpha1.Instance, 0, len(all))
	for name, report := range all {
		if IsExpected(report.at, now) {
			merged = append(
				merged,
				v1alpha1.Instance{
					Name:     name,
					Revision: report.revision,
					LastSeen: metav1.Time{Time: report.at.Truncate(time.Second)},
				},
			)
		}
	}
	merged = newest(
		merged,
		v1alpha1.MaxInstances,
		func(entry v1alpha1.Instance) time.Time { return entry.LastSeen.Time },
		func(a, b v1alpha1.Instance) int {
			return cmp.Compare(a.Name, b.Name)
		},
	)
	return merged, changed
}

// newest keeps the newest entries, limit of them at most, in order.
func newest[T any](entries []T, limit int, at func(T) time.Time, compare func(a, b T) int) []T {
	slices.SortFunc(entries, func(a, b T) int { return cmp.Or(at(b).Compare(at(a)), compare(a, b)) })
	entries = entries[:min(len(entries), limit)]
	slices.SortFunc(entries, compare)
	return entries
}
