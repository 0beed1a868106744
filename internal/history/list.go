// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// pageSize is how many FlagChanges are read at a time.
const pageSize = 500

// Entry is a change as readers of the history see it.
type Entry struct {
	Record

	// Object is what was changed.
	Object v1alpha1.ChangedObject
	// Environments are the names of the environments whose part changed, and empty where it is no part alone.
	Environments []string
	// Summary says in one line what changed.
	Summary string
	// Revisions are the revisions that published the change.
	Revisions []v1alpha1.ChangeRevision
	// Folded is true where the detail of the change is no longer kept.
	Folded bool
}

// List returns the changes of the object of that Kind and name, newest first: those in the history, and those that the
// object still carries. The history of earlier objects of that name is part of it until it expires; one of an object
// that is gone is the only part. A name that no object can have has none. Reader must read the Kind and FlagChanges,
// the latter live.
func List(ctx context.Context, reader client.Reader, namespace, kind, name string) ([]Entry, error) {
	known, written := v1alpha1.KindNamed(kind)
	if !written {
		return nil, fmt.Errorf("%s has no history", kind)
	}
	if len(apimachineryvalidation.NameIsDNSSubdomain(name, false)) > 0 {
		return nil, nil
	}
	object := known.New()
	// In this order, a record that is moved between the two reads is read twice rather than not at all.
	var carried []Entry
	switch err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object); {
	case apierrors.IsNotFound(err):
	case err != nil:
		return nil, fmt.Errorf("read %s %q: %w", kind, name, err)
	default:
		var err error
		if carried, err = Carried(kind, object); err != nil {
			return nil, err
		}
	}
	return merge(ctx, reader, carried, client.InNamespace(namespace), client.MatchingLabels(Selector(kind, name)))
}

// ListProject returns the changes of all objects of a namespace, newest first. Carried are the changes that its objects
// still carry, read before the call.
func ListProject(ctx context.Context, reader client.Reader, namespace string, carried []Entry) ([]Entry, error) {
	return merge(ctx, reader, carried, client.InNamespace(namespace),
		client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})
}

// Carried returns the changes that an object of that Kind still carries, oldest first.
func Carried(kind string, object Object) ([]Entry, error) {
	records, err := Decode(object.GetAnnotations()[v1alpha1.ChangesAnnotation])
	if err != nil {
		return nil, fmt.Errorf("read the changes of %s %q: %w", kind, object.GetName(), err)
	}
	of := ObjectOf(kind, object)
	entries := make([]Entry, len(records))
	for i := range records {
		entries[i] = Entry{
			Record: records[i], Object: of, Environments: records[i].environments(of), Summary: records[i].summary(),
		}
	}
	return entries, nil
}

// merge adds to the changes that objects carry those of the history.
func merge(
	ctx context.Context,
	reader client.Reader,
	carried []Entry,
	options ...client.ListOption,
) ([]Entry, error) {
	entries := slices.Clone(carried)
	page := &v1alpha1.FlagChangeList{}
	for {
		err := reader.List(ctx, page, append(slices.Clip(options), client.Limit(pageSize), client.Continue(page.Continue))...)
		if err != nil {
			return nil, fmt.Errorf("list the history: %w", err)
		}
		for i := range page.Items {
			entries = append(entries, EntriesOf(&page.Items[i])...)
		}
		if page.Continue == "" {
			break
		}
	}
	return sortOnce(entries), nil
}

// EntriesOf returns the changes that a FlagChange holds: itself, or the older ones that were folded into it. A deletion
// that is only requested is none.
func EntriesOf(change *v1alpha1.FlagChange) []Entry {
	spec := &change.Spec
	switch change.Labels[v1alpha1.HistoryLabel] {
	case v1alpha1.HistoryRecorded:
		return []Entry{{
			Record: recordOf(spec), Object: spec.Object, Environments: spec.Environments, Summary: spec.Summary,
			Revisions: change.Status.Revisions,
		}}
	case v1alpha1.HistoryFolded:
		entries := make([]Entry, len(spec.Older))
		for i := range spec.Older {
			older := &spec.Older[i]
			entries[i] = Entry{Object: spec.Object, Summary: older.Summary, Folded: true, Record: Record{
				ID: older.ID, Action: Action(older.Action), Time: older.Time,
				Actor: Actor{Name: older.Actor.Name, UID: older.Actor.UID},
			}}
		}
		return entries
	default:
		return nil
	}
}

// sortOnce sorts entries, newest first, with one for each change: that of the history before the carried one, which
// knows no revisions, and this before a folded one.
func sortOnce(entries []Entry) []Entry {
	best := map[string]int{}
	rank := func(entry *Entry) int {
		switch {
		case entry.Folded:
			return 0
		case len(entry.Revisions) == 0:
			return 1
		default:
			return 2
		}
	}
	for i := range entries {
		if known, is := best[entries[i].ID]; !is || rank(&entries[i]) > rank(&entries[known]) {
			best[entries[i].ID] = i
		}
	}
	once := make([]Entry, 0, len(best))
	for i := range entries {
		if best[entries[i].ID] == i {
			once = append(once, entries[i])
		}
	}
	slices.SortFunc(once, func(a, b Entry) int { return newestFirst(a.Record, b.Record) })
	return once
}
