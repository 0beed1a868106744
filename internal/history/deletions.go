// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxUIDs is how many UIDs one request names.
const maxUIDs = 100

// Deletions are the objects of one Kind in a namespace whose deletion was admitted. Whatever is gone and is not among
// them was lost: with its CRD, past admission, or in a restore.
type Deletions struct {
	uids   map[string]bool
	newest map[string]lastChange // By key, or by name where the Kind has no keys.
	named  map[string]lastChange // Deletions by name.
}

type lastChange struct {
	id        string
	at        metav1.MicroTime
	isDeleted bool
}

// HasUID reports whether the deletion of the object with that UID was admitted.
func (d *Deletions) HasUID(uid string) bool { return d.uids[uid] }

// HasKey reports whether the last thing that was admitted for a key is the deletion of the object that had it. The key
// of an environment is its name.
func (d *Deletions) HasKey(key string) bool { return d.newest[key].isDeleted }

// KnowsKey reports whether anything that was admitted for a key is still on record.
func (d *Deletions) KnowsKey(key string) bool {
	_, known := d.newest[key]
	return known
}

// Named returns id and time of the newest admitted deletion of an object of that name, and nothing where there is none.
func (d *Deletions) Named(name string) (id string, at time.Time) {
	return d.named[name].id, d.named[name].at.Time
}

// add takes in a change record. A deletion that was only requested counts: its object is gone.
func (d *Deletions) add(change *v1alpha1.FlagChange) {
	of := &change.Spec.Object
	for _, entry := range append(EntriesOf(change), requested(change)...) {
		isDeleted := entry.Action == actionsByKind[of.Kind].deleted
		if isDeleted && of.UID != "" {
			d.uids[of.UID] = true
		}
		change := lastChange{id: entry.ID, at: entry.Time, isDeleted: isDeleted}
		if last, known := d.named[of.Name]; isDeleted && (!known || last.at.Before(&entry.Time)) {
			d.named[of.Name] = change
		}
		key := cmp.Or(of.Key, of.Name)
		if last, known := d.newest[key]; !known || last.at.Before(&entry.Time) {
			d.newest[key] = change
		}
	}
}

func requested(change *v1alpha1.FlagChange) []Entry {
	if change.Labels[v1alpha1.HistoryLabel] != v1alpha1.HistoryRequested {
		return nil
	}
	return []Entry{{Record: recordOf(&change.Spec), Object: change.Spec.Object}}
}

// FindDeletions reads which objects of a Kind were deleted. With UIDs it reads the records of those objects alone.
// Reader must read FlagChanges live, for a cache may not show yet what was recorded before an object went. Where the
// cluster has no FlagChanges any more, nothing is known to be deleted.
func FindDeletions(
	ctx context.Context,
	reader client.Reader,
	namespace, kind string,
	uids ...string,
) (*Deletions, error) {
	deletions := &Deletions{uids: map[string]bool{}, newest: map[string]lastChange{}, named: map[string]lastChange{}}
	chunks := slices.Collect(slices.Chunk(uids, maxUIDs))
	if len(uids) == 0 {
		chunks = [][]string{nil}
	}
	for _, chunk := range chunks {
		selector, err := recordsOf(kind, chunk)
		if err != nil {
			return nil, err
		}
		if err := deletions.read(ctx, reader, namespace, kind, selector); err != nil {
			return nil, err
		}
	}
	return deletions, nil
}

// WasDeleted reports whether the object of a Kind that had that key is meant to be gone: its deletion was admitted, or
// the whole namespace goes. Reader must read live.
func WasDeleted(ctx context.Context, reader client.Reader, namespace, kind, key string) (bool, error) {
	deletions, err := FindDeletions(ctx, reader, namespace, kind)
	if err != nil || deletions.HasKey(key) {
		return err == nil, err
	}
	return IsGone(ctx, reader, namespace)
}

// IsGone reports whether a namespace is deleted, or being deleted, with all that is in it.
func IsGone(ctx context.Context, reader client.Reader, namespace string) (bool, error) {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := reader.Get(ctx, types.NamespacedName{Name: namespace}, found)
	if apierrors.IsNotFound(err) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("get namespace %q: %w", namespace, err)
	}
	return found.DeletionTimestamp != nil, nil
}

// recordsOf selects the records of a Kind, or of those of its objects that have one of the UIDs.
func recordsOf(kind string, uids []string) (labels.Selector, error) {
	selector := labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})
	requirement, err := labels.NewRequirement(labelOf(kind), selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("%s has no history: %w", kind, err)
	}
	selector = selector.Add(*requirement)
	if len(uids) == 0 {
		return selector, nil
	}
	requirement, err = labels.NewRequirement(v1alpha1.UIDLabel, selection.In, uids)
	if err != nil {
		return nil, fmt.Errorf("select by UIDs %s: %w", strings.Join(uids, ", "), err)
	}
	return selector.Add(*requirement), nil
}

func (d *Deletions) read(
	ctx context.Context,
	reader client.Reader,
	namespace, kind string,
	selector labels.Selector,
) error {
	page := &v1alpha1.FlagChangeList{}
	for {
		err := reader.List(ctx, page, client.InNamespace(namespace), client.Limit(pageSize),
			client.Continue(page.Continue), client.MatchingLabelsSelector{Selector: selector})
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read which objects were deleted: %w", err)
		}
		for i := range page.Items {
			if page.Items[i].Spec.Object.Kind == kind {
				d.add(&page.Items[i])
			}
		}
		if page.Continue == "" {
			return nil
		}
	}
}
