// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Everything said Ready while no change of anybody was seen any more.
func TestReadyKnowsOfWatchesThatAreNotAlive(t *testing.T) {
	problem := ""
	r := &Reconciler{changes: newChanges(), WatchProblem: func() string { return problem }}
	environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	r.changes.follow(client.ObjectKeyFromObject(environment))
	r.changes.follow(types.NamespacedName{Namespace: "web", Name: "production"})
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()

	isAlive := r.tellOfWatches(true, queue)
	if !isAlive || queue.Len() != 0 {
		t.Fatalf("%d environments are looked at though nothing has changed", queue.Len())
	}
	problem = "the API server refuses these watches"
	if isAlive = r.tellOfWatches(isAlive, queue); isAlive || queue.Len() != 2 {
		t.Errorf("%d environments are told of a watch that fails, want 2", queue.Len())
	}
	s := &scope{environment: environment, state: newState(), watchProblem: problem}
	computeStatus(s, nil, &environment.Status)
	ready := meta.FindStatusCondition(environment.Status.Conditions, v1alpha1.ReadyCondition)
	if ready == nil || ready.Reason != v1alpha1.WatchFailedReason || ready.Message != problem {
		t.Errorf("the environment says %+v", ready)
	}
}
