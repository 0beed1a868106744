// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

// standing is what a namespace is to an environment.
type standing int

const (
	// outside: it is not selected, it is the environment's own, or it is being deleted.
	outside standing = iota
	// refusing: it is selected and does not accept the project's datafiles.
	refusing
	// accepting: it is selected and accepts them.
	accepting
)

// standingOf tells what a namespace, nil where there is none, is to the environments of a project with that selector.
func standingOf(namespace client.Object, project string, selector labels.Selector) standing {
	switch {
	case namespace == nil,
		namespace.GetName() == project,
		namespace.GetDeletionTimestamp() != nil,
		!selector.Matches(labels.Set(namespace.GetLabels())):
		return outside
	case accepts(namespace, project):
		return accepting
	default:
		return refusing
	}
}

// accepts reports whether a namespace takes datafiles of a project.
func accepts(namespace client.Object, project string) bool {
	return slices.ContainsFunc(
		strings.Split(namespace.GetAnnotations()[v1alpha1.AcceptFromAnnotation], ","),
		func(accepted string) bool {
			return strings.TrimSpace(accepted) == project
		},
	)
}

// namespaceHandler enqueues the environments to which a namespace is something else than before. Those that exist when
// the operator starts are looked at anyway.
func (r *Reconciler) namespaceHandler() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue queue) {
			if !e.IsInInitialList {
				r.enqueueConcerned(ctx, nil, e.Object, queue)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue queue) {
			r.enqueueConcerned(ctx, e.ObjectOld, e.ObjectNew, queue)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue queue) {
			r.enqueueConcerned(ctx, e.Object, nil, queue)
		},
	}
}

func (r *Reconciler) enqueueConcerned(
	ctx context.Context,
	before, after client.Object,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	environments := &v1alpha1.FlagEnvironmentList{}
	if err := r.Client.List(
		ctx,
		environments,
		client.MatchingFields{index.EnvironmentDelivers: "true"},
		client.UnsafeDisableDeepCopy,
	); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list the environments that deliver")
		return
	}
	for i := range environments.Items {
		environment := &environments.Items[i]
		selector, err := metav1.LabelSelectorAsSelector(environment.Spec.Delivery.NamespaceSelector)
		if err == nil &&
			standingOf(before, environment.Namespace, selector) != standingOf(after, environment.Namespace, selector) {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(environment)})
		}
	}
}
