// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// compile brings the compiled environment up to date.
func (r *Reconciler) compile(ctx context.Context, s *scope) error {
	key := client.ObjectKeyFromObject(s.environment)
	if problem := v1alpha1.Undecodable(s.environment); problem != "" {
		return r.stopUndecodable(ctx, s, problem)
	}
	if stop := r.Budgets.Stop(s.environment.Namespace); stop != "" {
		return r.stopAtBudget(ctx, s, stop)
	}
	if s.state.stopped {
		s.state.compiled, s.state.stopped = nil, false
	}
	var err error
	isFirst := s.state.compiled == nil
	if isFirst {
		err = r.compileAll(ctx, s)
	} else {
		err = r.compileChanges(ctx, s, key)
	}
	if err != nil {
		return err
	}
	s.releaseConfirmed()
	specChanged := s.environment.Generation != s.environment.Status.ObservedGeneration
	changed := s.state.settle(isFirst, specChanged, s.environment.Spec.Datafile.Formats)
	s.noteRoom(isFirst, changed)
	if changed {
		log.FromContext(ctx).V(4).Info("Compiled the environment")
	}
	if !isFirst {
		return nil
	}
	if err := r.recall(ctx, s); err != nil {
		s.state.compiled = nil // It is the first time again.
		return err
	}
	return nil
}

// compileAll sets every object of the namespace.
func (r *Reconciler) compileAll(ctx context.Context, s *scope) error {
	key := client.ObjectKeyFromObject(s.environment)
	r.changes.follow(key)
	flags, audiences, flagEvents := &v1alpha1.FeatureFlagList{}, &v1alpha1.FlagAudienceList{}, &v1alpha1.FlagEventList{}
	for _, list := range []client.ObjectList{flags, audiences, flagEvents} {
		// Compiling only reads, so that the cache's own objects will do.
		if err := r.Client.List(
			ctx,
			list,
			client.InNamespace(s.environment.Namespace),
			client.UnsafeDisableDeepCopy,
		); err != nil {
			return fmt.Errorf("list: %w", err)
		}
	}
	s.state.compiled = r.projects.of(
		s.environment.Namespace,
	).NewEnvironment(
		s.environment.Name,
		servedContents(s.state.served),
	)
	for i := range flags.Items {
		r.changes.saw(key, flagSource, flags.Items[i].ResourceVersion)
		s.state.compiled.SetFlag(&flags.Items[i])
		s.state.records.see(flagKind, s.environment.Name, &flags.Items[i])
	}
	for i := range audiences.Items {
		r.changes.saw(key, audienceSource, audiences.Items[i].ResourceVersion)
		s.state.compiled.SetAudience(&audiences.Items[i])
		s.state.records.see(audienceKind, s.environment.Name, &audiences.Items[i])
	}
	for i := range flagEvents.Items {
		r.changes.saw(key, eventSource, flagEvents.Items[i].ResourceVersion)
		s.state.compiled.SetEvent(&flagEvents.Items[i])
		s.state.records.see(eventKind, s.environment.Name, &flagEvents.Items[i])
	}
	if s.state.served != nil {
		s.state.records.forgetEnvironment(s.state.served.PublishedAt)
	}
	if err := r.holdMissing(ctx, s); err != nil {
		s.state.compiled = nil // It is the first time again.
		return err
	}
	return nil
}

// compileChanges sets and removes the objects that changed since the last time.
func (r *Reconciler) compileChanges(ctx context.Context, s *scope, key types.NamespacedName) error {
	pending := r.changes.drain(key)
	var gone []string
	for changed := range pending {
		err := r.compileChange(ctx, s, changed, func() { gone = append(gone, changed.name) })
		if err != nil {
			r.changes.requeue(key, pending)
			return err
		}
	}
	if err := r.removeFlags(ctx, s, gone); err != nil {
		r.changes.requeue(key, pending)
		return err
	}
	return nil
}

// compileChange sets or removes one object. It calls flagIsGone for a flag that is gone, which may stay.
func (r *Reconciler) compileChange(ctx context.Context, s *scope, changed change, flagIsGone func()) error {
	key := types.NamespacedName{Namespace: s.environment.Namespace, Name: changed.name}
	compiled, shared := s.state.compiled, client.UnsafeDisableDeepCopy
	see := func(kind string, object v1alpha1.Object) { s.state.records.see(kind, s.environment.Name, object) }
	switch changed.source {
	case flagSource:
		flag := &v1alpha1.FeatureFlag{}
		return setOrRemove(
			r.Client.Get(ctx, key, flag, shared),
			func() { compiled.SetFlag(flag); see(flagKind, flag) },
			flagIsGone,
		)
	case audienceSource:
		audience := &v1alpha1.FlagAudience{}
		return setOrRemove(
			r.Client.Get(ctx, key, audience, shared),
			func() { compiled.SetAudience(audience); see(audienceKind, audience) },
			func() { compiled.RemoveAudience(changed.name) },
		)
	case eventSource:
		flagEvent := &v1alpha1.FlagEvent{}
		return setOrRemove(
			r.Client.Get(ctx, key, flagEvent, shared),
			func() { compiled.SetEvent(flagEvent); see(eventKind, flagEvent) },
			func() { compiled.RemoveEvent(changed.name); r.seeDeletedEvent(ctx, s, changed.name) },
		)
	}
	return nil
}

func setOrRemove(err error, set, remove func()) error {
	switch {
	case err == nil:
		set()
	case apierrors.IsNotFound(err):
		remove()
	default:
		return fmt.Errorf("get: %w", err)
	}
	return nil
}
