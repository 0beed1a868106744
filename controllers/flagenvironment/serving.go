// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// servingState says in one word what an environment with that spec and status serves. What a person asked for comes
// before what is wrong, unless it could not be done. Unfit is how many of the pending flags no publish serves, because they
// do not fit.
func servingState(spec *v1alpha1.Publish, status *v1alpha1.FlagEnvironmentStatus, unfit int32) v1alpha1.PublishState {
	isFalse := func(conditionType string) bool {
		return meta.IsStatusConditionFalse(status.Conditions, conditionType)
	}
	published := meta.FindStatusCondition(status.Conditions, v1alpha1.PublishedCondition)
	switch {
	case published != nil && published.Reason == v1alpha1.BreakGlassReason:
		return v1alpha1.PublishStateBreakGlass
	case isFalse(v1alpha1.PublishedCondition) && status.PublishedRevision > 0:
		return v1alpha1.PublishStateDegraded
	case spec.Revision != nil && status.PublishedRevision > 0:
		return v1alpha1.PublishStatePinned
	case spec.Suspend:
		return v1alpha1.PublishStateFrozen
	case isFalse(v1alpha1.CompiledCondition), isFalse(v1alpha1.FlagdPublishedCondition),
		isFalse(v1alpha1.DeliveredCondition):
		return v1alpha1.PublishStateDegraded
	case spec.Mode == v1alpha1.PublishModeManual && (status.Flags.Pending > unfit || status.PublishedRevision == 0):
		return v1alpha1.PublishStateAwaitingPublish
	case isFalse(v1alpha1.PublishedCondition):
		return v1alpha1.PublishStateDegraded
	}
	return v1alpha1.PublishStateServing
}

// setState sets the state, and makes Ready name it where changes do not reach workloads by themselves.
func setState(spec *v1alpha1.Publish, to *v1alpha1.FlagEnvironmentStatus, unfit int32) {
	to.State = servingState(spec, to, unfit)
	to.SuspendUntil, to.SuspendReason = nil, ""
	if spec.Suspend { // The spec keeps both after a freeze that has ended by itself.
		to.SuspendUntil, to.SuspendReason = spec.SuspendUntil, spec.SuspendReason
	}
	ready := meta.FindStatusCondition(to.Conditions, v1alpha1.ReadyCondition)
	if ready == nil || ready.Status != metav1.ConditionTrue {
		return
	}
	var notes []string
	switch to.State {
	case v1alpha1.PublishStateFrozen:
		notes = append(notes,
			fmt.Sprintf("publishing is suspended at revision %d%s", to.PublishedRevision, status.Suspension(spec)))
	case v1alpha1.PublishStatePinned:
		notes = append(notes, fmt.Sprintf("revision %d is pinned", *spec.Revision))
	case v1alpha1.PublishStateAwaitingPublish:
		notes = append(notes, fmt.Sprintf("%d changed flags wait for a publish", to.Flags.Pending-unfit))
	default:
	}
	if waiting := to.Flags.Pending - unfit; waiting > 0 &&
		(to.State == v1alpha1.PublishStateFrozen || to.State == v1alpha1.PublishStatePinned) {
		notes = append(notes, fmt.Sprintf("%d changed flags wait", waiting))
	}
	if unfit > 0 {
		notes = append(notes, fmt.Sprintf("the changes of %d flags do not fit", unfit))
	}
	if len(notes) > 0 {
		ready.Message = "all conditions are True; " + strings.Join(notes, ", and ")
	}
}
