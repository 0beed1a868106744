// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

const (
	// maxUnconfirmed is the highest number that is believed where nothing but contents tells it, which an editor of
	// ConfigMaps can write. Beyond it there is room for every revision that will ever be published.
	maxUnconfirmed = ownership.MaxUnconfirmed

	// maxAhead is how far beyond every confirmed revision one is believed that a workload says it has loaded. It is more
	// than an environment publishes between two backups, and keeps a workload that lies from using the numbers up.
	maxAhead = 1 << 20

	// maxRead is how many history entries are read to find such a number.
	maxRead = 20
)

// numbers are the revisions that a new one must not have.
type numbers struct {
	// highest is the highest revision that is confirmed.
	highest int64
	// taken are those of all history entries, forged ones as well.
	taken map[int64]bool
}

// after is the next revision that is free, as far as the cache shows. It may be beyond ownership.MaxRevision.
func (n numbers) after(revision int64) int64 {
	for revision++; n.taken[revision]; {
		revision++
	}
	return revision
}

// numbers finds the highest revision that the status, what is served or the operator's seal confirms. Where the status
// is lost, or this process has no seal, contents that say the same number confirm it too.
func (p *Publisher) numbers(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	served *Served,
) (numbers, error) {
	history, others, err := p.history(ctx, environment)
	if err != nil {
		return numbers{}, err
	}
	found := numbers{
		highest: max(served.Revision, served.floor, plausible(environment.Status.PublishedRevision)), taken: map[int64]bool{},
	}
	for _, entries := range [][]metav1.PartialObjectMetadata{history, others} {
		for i := range entries {
			found.taken[ownership.RevisionOf(&entries[i])] = true
		}
	}
	found.highest = max(found.highest, loaded(environment.Status.Instances, found.highest))
	if p.Seal != nil && len(history) > 0 {
		found.highest = max(found.highest, ownership.RevisionOf(&history[len(history)-1]))
	}
	if p.Seal == nil || environment.Status.PublishedRevision == 0 {
		unconfirmed, err := p.highestUnconfirmed(ctx, environment, slices.Concat(history, others), found.highest)
		if err != nil {
			return numbers{}, err
		}
		found.highest = max(found.highest, unconfirmed)
	}
	return found, nil
}

// loaded is the highest revision that a workload has reported with a server key, and 0 where none is believed. After an
// older snapshot of etcd was restored nobody else knows which numbers name something already.
func loaded(instances []v1alpha1.Instance, confirmed int64) int64 {
	var highest int64
	for i := range instances {
		if revision := instances[i].Revision; revision <= min(confirmed+maxAhead, maxUnconfirmed) {
			highest = max(highest, revision)
		}
	}
	return highest
}

// highestUnconfirmed is the highest revision over above that a history entry has whose contents say the same number.
func (p *Publisher) highestUnconfirmed(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	entries []metav1.PartialObjectMetadata,
	above int64,
) (int64, error) {
	entries = slices.DeleteFunc(entries, func(entry metav1.PartialObjectMetadata) bool {
		revision := ownership.RevisionOf(&entry)
		return revision <= above || revision > maxUnconfirmed
	})
	slices.SortFunc(entries, func(a, b metav1.PartialObjectMetadata) int {
		return cmp.Compare(ownership.RevisionOf(&b), ownership.RevisionOf(&a))
	})
	for _, entry := range entries[:min(len(entries), maxRead)] {
		kept, err := p.get(ctx, environment, entry.Name)
		if ignoreNameTaken(err) != nil {
			return 0, err
		}
		if kept == nil {
			continue
		}
		if _, err := ownership.Read(nil, environment, kept); err == nil {
			return ownership.RevisionOf(kept), nil
		} else if ignoreTampered(err) != nil {
			return 0, err
		}
	}
	return 0, nil
}

// history returns the environment's history as the cache shows it: the entries that bear the operator's seal, oldest
// first, and by name the others, which carry the labels alone.
func (p *Publisher) history(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
) (sealed, others []metav1.PartialObjectMetadata, err error) {
	key := client.ObjectKeyFromObject(environment)
	all, err := p.list(ctx, key, v1alpha1.DatafileHistory)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		revision, digest := ownership.RevisionOf(&all[i]), all[i].Annotations[v1alpha1.DigestAnnotation]
		if revision > 0 && (p.Seal.HoldsDatafile(key, &all[i]) || ownership.Confirms(&environment.Status, revision, digest)) {
			sealed = append(sealed, all[i])
		} else {
			others = append(others, all[i])
		}
	}
	slices.SortFunc(sealed, func(a, b metav1.PartialObjectMetadata) int {
		return cmp.Compare(ownership.RevisionOf(&a), ownership.RevisionOf(&b))
	})
	slices.SortFunc(others, func(a, b metav1.PartialObjectMetadata) int { return cmp.Compare(a.Name, b.Name) })
	return sealed, others, nil
}
