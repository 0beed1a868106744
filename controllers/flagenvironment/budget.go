// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// followBudgets enqueues the environments of each namespace that comes to store too much, or no longer does.
func (r *Reconciler) followBudgets(
	_ context.Context,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	r.Budgets.Subscribe(func(namespace string) {
		for _, environment := range r.changes.followedIn(namespace) {
			queue.Add(reconcile.Request{NamespacedName: environment})
		}
	})
	return nil
}

// stopAtBudget serves an environment of a namespace that stores too much: what is published stays, is restored, and takes
// brakes. Nothing else of the namespace is compiled, so that it takes no memory. Stop says what is too much, and is the
// problem that stopAtBudget returns.
func (r *Reconciler) stopAtBudget(ctx context.Context, s *scope, stop string) error {
	if !s.state.stopped {
		r.projects.forget(s.environment.Namespace)
	}
	if err := r.stop(ctx, s); err != nil {
		return err
	}
	return &publish.Problem{Reason: v1alpha1.OverBudgetReason, Message: stop}
}

// stopUndecodable serves an environment whose stored form does not fit its type: what is published stays, is restored, and
// takes brakes. Where even the name and the formats of its datafile were lost, nothing is written.
func (r *Reconciler) stopUndecodable(ctx context.Context, s *scope, problem string) error {
	s.state.stopped = true
	if !v1alpha1.Lost(s.environment, "spec.datafile") {
		if err := r.stop(ctx, s); err != nil {
			return err
		}
	}
	return &publish.Problem{
		Reason: v1alpha1.InvalidReason,
		Message: "what is stored of the environment does not fit this version of the operator, so that what was published " +
			"last stays; apply it again as it is to be: " + problem,
	}
}

// stop compiles nothing but brakes, and serves what was published last.
func (r *Reconciler) stop(ctx context.Context, s *scope) error {
	s.state.stopped = true
	if err := r.compileBraked(ctx, s); err != nil || s.stopped() {
		return err
	}
	return r.serveLastGood(ctx, s)
}

// compileBraked compiles the flags that are forced off in the environment, with those that have the same keys.
func (r *Reconciler) compileBraked(ctx context.Context, s *scope) error {
	r.changes.follow(client.ObjectKeyFromObject(s.environment))
	flags := &v1alpha1.FeatureFlagList{}
	if err := r.Client.List(
		ctx,
		flags,
		client.InNamespace(s.environment.Namespace),
		client.UnsafeDisableDeepCopy, // Compiling only reads.
	); err != nil {
		return fmt.Errorf("list flags: %w", err)
	}
	braked := map[string]bool{}
	for i := range flags.Items {
		if flags.Items[i].ForceDisabledIn(s.environment.Name) {
			braked[flags.Items[i].Key()] = true
		}
	}
	s.state.compiled = r.projects.of(s.environment.Namespace).
		NewEnvironment(s.environment.Name, servedContents(s.state.served))
	for i := range flags.Items {
		if braked[flags.Items[i].Key()] {
			s.state.compiled.SetFlag(&flags.Items[i])
			s.state.records.see(flagKind, s.environment.Name, &flags.Items[i])
		}
	}
	s.state.settle(true, false, s.environment.Spec.Datafile.Formats)
	return nil
}
