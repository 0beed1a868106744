// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// maxNotes is how many change records of one object wait for the revision that brings them. The oldest go first.
const maxNotes = 64

// carriedAtMost is how long an object carries a record before the history has it. One that is seen again after that is
// brought again, of which the first time counts.
const carriedAtMost = 10 * time.Minute

// Kinds in change records, beside flagKind and environmentKind.
const (
	audienceKind = "FlagAudience"
	eventKind    = "FlagEvent"
)

// note is a change record that no revision has brought yet.
type note struct {
	id string
	// at is when the change was made.
	at time.Time
	// isBrake is true where the change forces a flag off, or no longer.
	isBrake bool
}

// noted is what is remembered of the change records of one object.
type noted struct {
	// key is that of a flag, and empty for other Kinds.
	key string
	// until is the time of the newest record that was seen. Those of an object have rising times.
	until time.Time
	// notes are oldest first.
	notes []note
}

// records remembers, by Kind and name of the object, the change records that no revision of one environment has brought
// yet. All of them are read again from the objects and from the history after a restart; one that was brought before is
// then brought again, of which the first time counts.
type records struct{ byObject map[history.Named]*noted }

func newRecords() records { return records{byObject: map[history.Named]*noted{}} }

// see notes the records that an object carries and that may change what the environment serves.
func (r *records) see(kind, environment string, object history.Object) {
	carried := object.GetAnnotations()[v1alpha1.ChangesAnnotation]
	if carried == "" {
		return
	}
	all, err := history.Decode(carried)
	if err != nil {
		return // The history controller reports it.
	}
	of := history.ObjectOf(kind, object)
	for i := range all {
		record := &all[i]
		r.add(history.Named{Kind: kind, Name: of.Name}, of.Key, record.Time.Time, note{
			id: record.ID, isBrake: record.IsBrake(),
		}, record.Concerns(of, environment))
	}
}

// add notes one record where it was not seen before.
func (r *records) add(of history.Named, key string, at time.Time, record note, concerns bool) {
	known := r.byObject[of]
	if known == nil {
		known = &noted{}
		r.byObject[of] = known
	}
	known.key = key
	if !at.After(known.until) {
		return
	}
	known.until = at
	if concerns {
		record.at = at
		known.notes = append(known.notes, record)
		known.notes = known.notes[max(0, len(known.notes)-maxNotes):]
	}
}

// forgetEnvironment forgets, at a start, the records of the environment that are no newer than what is served: an earlier
// process has brought them, or they changed nothing of what is served.
func (r *records) forgetEnvironment(publishedAt time.Time) {
	for of, known := range r.byObject {
		if of.Kind == environmentKind {
			known.notes = slices.DeleteFunc(known.notes, func(record note) bool { return !record.at.After(publishedAt) })
		}
	}
}

// publishing is what a publish replaces, by what, and what is wanted.
type publishing struct {
	before, after, wanted *datafile.Contents
	// isWhole is true where all of what is wanted is published, and nothing else.
	isWhole bool
	// keeps reports whether a flag, by its key, or an audience keeps its last good form, in which its changes are not. Nil
	// means that none does.
	keeps func(kind, name string) bool
}

// brings reports whether the publish serves an object as it was after the change of a record.
func (p publishing) brings(of history.Named, known *noted, record note) bool {
	switch of.Kind {
	case flagKind:
		if samePart(p.before, p.after, known.key) {
			return false
		}
		return record.isBrake || samePart(p.after, p.wanted, known.key) && (p.keeps == nil || !p.keeps(flagKind, known.key))
	case environmentKind:
		return true
	default: // All of what is wanted is served, unless flags are forced off in something older.
		return p.isWhole && (p.keeps == nil || !p.keeps(of.Kind, of.Name))
	}
}

// brought returns the ids of the records that a publish brings, by object, at most history.MaxBrought of them.
func (r *records) brought(p publishing) history.Brought {
	brought := history.Brought{}
	total := 0
	for of, known := range r.byObject {
		for _, record := range known.notes {
			if total < history.MaxBrought && p.brings(of, known, record) {
				brought[of.String()] = append(brought[of.String()], record.id)
				total++
			}
		}
	}
	return brought
}

// published forgets the records that a publish has brought.
func (r *records) published(p publishing) {
	for of, known := range r.byObject {
		known.notes = slices.DeleteFunc(known.notes, func(record note) bool { return p.brings(of, known, record) })
	}
}

// drop forgets the records that change nothing of what is served: those of flags that are served as wanted, those of
// the environment, which has been reconciled, and the others where everything is served as wanted. What keeps its last
// good form still waits. It forgets objects that have none left for so long that they are not seen again.
func (r *records) drop(pending map[string]struct{}, isServed bool, keeps func(kind, name string) bool, now time.Time) {
	for of, known := range r.byObject {
		_, isPending := pending[known.key]
		switch {
		case of.Kind == environmentKind,
			of.Kind == flagKind && !isPending && !keeps(flagKind, known.key),
			of.Kind != flagKind && isServed && !keeps(of.Kind, of.Name):
			known.notes = nil
		}
		if len(known.notes) == 0 && now.Sub(known.until) > carriedAtMost {
			delete(r.byObject, of)
		}
	}
}

// recall notes, after a restart, the records of flags that wait for a publish, or for what lets them be published, that
// were moved to the history and that are newer than what is served.
func (r *Reconciler) recall(ctx context.Context, s *scope) error {
	if s.state.served == nil {
		return nil // It is not known what is served: its name is taken, or a newer operator has written it.
	}
	waiting := sets.KeySet(s.state.pending).Insert(s.state.compiled.LastGood()...)
	for key := range waiting {
		for _, name := range s.state.compiled.FlagNames(key) {
			if err := r.recallFlag(ctx, s, key, name, s.state.served.PublishedAt); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Reconciler) recallFlag(ctx context.Context, s *scope, key, name string, since time.Time) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagChangeList"))
	if err := r.Metadata.List(ctx, list, client.InNamespace(s.environment.Namespace),
		client.MatchingFields{index.HistoryOf: index.HistoryKey(flagKind, name)}); err != nil {
		return fmt.Errorf("list the history of flag %q: %w", name, err)
	}
	of := history.Named{Kind: flagKind, Name: name}
	known := s.state.records.byObject[of]
	if known == nil {
		known = &noted{key: key}
		s.state.records.byObject[of] = known
	}
	outcome, _ := s.state.compiled.Outcome(name)
	moved := history.Moved(list.Items, outcome.UID, s.environment.Name, since)
	for i := range moved {
		if moved[i].Time.After(known.until) {
			known.until = moved[i].Time
		}
		if !slices.ContainsFunc(known.notes, func(n note) bool { return n.id == moved[i].ID }) {
			known.notes = append(known.notes, note{id: moved[i].ID})
		}
	}
	known.notes = known.notes[max(0, len(known.notes)-maxNotes):]
	return nil
}

// seeDeletion notes that the deletion of an object was admitted.
func (s *scope) seeDeletion(kind, key, name string, deletions *history.Deletions) {
	id, at := deletions.Named(name)
	if id == "" {
		return
	}
	s.state.records.add(history.Named{Kind: kind, Name: name}, key, at, note{id: id}, true)
}

// seeDeletedEvent notes the deletion of an event, which the datafile loses.
func (r *Reconciler) seeDeletedEvent(ctx context.Context, s *scope, name string) {
	if s.deletedEvents == nil { // Once a reconcile: a thousand events may go at once.
		deletions, err := history.FindDeletions(ctx, r.Live, s.environment.Namespace, eventKind)
		if err != nil {
			// What is served does not depend on it.
			log.FromContext(ctx).Error(err, "Not saying which revision brings the deletion of an event", "event", name)
			deletions = &history.Deletions{}
		}
		s.deletedEvents = deletions
	}
	s.seeDeletion(eventKind, "", name, s.deletedEvents)
}
