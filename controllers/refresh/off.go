// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Off stands in for Reconciler where an administrator has not switched it on: it looks at no pod, and tells
// environments that ask for their pods to be refreshed that they are not.
type Off struct {
	Client   client.Client
	Recorder events.EventRecorder

	said notices
}

// SetupWithManager registers the controller.
func (o *Off) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("refresh-off").
		For(&v1alpha1.FlagEnvironment{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(o)
}

// Reconcile records an event where an environment has begun to ask, and again after each start.
func (o *Off) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	environment := &v1alpha1.FlagEnvironment{}
	err := client.IgnoreNotFound(o.Client.Get(ctx, request.NamespacedName, environment))
	if err != nil || !environment.Spec.Delivery.RefreshPods {
		o.said.forget(request.NamespacedName)
		return ctrl.Result{}, err
	}
	if o.said.add(request.NamespacedName, v1alpha1.PodRefreshOffReason, "") {
		o.Recorder.Eventf(environment, nil, corev1.EventTypeWarning, v1alpha1.PodRefreshOffReason, "Refresh",
			"spec.delivery.refreshPods has no effect: the operator runs without --refresh-pods, which config/refresh-pods adds")
	}
	return ctrl.Result{}, nil
}
