// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"context"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
)

// On call who pulls a brake right after a publish of three hundred flags is told of the brake first.
func TestPriorityOfAReport(t *testing.T) {
	flag := func(brakes string, told ...v1alpha1.EnvironmentState) *v1alpha1.FeatureFlag {
		flag := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Obj()
		flag.Generation, flag.Status.ObservedGeneration, flag.Status.Environments = 2, 2, told
		if brakes != "" {
			flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: brakes}
		}
		return flag
	}
	production := func(isBraked, isOn bool) v1alpha1.EnvironmentState {
		return v1alpha1.EnvironmentState{
			Name:   "production",
			Wanted: v1alpha1.WantedState{Enabled: true, ForceDisabled: isBraked},
			Served: &v1alpha1.ServedState{Enabled: isOn},
		}
	}
	edited := flag("", production(false, true))
	edited.Generation = 3
	for name, tc := range map[string]struct {
		flag *v1alpha1.FeatureFlag
		want int
	}{
		"what others bring to it":        {flag("", production(false, true)), 0},
		"an edit":                        {edited, fairqueue.EditPriority},
		"a brake":                        {flag("production", production(false, true)), fairqueue.BrakePriority},
		"a brake of another environment": {flag("staging", production(false, true)), 0},
		"a brake that is not served yet": {flag("production", production(true, true)), fairqueue.BrakePriority},
		"a brake that is told":           {flag("production", production(true, false)), 0},
		"a brake that is lifted":         {flag("", production(true, false)), fairqueue.BrakePriority},
	} {
		if got := priorityOf(tc.flag); got != tc.want {
			t.Errorf("%s: the priority is %d, want %d", name, got, tc.want)
		}
	}
}

// A report concerns each flag of a namespace, so that it must copy none of them. A flag that is gone is looked at too.
func TestReportsCopyNoFlags(t *testing.T) {
	var copied []string
	reader := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(
			_ context.Context, _ client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
		) error {
			if !slices.Contains(options, client.GetOption(client.UnsafeDisableDeepCopy)) {
				copied = append(copied, key.Name)
			}
			if key.Name == "gone" {
				return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
			}
			object.SetGeneration(2)
			return nil
		},
	})
	ledger := topics.New()
	queue, is := fairqueue.New(1)(
		"reports", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request](),
	).(*fairqueue.Queue)
	if !is {
		t.Fatal("the queue has no priorities")
	}
	if err := (&Reconciler{Client: reader, Ledger: ledger}).followLedger(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	production := types.NamespacedName{Namespace: "shop", Name: "production"}
	ledger.Write(production, topics.Environment{Revision: 1}, map[string]topics.Entry{
		"gone": {Revision: 1}, "edited": {Revision: 1},
	})
	for _, want := range []struct {
		name     string
		priority int
	}{{"edited", fairqueue.EditPriority}, {"gone", 0}} {
		request, priority, _ := queue.GetWithPriority()
		if request.Name != want.name || priority != want.priority {
			t.Errorf("%s is next with priority %d, want %s with %d", request.Name, priority, want.name, want.priority)
		}
		queue.Done(request)
	}
	if len(copied) > 0 {
		t.Errorf("%v are copied", copied)
	}
}
