// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// Admission records each deletion before it happens. A flag that is gone without such a record was lost: with its CRD,
// past admission, or because a backup has not restored it yet. What was served of it stays.

// flagKind and environmentKind are Kinds in change records.
const (
	flagKind        = "FeatureFlag"
	environmentKind = "FlagEnvironment"
)

// maxVanished is how many lost flags a message names.
const maxVanished = 10

// holdMissing keeps the flags that the published file has and the resources have not, at the first look.
func (r *Reconciler) holdMissing(ctx context.Context, s *scope) error {
	missing := s.state.compiled.Missing()
	if len(missing) == 0 {
		return nil
	}
	deletions, err := history.FindDeletions(ctx, r.Live, s.environment.Namespace, flagKind)
	if err != nil {
		return err
	}
	isLost := false
	for _, key := range missing {
		if !deletions.HasKey(key) {
			s.state.compiled.HoldFlag(key)
			isLost = true
		}
	}
	return r.reportLost(ctx, s, isLost)
}

// removeFlags removes the flags of those names, which are gone, where somebody has deleted them, and holds the others.
func (r *Reconciler) removeFlags(ctx context.Context, s *scope, names []string) error {
	uids := map[string]string{} // By name.
	var asked []string
	for _, name := range names {
		if outcome, known := s.state.compiled.Outcome(name); known {
			uids[name] = string(outcome.UID)
			asked = append(asked, uids[name])
		}
	}
	if len(asked) == 0 {
		return nil
	}
	deletions, err := history.FindDeletions(ctx, r.Live, s.environment.Namespace, flagKind, asked...)
	if err != nil {
		return err
	}
	isLost := false
	for name, uid := range uids {
		if deletions.HasUID(uid) {
			outcome, _ := s.state.compiled.Outcome(name)
			s.seeDeletion(flagKind, outcome.Key, name, deletions)
			s.state.compiled.RemoveFlag(name)
		} else {
			s.state.compiled.LoseFlag(name)
			isLost = true
		}
	}
	return r.reportLost(ctx, s, isLost)
}

// reportLost logs that flags are held. Where the whole namespace goes, it returns publish.ErrNamespaceGone: nothing is
// to be confirmed then.
func (r *Reconciler) reportLost(ctx context.Context, s *scope, isLost bool) error {
	if !isLost {
		return nil
	}
	if isGone, err := history.IsGone(ctx, r.Live, s.environment.Namespace); err != nil {
		return err
	} else if isGone {
		return publish.ErrNamespaceGone
	}
	log.FromContext(ctx).Info("Holding flags that are gone and that nobody has deleted", "flags", s.state.compiled.Held())
	return nil
}

// releaseConfirmed gives up the flags that are held where somebody has confirmed that they are meant to be gone.
func releaseConfirmed(environment *v1alpha1.FlagEnvironment, compiled *compile.Environment) {
	held := compiled.Held()
	if len(held) == 0 || environment.Annotations[v1alpha1.ConfirmVanishedAnnotation] != compile.HeldDigest(held) {
		return
	}
	for _, key := range held {
		compiled.Release(key)
	}
}

// vanishedMessage says which flags are held, and what to do.
func vanishedMessage(environment *v1alpha1.FlagEnvironment, held []string) string {
	named := strings.Join(held[:min(len(held), maxVanished)], ", ")
	if more := len(held) - maxVanished; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d flags are gone and nobody has deleted them, so that what was served of them stays: %s; "+
		"restore them, or confirm that they are meant to go: kubectl -n %s annotate flagenvironment %s --overwrite %s=%s",
		len(held), named, environment.Namespace, environment.Name, v1alpha1.ConfirmVanishedAnnotation,
		compile.HeldDigest(held))
}
