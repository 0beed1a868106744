// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagchanges/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=list;watch

// told remembers of each object which revisions its changes say, so that what is written is not read again with each
// event. The zero value remembers nothing.
type told struct {
	mu       sync.Mutex
	byObject map[types.NamespacedName]map[string]map[string]int64
}

// news are the names of the changes, in order, that do not say yet in which revision some environment published them.
func (t *told) news(key types.NamespacedName, published map[string]map[string]int64) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for name, by := range published {
		for environment := range by {
			if _, is := t.byObject[key][name][environment]; !is {
				names = append(names, name)
				break
			}
		}
	}
	slices.Sort(names)
	return names
}

// set remembers what the changes of an object say. What has left the history of the environments is forgotten.
func (t *told) set(key types.NamespacedName, published map[string]map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byObject == nil {
		t.byObject = map[types.NamespacedName]map[string]map[string]int64{}
	}
	if len(published) == 0 {
		delete(t.byObject, key)
	} else {
		t.byObject[key] = published
	}
}

// changedBy maps a datafile of the history to the objects whose changes its revision brings.
func (r *Reconciler) changedBy(_ context.Context, datafile client.Object) []reconcile.Request {
	if datafile.GetLabels()[v1alpha1.DatafileLabel] != v1alpha1.DatafileHistory {
		return nil
	}
	var requests []reconcile.Request
	for _, name := range history.DecodeBrought(datafile.GetAnnotations()[v1alpha1.BroughtAnnotation]).Names(r.Kind.Name) {
		requests = append(requests, reconcile.Request{
			NamespacedName: types.NamespacedName{Namespace: datafile.GetNamespace(), Name: name},
		})
	}
	return requests
}

// tellRevisions says on the changes of the object which revisions have published them, as the histories of the
// environments know.
func (r *Reconciler) tellRevisions(ctx context.Context, s *scope) error {
	of := history.Named{Kind: r.Kind.Name, Name: s.key.Name}
	datafiles := ownership.ConfigMaps()
	if err := r.Metadata.List(ctx, datafiles, client.InNamespace(s.key.Namespace),
		client.MatchingFields{index.Brings: of.String()}); err != nil {
		return fmt.Errorf("list the revisions that changed %s %q: %w", r.Kind.Name, s.key.Name, err)
	}
	published := publishedBy(of, datafiles.Items, s.changes)
	for _, name := range r.told.news(s.key, published) {
		change := &v1alpha1.FlagChange{}
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: s.key.Namespace, Name: name}, change)
		if apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("get change %q of %s %q: %w", name, r.Kind.Name, s.key.Name, err)
		}
		if err := r.tellRevision(ctx, change, published[name]); err != nil {
			return err
		}
	}
	r.told.set(s.key, published)
	return nil
}

func (r *Reconciler) tellRevision(ctx context.Context, change *v1alpha1.FlagChange, by map[string]int64) error {
	status, changed := history.WithRevisions(change.Status, by)
	if !changed {
		return nil
	}
	before := change.DeepCopy()
	change.Status = status
	if err := r.Client.Status().Patch(ctx, change, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("say which revision published change %q: %w", change.Name, err))
	}
	return nil
}

// publishedBy returns, by the names of those changes of an object that keep their detail, the first revision of each
// environment that says in its datafile that it brings the change.
func publishedBy(of history.Named, datafiles, changes []metav1.PartialObjectMetadata) map[string]map[string]int64 {
	kept := map[string]bool{}
	for i := range changes {
		kept[changes[i].Name] = changes[i].Labels[v1alpha1.HistoryLabel] == v1alpha1.HistoryRecorded
	}
	published := map[string]map[string]int64{}
	for i := range datafiles {
		environment, kind, found := ownership.Origin(&datafiles[i])
		revision := ownership.RevisionOf(&datafiles[i])
		if !found || kind != v1alpha1.DatafileHistory || revision < 1 {
			continue
		}
		for _, id := range history.DecodeBrought(datafiles[i].Annotations[v1alpha1.BroughtAnnotation])[of.String()] {
			if !kept[id] {
				continue
			}
			if published[id] == nil {
				published[id] = map[string]int64{}
			}
			if first, known := published[id][environment.Name]; !known || revision < first {
				published[id][environment.Name] = revision
			}
		}
	}
	return published
}
