// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package references tells audiences and events which flags use them.
package references

import (
	"context"
	"slices"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxKeys is how many flags a status names.
const maxKeys = 100

// Keys returns the first 100 keys of flags in order, and how many flags there are.
func Keys(flags []*v1alpha1.FeatureFlag) (keys []string, count int32) {
	for _, flag := range flags {
		keys = append(keys, flag.Key())
	}
	slices.Sort(keys)
	keys = slices.Compact(keys) // Flags that share a key are one flag to whoever reads the list.
	return keys[:min(len(keys), maxKeys)], int32(len(keys))
}

// Handler enqueues what a flag uses when it begins or ends to use it. An edit of a flag that leaves alone what it uses
// enqueues nothing, however many flags there are. Names are what the flag uses; requests finds the objects of a name.
func Handler(
	names func(*v1alpha1.FeatureFlag) []string,
	requests func(ctx context.Context, namespace, name string) []reconcile.Request,
) handler.EventHandler {
	used := func(object client.Object) []string {
		flag, ok := object.(*v1alpha1.FeatureFlag)
		if !ok || !flag.DeletionTimestamp.IsZero() {
			return nil
		}
		return names(flag)
	}
	enqueue := func(ctx context.Context, namespace string, names, except []string, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, name := range names {
			if slices.Contains(except, name) {
				continue
			}
			for _, request := range requests(ctx, namespace, name) {
				queue.Add(request)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(ctx, e.Object.GetNamespace(), used(e.Object), nil, queue)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, after := used(e.ObjectOld), used(e.ObjectNew)
			enqueue(ctx, e.ObjectNew.GetNamespace(), before, after, queue)
			enqueue(ctx, e.ObjectNew.GetNamespace(), after, before, queue)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(ctx, e.Object.GetNamespace(), used(e.Object), nil, queue)
		},
	}
}
