// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// maxLaggards is how many laggards a status names.
const maxLaggards = 10

// setAcknowledged counts the instances that have loaded the served revision. Heartbeats reach any replica, which merges
// them into status.instances; what they mean is said here alone.
func setAcknowledged(conditions status.Conditions, s *scope, to *v1alpha1.FlagEnvironmentStatus) {
	if !s.environment.Spec.Delivery.Acknowledge {
		to.Delivery, to.Instances = nil, nil
		conditions.Remove(v1alpha1.AcknowledgedCondition)
		return
	}
	count := &v1alpha1.DeliveryStatus{Revision: to.PublishedRevision}
	for _, instance := range to.Instances {
		switch {
		case !heartbeat.IsExpected(instance.LastSeen.Time, s.now):
			continue
		case instance.Revision == to.PublishedRevision:
			count.Acknowledged++
		case len(count.Laggards) < maxLaggards:
			count.Laggards = append(count.Laggards, instance.Name)
		}
		count.Expected++
	}
	to.Delivery = count
	switch behind := int(count.Expected - count.Acknowledged); {
	case behind > 0:
		named := strings.Join(count.Laggards, ", ")
		if more := behind - len(count.Laggards); more > 0 {
			named += fmt.Sprintf(" and %d more", more)
		}
		conditions.Set(
			v1alpha1.AcknowledgedCondition,
			false,
			v1alpha1.LaggardsReason,
			fmt.Sprintf(
				"%d of %d instances have loaded revision %d; waiting for %s",
				count.Acknowledged,
				count.Expected,
				count.Revision,
				named,
			),
		)
	case count.Expected == 0:
		conditions.Set(
			v1alpha1.AcknowledgedCondition,
			true,
			v1alpha1.AcknowledgedReason,
			"no instance reports what it has loaded",
		)
	default:
		conditions.Set(v1alpha1.AcknowledgedCondition, true, v1alpha1.AcknowledgedReason,
			fmt.Sprintf("all %d instances have loaded revision %d", count.Expected, count.Revision))
	}
}

// untilSilent is how long until an instance is no longer expected to report, and 0 where none is.
func untilSilent(environment *v1alpha1.FlagEnvironment, now time.Time) time.Duration {
	var next time.Duration
	if !environment.Spec.Delivery.Acknowledge {
		return next
	}
	for _, instance := range environment.Status.Instances {
		if !heartbeat.IsExpected(instance.LastSeen.Time, now) {
			continue
		}
		if wait := instance.LastSeen.Add(heartbeat.ExpectedFor).Sub(now); wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	return next
}
