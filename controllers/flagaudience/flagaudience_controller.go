// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagaudience reports which flags use an audience.
package flagaudience

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/references"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagaudiences,verbs=get;list;watch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagaudiences/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler keeps the status of audiences.
type Reconciler struct {
	Client client.Client
	Status *status.Patcher
	Clock  clock.PassiveClock
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	byName := func(_ context.Context, namespace, name string) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.FlagAudience{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.FeatureFlag{}, references.Handler(index.Audiences, byName)).
		WithOptions(fairqueue.Options(2, 1)).
		Complete(r)
}

// Reconcile finds the flags that use the audience, and reports them.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	audience := &v1alpha1.FlagAudience{}
	if err := r.Client.Get(ctx, request.NamespacedName, audience); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("get audience: %w", err)
	}
	if !audience.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	flags, err := index.Namespace{Reader: r.Client, Name: audience.Namespace}.FlagsUsingAudience(ctx, audience.Name)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("find the flags that use the audience: %w", err)
	}
	after := audience.DeepCopy()
	computeStatus(audience, flags, &after.Status)
	was, is := audience.Status.Conditions, after.Status.Conditions
	wait, err := r.Status.Report(ctx, status.Change{
		Before: audience, After: after, Was: was, Is: is, Urgency: status.UrgencyOf(was, is),
	}, r.Clock.Now())
	return ctrl.Result{RequeueAfter: wait}, err
}

func computeStatus(audience *v1alpha1.FlagAudience, flags []*v1alpha1.FeatureFlag, to *v1alpha1.FlagAudienceStatus) {
	to.ObservedGeneration = audience.Generation
	to.Members = int32(len(audience.Spec.Members))
	to.UsedBy, to.UsedByCount = references.Keys(flags)
	conditions := status.Conditions{List: &to.Conditions, Generation: audience.Generation}
	if err := validation.FlagAudience(audience).ToAggregate(); err != nil {
		conditions.Set(
			v1alpha1.AcceptedCondition,
			false,
			v1alpha1.InvalidReason,
			err.Error()+"; what was published last stays",
		)
	} else {
		conditions.Set(v1alpha1.AcceptedCondition, true, v1alpha1.AcceptedReason, "the audience is valid")
	}
	conditions.SetReady(v1alpha1.AcceptedCondition)
}
