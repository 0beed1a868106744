// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagevent reports which flags measure an event.
package flagevent

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/references"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagevents,verbs=get;list;watch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagevents/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler keeps the status of events.
type Reconciler struct {
	Client client.Client
	Status *status.Patcher
	Clock  clock.PassiveClock
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.GenerationChangedPredicate{}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.FlagEvent{}, builder.WithPredicates(changed)).
		// Who holds a key changes for the others when an event comes or goes.
		Watches(&v1alpha1.FlagEvent{}, handler.EnqueueRequestsFromMapFunc(r.sameKey), builder.WithPredicates(changed)).
		Watches(&v1alpha1.FeatureFlag{}, references.Handler(index.Events, r.withKey)).
		WithOptions(fairqueue.Options(2, 1)).
		Complete(r)
}

func (r *Reconciler) sameKey(ctx context.Context, object client.Object) []reconcile.Request {
	flagEvent, ok := object.(*v1alpha1.FlagEvent)
	if !ok {
		return nil
	}
	return r.withKey(ctx, flagEvent.Namespace, flagEvent.Key())
}

func (r *Reconciler) withKey(ctx context.Context, namespace, key string) []reconcile.Request {
	flagEvents, err := index.Namespace{Reader: r.Client, Name: namespace}.EventsWithKey(ctx, key)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the events of a key")
		return nil
	}
	requests := make([]reconcile.Request, len(flagEvents))
	for i, flagEvent := range flagEvents {
		requests[i].NamespacedName = client.ObjectKeyFromObject(flagEvent)
	}
	return requests
}

// Reconcile finds the flags that measure the event, and reports them.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	flagEvent := &v1alpha1.FlagEvent{}
	if err := r.Client.Get(ctx, request.NamespacedName, flagEvent); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("get event: %w", err)
	}
	if !flagEvent.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	namespace := index.Namespace{Reader: r.Client, Name: flagEvent.Namespace}
	flags, err := namespace.FlagsMeasuring(ctx, flagEvent.Key())
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("find the flags that measure the event: %w", err)
	}
	findings, err := validation.FlagEventFindings(ctx, namespace, nil, flagEvent)
	if err != nil {
		return ctrl.Result{}, err
	}
	after := flagEvent.DeepCopy()
	computeStatus(flagEvent, flags, findings, &after.Status)
	was, is := flagEvent.Status.Conditions, after.Status.Conditions
	wait, err := r.Status.Report(ctx, status.Change{
		Before: flagEvent, After: after, Was: was, Is: is, Urgency: status.UrgencyOf(was, is),
	}, r.Clock.Now())
	return ctrl.Result{RequeueAfter: wait}, err
}

func computeStatus(
	flagEvent *v1alpha1.FlagEvent,
	flags []*v1alpha1.FeatureFlag,
	findings []validation.Finding,
	to *v1alpha1.FlagEventStatus,
) {
	to.ObservedGeneration = flagEvent.Generation
	to.UsedBy, to.UsedByCount = references.Keys(flags)
	conditions := status.Conditions{List: &to.Conditions, Generation: flagEvent.Generation}
	conditions.Set(v1alpha1.AcceptedCondition, true, v1alpha1.AcceptedReason, "the event is valid and its key is its own")
	for _, finding := range findings {
		if finding.Kind == validation.KeyTaken {
			conditions.Set(v1alpha1.AcceptedCondition, false, v1alpha1.KeyTakenReason, finding.Detail)
		}
	}
	if err := validation.FlagEvent(flagEvent).ToAggregate(); err != nil {
		conditions.Set(
			v1alpha1.AcceptedCondition,
			false,
			v1alpha1.InvalidReason,
			err.Error()+"; what was published last stays",
		)
	}
	conditions.SetReady(v1alpha1.AcceptedCondition)
}
