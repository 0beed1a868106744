// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// deletionBegan lets updates through that begin a deletion which finalizers hold up.
func deletionBegan() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetDeletionTimestamp().IsZero() && !e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
}

// keysChanged lets updates through that change what the served ConfigMap mirrors of the SDK keys.
func keysChanged() predicate.Predicate {
	keysOf := func(object client.Object) string {
		environment, _ := object.(*v1alpha1.FlagEnvironment)
		return publish.KeysOf(&environment.Status).Encode(nil, types.NamespacedName{})
	}
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return keysOf(e.ObjectOld) != keysOf(e.ObjectNew) },
	}
}

// conditionsChanged reconciles again when conditions change. A reconcile that reads a status from before its own last
// patch writes nothing where both are equal; once the cache shows the patch, the status is written.
func conditionsChanged() predicate.Predicate {
	conditionsOf := func(object client.Object) []metav1.Condition {
		environment, _ := object.(*v1alpha1.FlagEnvironment)
		return environment.Status.Conditions
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(conditionsOf(e.ObjectOld), conditionsOf(e.ObjectNew))
	}}
}

// instancesChanged lets updates through that bring reports of instances.
func instancesChanged() predicate.Predicate {
	instancesOf := func(object client.Object) []v1alpha1.Instance {
		environment, _ := object.(*v1alpha1.FlagEnvironment)
		return environment.Status.Instances
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(instancesOf(e.ObjectOld), instancesOf(e.ObjectNew))
	}}
}

// followDeliveries enqueues each environment whose copies the delivery controller reports on.
func (r *Reconciler) followDeliveries(
	_ context.Context,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	r.Deliveries.Subscribe(
		func(environment types.NamespacedName) { queue.Add(reconcile.Request{NamespacedName: environment}) },
	)
	return nil
}

// watchesInterval is how often somebody looks whether all watches are alive.
const watchesInterval = 10 * time.Second

// followWatches enqueues every environment when watches come to fail, or are alive again.
func (r *Reconciler) followWatches(
	ctx context.Context,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	if r.WatchProblem == nil {
		return nil
	}
	go func() {
		ticker := time.NewTicker(watchesInterval)
		defer ticker.Stop()
		wasAlive := true
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			wasAlive = r.tellOfWatches(wasAlive, queue)
		}
	}()
	return nil
}

// tellOfWatches enqueues every environment where watches are alive that were not, or the other way round. It reports
// whether all are alive.
func (r *Reconciler) tellOfWatches(
	wasAlive bool,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) bool {
	isAlive := r.WatchProblem() == ""
	if isAlive != wasAlive {
		for _, environment := range r.changes.all() {
			queue.Add(reconcile.Request{NamespacedName: environment})
		}
	}
	return isAlive
}

// datafileHandler notes the resource version of each served ConfigMap and enqueues its environment.
func (r *Reconciler) datafileHandler() handler.EventHandler {
	note := func(object client.Object, resourceVersion string, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		key, kind, found := ownership.Origin(object)
		if !found || kind != v1alpha1.DatafileServed {
			return
		}
		r.states.recordSeen(key, resourceVersion)
		queue.Add(reconcile.Request{NamespacedName: key})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.Object, e.Object.GetResourceVersion(), queue)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.ObjectNew, e.ObjectNew.GetResourceVersion(), queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.Object, "", queue)
		},
	}
}
