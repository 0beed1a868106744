// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
)

// A brake that waits behind the edits of others is none.
func TestBrakesGoFirst(t *testing.T) {
	flag := func(generation int64, brake string) *v1alpha1.FeatureFlag {
		made := builders.MakeFlag("checkout", "shop").Boolean().Obj()
		made.Generation = generation
		if brake != "" {
			made.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: brake}
		}
		return made
	}
	for name, tc := range map[string]struct {
		before, after *v1alpha1.FeatureFlag
		want          int
		ignored       bool
	}{
		"an edit":              {before: flag(1, ""), after: flag(2, ""), want: 0},
		"a brake":              {before: flag(1, ""), after: flag(1, "production"), want: fairqueue.BrakePriority},
		"a brake with an edit": {before: flag(1, ""), after: flag(2, "production"), want: fairqueue.BrakePriority},
		"another brake":        {before: flag(1, "staging"), after: flag(1, "production"), want: fairqueue.BrakePriority},
		"the lift of a brake":  {before: flag(1, "production"), after: flag(1, ""), want: 0},
		"a status":             {before: flag(1, "production"), after: flag(1, "production"), ignored: true},
	} {
		t.Run(name, func(t *testing.T) {
			followed := newChanges()
			followed.follow(types.NamespacedName{Namespace: "shop", Name: "production"})
			queue, _ := fairqueue.New(2)("", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()).(priorityqueue.PriorityQueue[reconcile.Request])
			defer queue.ShutDown()
			tc.before.ResourceVersion, tc.after.ResourceVersion = "1", "2"
			var refreshed client.Object
			events := followed.handler(flagSource, func(object client.Object) { refreshed = object })
			events.Update(t.Context(), event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}, queue)
			if (refreshed == tc.after) != tc.ignored {
				t.Errorf("what is held of the cache's object is made anew: %v, want that after a status alone", refreshed)
			}
			if tc.ignored {
				if queue.Len() != 0 {
					t.Error("the environment is compiled again for nothing")
				}
				return
			}
			if _, priority, _ := queue.GetWithPriority(); priority != tc.want {
				t.Errorf("the environment has its turn with priority %d, want %d", priority, tc.want)
			}
		})
	}
}
