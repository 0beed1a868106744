// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Admission records every change but one that is made past it: what somebody serves without the operator. The operator
// records that itself when it finds it, and again when it is ended.

// recordBreakGlass records what was read of a break glass, in place of before, which was known until then. A record that
// is there already stays.
func (r *Reconciler) recordBreakGlass(ctx context.Context, s *scope, before *publish.Served) error {
	served := s.state.served
	wasBreakGlass := before != nil && before.BreakGlass != nil
	switch {
	case served.BreakGlass != nil && wasBreakGlass && before.Revision == served.Revision:
		return nil
	case served.BreakGlass != nil:
		mark := served.BreakGlass
		flags, err := r.changedByHand(ctx, s, before)
		if err != nil {
			return err
		}
		id := history.BreakGlassID(s.environment.Name, served.Revision, mark.String())
		since := seenBefore(served.Revision, before, s.environment.Status.PublishedRevision)
		record, err := history.NewBreakGlass(id, history.Actor{Name: mark.Actor}, mark.At, flags, since)
		return r.record(ctx, s, record, err)
	case wasBreakGlass || before == nil && s.environment.Status.State == v1alpha1.PublishStateBreakGlass:
		revision := s.environment.Status.PublishedRevision
		if wasBreakGlass {
			revision = before.Revision
		}
		by, at := history.UnknownActor, s.now
		if served.EndedBy != nil {
			by, at = served.EndedBy.Actor, served.EndedBy.At
		}
		id := history.BreakGlassEndID(s.environment.Name, revision)
		s.state.endedGlass = id
		record, err := history.NewBreakGlassEnd(id, history.Actor{Name: by}, at)
		return r.record(ctx, s, record, err)
	}
	return nil
}

// seenBefore is the revision that was known before one that somebody wrote without the operator, where there may be others
// between them: each break glass takes a number. It is 0 where there are none, or nobody knows.
func seenBefore(revision int64, before *publish.Served, last int64) int64 {
	if before != nil {
		last = before.Revision
	}
	if last+1 < revision {
		return last
	}
	return 0
}

func (r *Reconciler) record(ctx context.Context, s *scope, record *history.Record, err error) error {
	if err != nil {
		return fmt.Errorf("record a break glass: %w", err)
	}
	of := history.ObjectOf(environmentKind, s.environment)
	change, err := history.NewChange(s.environment.Namespace, of, v1alpha1.HistoryRecorded, record, nil)
	if err != nil {
		return fmt.Errorf("record a break glass: %w", err)
	}
	if err := r.Client.Create(ctx, change); err != nil && !apierrors.IsAlreadyExists(err) {
		// What is served does not depend on it.
		log.FromContext(ctx).Error(err, "Not recording a break glass", "change", change.Name, "actor", record.Actor.Name)
	}
	return nil
}

// changedByHand are the flags that differ between what is served without the operator and what was served before: what
// memory knows, else the revision of the history that the status names.
func (r *Reconciler) changedByHand(
	ctx context.Context,
	s *scope,
	before *publish.Served,
) ([]history.ServedFlag, error) {
	served, last := s.state.served, s.environment.Status.PublishedRevision
	if before == nil && last > 0 && last < served.Revision {
		kept, err := r.Publisher.Kept(ctx, s.environment, last, served)
		if publish.ProblemOf(err) == nil && err != nil {
			return nil, err
		}
		if err == nil {
			before = kept
		}
	}
	if before == nil || before.Contents == nil {
		return nil, nil // Nobody knows what it has changed.
	}
	was, is := before.Contents, servedContents(served)
	var flags []history.ServedFlag
	add := func(key string, from, to datafile.Part) {
		flags = append(flags, history.ServedFlag{
			Key: key, WasOn: compile.IsOn(was, key), IsOn: compile.IsOn(is, key), Before: from.JSON, After: to.JSON,
		})
	}
	for part := range is.Flags.All() {
		if !samePart(was, is, part.Key) {
			from, _ := was.Flags.Get(part.Key)
			add(part.Key, from, part)
		}
	}
	for part := range was.Flags.All() {
		if _, has := is.Flags.Get(part.Key); !has {
			add(part.Key, part, datafile.Part{})
		}
	}
	return flags, nil
}
