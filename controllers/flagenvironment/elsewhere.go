// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// patchElsewhere writes the status of an environment that another cluster serves.
func (r *Reconciler) patchElsewhere(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (ctrl.Result, error) {
	before, after := &environment.Status, environment.DeepCopy()
	setElsewhere(environment.Generation, &after.Status)
	wait, err := r.Status.Report(ctx, status.Change{
		Before: environment, After: after, Was: before.Conditions, Is: after.Status.Conditions,
		Urgency: urgencyOf(before, &after.Status),
	}, r.Clock.Now())
	return ctrl.Result{RequeueAfter: wait}, err
}

// setElsewhere says that another cluster serves the environment. What was published here before stays as it is, and so
// does its number, which the next revision here must exceed.
func setElsewhere(generation int64, to *v1alpha1.FlagEnvironmentStatus) {
	to.ObservedGeneration, to.State = generation, v1alpha1.PublishStateElsewhere
	to.WaitingPublish, to.SuspendUntil, to.SuspendReason = nil, nil, ""
	to.Flags, to.PendingFlags, to.DeletedFlags = v1alpha1.FlagCounts{}, nil, nil
	conditions := status.Conditions{List: &to.Conditions, Generation: generation}
	for _, conditionType := range []string{
		v1alpha1.CompiledCondition, v1alpha1.FlagdPublishedCondition, v1alpha1.DeliveredCondition,
		v1alpha1.AcknowledgedCondition, v1alpha1.SealedCondition,
	} {
		conditions.Remove(conditionType)
	}
	message := "another cluster serves the environment (spec.publish.mode is None); nothing is written here"
	conditions.Set(v1alpha1.PublishedCondition, true, v1alpha1.ElsewhereReason, message)
	conditions.Set(v1alpha1.ReadyCondition, true, v1alpha1.ElsewhereReason, message)
}
