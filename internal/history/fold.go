// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// MaxFolded is how many changes one FlagChange stands for once their detail is gone.
const MaxFolded = 250

// MaxOlder is how many changes without detail a project keeps. The oldest go first.
const MaxOlder = 10000

// Fold returns the FlagChanges that keep who, what and when of the changes in sources, which are all of one object:
// detailed ones, and ones that stand for older changes already. Each stands for at most MaxFolded changes. What is
// folded twice comes out under the same names.
func Fold(sources []v1alpha1.FlagChange) ([]*v1alpha1.FlagChange, error) {
	var entries []Entry
	for i := range sources {
		entries = append(entries, EntriesOf(&sources[i])...)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	entries = sortOnce(entries)
	slices.Reverse(entries)
	var folded []*v1alpha1.FlagChange
	for chunk := range slices.Chunk(entries, MaxFolded) {
		change, err := foldChunk(sources[0].Namespace, chunk)
		if err != nil {
			return nil, err
		}
		folded = append(folded, change)
	}
	return folded, nil
}

// foldChunk returns the FlagChange that stands for entries, of which there is at least one, oldest first.
func foldChunk(namespace string, entries []Entry) (*v1alpha1.FlagChange, error) {
	newest := &entries[len(entries)-1]
	change := &v1alpha1.FlagChange{Spec: v1alpha1.FlagChangeSpec{
		ID: newest.ID, Object: newest.Object, Action: string(ChangesFolded), Time: newest.Time,
		Actor:   v1alpha1.ChangeActor{Name: actorOf(entries)},
		Summary: fmt.Sprintf("%d older changes since %s", len(entries), entries[0].Time.UTC().Format("2006-01-02")),
	}}
	sum := sha256.New()
	for i := range entries {
		entry := &entries[i]
		_, _ = io.WriteString(sum, entry.ID+"/") // A digest takes everything.
		change.Spec.Older = append(change.Spec.Older, v1alpha1.OlderChange{
			ID: entry.ID, Action: string(entry.Action), Time: entry.Time, Summary: clipRunes(entry.Summary, maxOlderRunes),
			Actor: v1alpha1.ChangeActor{Name: entry.Actor.Name, UID: entry.Actor.UID},
		})
	}
	name := newest.ID + "-" + hex.EncodeToString(sum.Sum(nil))[:10]
	return finish(namespace, name, v1alpha1.HistoryFolded, change)
}

// actorOf is the actor of all entries, or how many there are.
func actorOf(entries []Entry) string {
	names := map[string]bool{}
	for i := range entries {
		names[entries[i].Actor.Name] = true
	}
	if len(names) == 1 {
		return cmp.Or(entries[0].Actor.Name, "unknown")
	}
	return fmt.Sprintf("(%d users)", len(names))
}
