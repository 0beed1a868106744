// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

// expire removes what objects that are gone have left for long enough.
func (r *Reconciler) expire(ctx context.Context, s *scope) error {
	expires := map[string]time.Time{} // By UID.
	var due []*metav1.PartialObjectMetadata
	for i := range s.changes {
		change := &s.changes[i]
		uid := change.Labels[v1alpha1.UIDLabel]
		if s.object != nil && uid == string(s.uid) || change.Labels[v1alpha1.HistoryLabel] == v1alpha1.HistoryRequested {
			continue
		}
		if _, has := expires[uid]; !has {
			expires[uid] = changedAt(change).Add(history.Retention)
		}
		if s.now.Before(expires[uid]) {
			s.lookAgain(expires[uid])
		} else {
			due = append(due, change)
		}
	}
	// The oldest go first: what is cut off in between must not leave an object without the record of its deletion alone.
	for _, change := range slices.Backward(due) {
		if err := r.remove(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

// fold replaces detailed records beyond the object's limit by what says who, what and when.
func (r *Reconciler) fold(ctx context.Context, s *scope) error {
	if s.object == nil || s.carries {
		return nil
	}
	detailed, size := 0, 0
	names := map[string]bool{}
	isOver := false
	for i := range s.changes {
		change := &s.changes[i]
		if change.Labels[v1alpha1.UIDLabel] != string(s.uid) {
			continue
		}
		switch change.Labels[v1alpha1.HistoryLabel] {
		case v1alpha1.HistoryRecorded:
			detailed, size = detailed+1, size+number(change, v1alpha1.BytesAnnotation)
			if detailed > limitOf(s.object) || detailed > 1 && size > history.MaxStoredBytes {
				names[change.Name], isOver = true, true
			}
		case v1alpha1.HistoryFolded:
			if number(change, v1alpha1.CountAnnotation) < history.MaxFolded {
				names[change.Name] = true
			}
		}
	}
	if !isOver {
		return nil
	}
	sources, err := r.sources(ctx, s, names)
	if err != nil {
		return err
	}
	return r.replace(ctx, s, sources)
}

// sources reads FlagChanges of the object by their names.
func (r *Reconciler) sources(ctx context.Context, s *scope, names map[string]bool) ([]v1alpha1.FlagChange, error) {
	var sources []v1alpha1.FlagChange
	page := &v1alpha1.FlagChangeList{}
	for {
		if err := r.Live.List(
			ctx,
			page,
			client.InNamespace(s.key.Namespace),
			client.Limit(100),
			client.Continue(page.Continue),
			client.MatchingLabels(history.Selector(r.Kind.Name, s.key.Name)),
		); err != nil {
			return nil, fmt.Errorf("list the history of %s %q: %w", r.Kind.Name, s.key.Name, err)
		}
		for i := range page.Items {
			if names[page.Items[i].Name] {
				sources = append(sources, page.Items[i])
			}
		}
		if page.Continue == "" {
			return sources, nil
		}
	}
}

// replace folds sources into few FlagChanges, and removes them only then.
func (r *Reconciler) replace(ctx context.Context, s *scope, sources []v1alpha1.FlagChange) error {
	folded, err := history.Fold(sources)
	if err != nil {
		return fmt.Errorf("fold the history of %s %q: %w", r.Kind.Name, s.key.Name, err)
	}
	stays := map[string]bool{}
	for _, change := range folded {
		stays[change.Name] = true
		if err := r.Client.Create(ctx, change); err != nil && !apierrors.IsAlreadyExists(err) {
			return ignoreTerminating(fmt.Errorf("fold the history of %s %q: %w", r.Kind.Name, s.key.Name, err))
		}
	}
	for i := range sources {
		if stays[sources[i].Name] {
			continue
		}
		if err := r.remove(ctx, &metav1.PartialObjectMetadata{
			TypeMeta: history.Metadata().TypeMeta, ObjectMeta: sources[i].ObjectMeta,
		}); err != nil {
			return err
		}
	}
	return nil
}

// trim removes the oldest folded changes where the project keeps more than it may.
func (r *Reconciler) trim(ctx context.Context, s *scope) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagChangeList"))
	if err := r.Metadata.List(ctx, list, client.InNamespace(s.key.Namespace),
		client.MatchingFields{index.HistoryFolded: "true"}); err != nil {
		return fmt.Errorf("list the older history: %w", err)
	}
	total := 0
	for i := range list.Items {
		total += number(&list.Items[i], v1alpha1.CountAnnotation)
	}
	if total <= history.MaxOlder {
		return nil
	}
	slices.SortFunc(list.Items, func(a, b metav1.PartialObjectMetadata) int {
		return cmp.Or(changedAt(&a).Compare(changedAt(&b)), cmp.Compare(a.Name, b.Name))
	})
	for i := range list.Items {
		if total <= history.MaxOlder {
			break
		}
		total -= number(&list.Items[i], v1alpha1.CountAnnotation)
		if err := r.remove(ctx, &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// number is an annotation's number. One that somebody has removed counts for nothing.
func number(change *metav1.PartialObjectMetadata, annotation string) int {
	value, err := strconv.Atoi(change.Annotations[annotation])
	if err != nil {
		return 0
	}
	return value
}

// changedAt is the time of a change. One whose annotation somebody has removed is as old as its record.
func changedAt(change *metav1.PartialObjectMetadata) time.Time {
	at, err := time.Parse(metav1.RFC3339Micro, change.Annotations[v1alpha1.ChangedAtAnnotation])
	if err != nil {
		return change.CreationTimestamp.Time
	}
	return at
}
