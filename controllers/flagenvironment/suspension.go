// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// untilThaw is how long until the suspension of an environment ends by itself, and 0 where it does not.
func untilThaw(environment *v1alpha1.FlagEnvironment, now time.Time) time.Duration {
	if spec := environment.Spec.Publish.At(now); spec.SuspendUntil != nil {
		return spec.SuspendUntil.Sub(now)
	}
	return 0
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// tellThaw records an event where a suspension has ended by itself, which no change record tells.
func (r *Reconciler) tellThaw(s *scope, after *v1alpha1.FlagEnvironment) {
	spec := &s.environment.Spec.Publish
	if s.environment.Status.State != v1alpha1.PublishStateFrozen || after.Status.State == v1alpha1.PublishStateFrozen ||
		!spec.Suspend || spec.At(s.now).Suspend {
		return
	}
	r.Status.Recorder.Eventf(after, nil, corev1.EventTypeNormal, v1alpha1.ThawedReason, "Thaw",
		"the freeze has ended by itself (spec.publish.suspendUntil)%s", because(spec))
}

// because is the reason of a suspension in brackets, and empty where it has none.
func because(spec *v1alpha1.Publish) string {
	if spec.SuspendReason == "" {
		return ""
	}
	return " (" + spec.SuspendReason + ")"
}
