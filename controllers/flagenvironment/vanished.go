// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// maxConfirmation is the length of the longest confirmation that a status holds. Digests are shorter.
const maxConfirmation = 64

// maxVanished is how many lost flags a message names.
const maxVanished = 10

// maxDeleted is how many deleted flags that are still served a status names.
const maxDeleted = 1000

// wasDeleted reports whether a flag that is served and has no object was deleted by somebody. Records of deletions go
// after a month, and a freeze or a pin may last for longer: then the environment's status says it. What is on record
// decides, for a status may be older than it.
func wasDeleted(key string, deletions *history.Deletions, environment *v1alpha1.FlagEnvironment) bool {
	if deletions.KnowsKey(key) {
		return deletions.HasKey(key)
	}
	return slices.Contains(environment.Status.DeletedFlags, key)
}

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
		if !wasDeleted(key, deletions, s.environment) {
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

// usedConfirmation is the value of the annotation that confirms losses which was used up last, and empty where none was.
func (s *scope) usedConfirmation() string {
	return cmp.Or(s.state.usedConfirmation, s.environment.Status.LastHandledConfirmVanished)
}

// releaseConfirmed gives up the flags that are held where somebody has confirmed that they are meant to be gone.
func (s *scope) releaseConfirmed() {
	held := s.state.compiled.Held()
	if len(held) == 0 ||
		s.environment.Annotations[v1alpha1.ConfirmVanishedAnnotation] != compile.HeldDigest(held, s.usedConfirmation()) {
		return
	}
	for _, key := range held {
		s.state.compiled.Release(key)
	}
}

// recordDeleted notes which deleted flags are still served, and that a confirmation is used up once none is: nobody
// confirms the next loss of the same flags by what they have said about this one.
func (s *scope) recordDeleted(to *v1alpha1.FlagEnvironmentStatus) {
	deleted := s.state.compiled.Missing()
	to.DeletedFlags = deleted[:min(len(deleted), maxDeleted)]
	confirmation := s.environment.Annotations[v1alpha1.ConfirmVanishedAnnotation]
	isDone := s.state.served != nil && len(deleted) == 0 && len(s.state.compiled.Held()) == 0
	if isDone && confirmation != "" && len(confirmation) <= maxConfirmation {
		s.state.usedConfirmation = confirmation
	}
	to.LastHandledConfirmVanished = s.usedConfirmation()
}

// vanishedMessage says which flags are held, and what to do. Used is the confirmation that was used up last.
func vanishedMessage(environment *v1alpha1.FlagEnvironment, used string, held []string) string {
	named := strings.Join(held[:min(len(held), maxVanished)], ", ")
	if more := len(held) - maxVanished; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d flags are gone and nobody has deleted them, so that what was served of them stays: %s; "+
		"restore them, or confirm that they are meant to go: kubectl -n %s annotate flagenvironment %s --overwrite %s=%s",
		len(held), named, environment.Namespace, environment.Name, v1alpha1.ConfirmVanishedAnnotation,
		compile.HeldDigest(held, used))
}
