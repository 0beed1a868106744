// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// guesses credits a revision with changes by their times, where no record says which revision published them. The zero
// value credits none.
type guesses struct {
	// automatic is true where the environment publishes every change without being asked.
	automatic bool
	// waiting are the names of flags that the environment does not serve as they are wanted.
	waiting map[string]bool
}

// guesses returns what an environment's revisions may be credited with: nothing where nobody knows which changes wait.
func (c *cluster) guesses(ctx context.Context, environment *v1alpha1.FlagEnvironment) guesses {
	spec := &environment.Spec.Publish
	if spec.Mode == v1alpha1.PublishModeManual || spec.Suspend || spec.Revision != nil ||
		environment.Status.State == v1alpha1.PublishStateBreakGlass {
		return guesses{}
	}
	list := &v1alpha1.FeatureFlagList{}
	if err := c.client.List(ctx, list, client.InNamespace(environment.Namespace)); err != nil {
		return guesses{}
	}
	waiting := map[string]bool{}
	for i := range list.Items {
		flag := &list.Items[i]
		waiting[flag.Name] = !slices.ContainsFunc(flag.Status.Environments, func(state v1alpha1.EnvironmentState) bool {
			return state.Name == environment.Name && state.State == v1alpha1.ServingStateServed
		})
	}
	return guesses{automatic: true, waiting: waiting}
}

// allows reports whether a revision that was published before the time until may be credited with a change. The change's
// record names no revision. Entries are all changes.
func (g *guesses) allows(
	entry *history.Entry, environment string, until time.Time, entries []history.Entry,
) bool {
	if !g.automatic || entry.Object.Kind == "FeatureFlag" && g.waiting[entry.Object.Name] || !isOfPublished(entry) {
		return false
	}
	return !slices.ContainsFunc(entries, func(later history.Entry) bool { // It is not known how it published before that.
		return !later.Time.Time.Before(until) && changesPublishing(&later, environment)
	})
}

// isOfPublished reports whether a change is of something that a datafile holds, as far as the record tells.
func isOfPublished(entry *history.Entry) bool {
	isUnpublished := func(change history.Change) bool {
		switch change.Path {
		case "spec.displayName", "spec.description", "spec.tags", "spec.owner", "spec.classification", "spec.historyLimit":
			return true
		}
		isBrake := strings.Contains(change.Path, v1alpha1.ForceDisabledAnnotation)
		return strings.HasPrefix(change.Path, "metadata.") && !isBrake ||
			strings.HasPrefix(change.Path, "spec.tags[") || strings.HasSuffix(change.Path, "].displayName")
	}
	return len(entry.Changes) == 0 || entry.Omitted > 0 || slices.ContainsFunc(entry.Changes, func(c history.Change) bool {
		return !isUnpublished(c)
	})
}

// changesPublishing reports whether a change may have changed when an environment publishes.
func changesPublishing(entry *history.Entry, environment string) bool {
	if entry.Object.Kind != "FlagEnvironment" || entry.Object.Name != environment {
		return false
	}
	return len(entry.Changes) == 0 || entry.Omitted > 0 || slices.ContainsFunc(entry.Changes, func(c history.Change) bool {
		return c.Path == "spec" || strings.HasPrefix(c.Path, "spec.publish")
	})
}

// toldBy returns, by the ids of changes, the first revision of an environment that is said to have brought each: by the
// changes themselves, or by the revisions.
func toldBy(revisions []historyEntry, environment string, entries []history.Entry) map[string]int64 {
	told := map[string]int64{}
	tell := func(id string, revision int64) {
		if known, is := told[id]; !is || revision < known {
			told[id] = revision
		}
	}
	for i := range entries {
		for _, by := range entries[i].Revisions {
			if by.Environment == environment {
				tell(entries[i].ID, by.Revision)
			}
		}
	}
	for i := range revisions {
		for _, ids := range revisions[i].brought {
			for _, id := range ids {
				tell(id, revisions[i].Revision)
			}
		}
	}
	return told
}

// bringing returns the changes that a revision brought, newest first: those whose record names it, and those that it
// names. A revision that names none is also credited with the changes since the one before it that guessed allows.
// Revisions are newest first.
func bringing(
	revisions []historyEntry, i int, environment string, entries []history.Entry, guessed guesses,
) []history.Entry {
	published := func(i int) time.Time {
		at, err := time.Parse(time.RFC3339, revisions[i].PublishedAt)
		if err != nil {
			return time.Time{}
		}
		// Times of revisions are cut off at seconds, times of changes are not.
		return at.Add(time.Second)
	}
	until, since := published(i), time.Time{}
	if i+1 < len(revisions) {
		since = published(i + 1)
	}
	told := toldBy(revisions, environment, entries)
	var brought []history.Entry
	isBreakGlass := false
	for j := range entries {
		entry := &entries[j]
		by, isTold := told[entry.ID]
		switch {
		case isTold:
			if by == revisions[i].Revision {
				brought = append(brought, *entry)
				isBreakGlass = isBreakGlass || entry.BreaksGlass()
			}
		case revisions[i].tellsAll(), !concerns(entry, environment):
		case entry.Time.Time.Before(since), !entry.Time.Time.Before(until):
		case guessed.allows(entry, environment, until, entries):
			brought = append(brought, *entry)
		}
	}
	if isBreakGlass { // Nothing that was edited meanwhile is in what somebody wrote without the operator.
		return slices.DeleteFunc(brought, func(entry history.Entry) bool { return !entry.BreaksGlass() })
	}
	return brought
}

// tellsAll reports whether a revision names every change that it brought.
func (e *historyEntry) tellsAll() bool {
	total := 0
	for _, ids := range e.brought {
		total += len(ids)
	}
	return total > 0 && total < history.MaxBrought
}

// concerns reports whether a change may change what an environment serves.
func concerns(entry *history.Entry, environment string) bool {
	switch {
	case entry.Object.Kind == "FlagEnvironment":
		return entry.Object.Name == environment
	case entry.Object.Kind == "FeatureFlag" && len(entry.Environments) > 0:
		return slices.Contains(entry.Environments, environment)
	default:
		return true
	}
}
