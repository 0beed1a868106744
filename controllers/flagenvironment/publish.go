// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/metrics"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// load reads what is served, where that is not known.
func (r *Reconciler) load(ctx context.Context, s *scope) error {
	if v1alpha1.Lost(s.environment, "spec.datafile") || !s.state.mustRead(s.environment.DatafileName()) {
		return nil
	}
	s.state.reload = true
	served, err := r.Publisher.Load(ctx, s.environment, s.state.revision())
	if err != nil {
		return err
	}
	before := s.state.served
	s.state.recordRead(served)
	return r.recordBreakGlass(ctx, s, before)
}

// publish decides what to serve and does it. Where that cannot be served, the last revision stays, and is restored.
func (r *Reconciler) publish(ctx context.Context, s *scope) error {
	r.recordVolume(s)
	if s.stopped() {
		return nil
	}
	if s.state.waiting == nil {
		s.state.waiting = s.environment.Status.WaitingPublish
	}
	known, action := s.decideWithRoom()
	s.state.recordWaiting(known)
	if action.Answers != "" && action.Kind != ActionPublish && isOutdated(known) {
		r.Status.Recorder.Eventf(s.environment, nil, corev1.EventTypeWarning, v1alpha1.AwaitingPublishReason, "Publish",
			"the publish request of %s is not carried out, because what is wanted was edited while it had to wait; ask for a "+
				"publish again", action.Answers)
	}
	action, err := r.withVolume(ctx, s, action)
	if publish.ProblemOf(err) != nil { // What is compiled takes as much memory as what is served.
		return cmp.Or(r.stop(ctx, s), err)
	}
	if err == nil {
		err = r.act(ctx, s, action)
	}
	if publish.ProblemOf(err) != nil {
		if lastGoodErr := r.serveLastGood(ctx, s); lastGoodErr != nil {
			return lastGoodErr
		}
	}
	if err == nil {
		s.hold = action.Hold
		s.state.recordAnswered(action.Answers)
		if action.Drops {
			s.state.compiled = nil
		}
	}
	return err
}

// serveLastGood keeps serving what is served, where what is wanted cannot be.
func (r *Reconciler) serveLastGood(ctx context.Context, s *scope) error {
	action := decideLastGood(s.facts())
	s.hold = action.Hold
	return r.act(ctx, s, action)
}

// act carries an action out.
func (r *Reconciler) act(ctx context.Context, s *scope, action Action) error {
	switch action.Kind {
	case ActionPublish:
		s.state.pace.published(s.now)
		return r.publishContent(ctx, s, s.state.content())
	case ActionBrake:
		return r.brake(ctx, s, s.state.served, pinServed(s.facts()))
	case ActionPin:
		return r.pin(ctx, s, action.Revision)
	case ActionRestore:
		return r.restore(ctx, s)
	case ActionHold, ActionNone:
	}
	return nil
}

// publishContent makes content the next revision and serves it.
func (r *Reconciler) publishContent(ctx context.Context, s *scope, content publish.Content) error {
	publishing := publishing{
		before: servedContents(s.state.served), after: content.Contents, wanted: s.state.compiled.Contents(),
		isWhole: content.Digest(s.environment.Spec.Datafile.Formats) == s.state.digest, keeps: s.state.keeps,
	}
	content.Brought = s.state.records.brought(publishing)
	served, err := r.Publisher.Publish(ctx, s.environment, content, s.state.served)
	if !apierrors.IsConflict(err) { // It is tried again at once.
		metrics.Published(resultOf(err), r.Clock.Since(s.now))
	}
	if err != nil {
		return err
	}
	s.state.records.published(publishing)
	log.FromContext(ctx).Info("Published", "revision", served.Revision, "digest", served.Digest)
	s.state.recordServed(served)
	return nil
}

// resultOf is what came of a publish, as metrics say it.
func resultOf(err error) string {
	switch {
	case err == nil:
		return metrics.Success
	case publish.ProblemOf(err) != nil:
		return metrics.Refused
	default:
		return metrics.Failed
	}
}

// pin serves a revision of the history. Flags that are forced off stay off, which makes a revision of its own.
func (r *Reconciler) pin(ctx context.Context, s *scope, revision int64) error {
	pinned, err := r.Publisher.Kept(ctx, s.environment, revision, s.state.served)
	if err != nil {
		return err
	}
	if lacksBrakes(pinned, s.state.compiled.ForcedOffKeys()) {
		return r.brake(ctx, s, pinned, revision)
	}
	if err := r.Publisher.Serve(ctx, s.environment, pinned); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Published", "revision", pinned.Revision, "digest", pinned.Digest)
	s.state.recordServed(pinned)
	return nil
}

// lacksBrakes reports whether a revision, served as it is, would have a flag on that is forced off: in its native document,
// or in a flagd file that an older operator kept.
func lacksBrakes(pinned *publish.Served, forcedOff []string) bool {
	if pinned.Contents == nil || len(forcedOff) == 0 {
		return false
	}
	return len(compile.OnAmong(pinned.Contents, forcedOff)) > 0 || !pinned.OffInFlagd()
}

// brake publishes a revision anew with the flags off that are forced off, and nothing else changed. Pinned is the
// revision that spec.publish.revision asks for, and 0 where it asks for none.
func (r *Reconciler) brake(ctx context.Context, s *scope, of *publish.Served, pinned int64) error {
	contents, definitions, document, err := compile.Brake(of.Contents, s.state.compiled.ForcedOffKeys())
	if err != nil {
		return fmt.Errorf("force flags off in revision %d: %w", of.Revision, err)
	}
	return r.publishContent(ctx, s, publish.Content{
		Contents: contents, Flagd: definitions, PinnedRevision: pinned, IsBrake: true,
		Document: func() *datafile.Document { return document },
	})
}

// prune drops what the history keeps beyond its limit.
func (r *Reconciler) prune(ctx context.Context, s *scope) error {
	if s.stopped() || s.hold > 0 {
		return nil
	}
	return r.Publisher.Prune(ctx, s.environment, s.state.revision(), ptr.Deref(s.environment.Spec.Publish.Revision, 0))
}
