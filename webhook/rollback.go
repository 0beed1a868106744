// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// effects says who gets another answer when the environment serves another revision of its history, or stops doing so.
// It reads the two datafiles by their names.
func (r *flagEnvironments) effects(
	ctx context.Context,
	old, environment *v1alpha1.FlagEnvironment,
	_ []validation.Finding,
) ([]string, error) {
	was, is := pinOf(old), pinOf(environment)
	switch {
	case was == is && (is == 0 || !asksAgain(old, environment)):
		return nil, nil
	case is == 0:
		return unpinned(environment, r.clock.Now()), nil
	}
	kept, err := ownership.GetHistory(ctx, r.live, environment, is)
	if err != nil {
		return nil, err
	}
	target, err := documentOf(kept)
	if err != nil {
		return nil, err
	}
	served, err := r.document(ctx, environment.Namespace, environment.DatafileName())
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	} else if err != nil {
		served = &datafile.Document{}
	}
	braked, err := r.brakedKeys(ctx, environment)
	if err != nil {
		return nil, err
	}
	return rollbackEffects(is, served, target, braked), nil
}

// asksAgain reports whether a change asks for the pinned revision anew, in place of what is served.
func asksAgain(old, environment *v1alpha1.FlagEnvironment) bool {
	asked := validation.PinAgain(environment)
	return asked != 0 && asked != validation.PinAgain(old) && asked == old.Status.PublishedRevision
}

func pinOf(environment *v1alpha1.FlagEnvironment) int64 {
	if environment.Spec.Publish.Revision == nil {
		return 0
	}
	return *environment.Spec.Publish.Revision
}

// unpinned says what the end of a pin publishes.
func unpinned(environment *v1alpha1.FlagEnvironment, now time.Time) []string {
	pending := environment.Status.PendingFlags
	if len(pending) == 0 || !isAutomatic(environment) || environment.Spec.Publish.At(now).Suspend {
		return nil
	}
	named := strings.Join(pending[:min(len(pending), maxEffects)], ", ")
	if more := len(pending) - maxEffects; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return []string{
		"the pin ends, and what the resources say is published: " + named + " change; jackstaff diff says for whom",
	}
}

// document reads the native document of a datafile.
func (o *objects) document(ctx context.Context, namespace, name string) (*datafile.Document, error) {
	configMap := &corev1.ConfigMap{}
	if err := o.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, configMap); err != nil {
		return nil, fmt.Errorf("read ConfigMap %q: %w", name, err)
	}
	return documentOf(configMap)
}

// brakedKeys are the keys of the flags that stay off whatever revision is served.
func (o *objects) brakedKeys(ctx context.Context, environment *v1alpha1.FlagEnvironment) ([]string, error) {
	flags := &v1alpha1.FeatureFlagList{}
	if err := o.cached.List(
		ctx,
		flags,
		client.InNamespace(environment.Namespace),
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	var keys []string
	for i := range flags.Items {
		if flags.Items[i].ForceDisabledIn(environment.Name) {
			keys = append(keys, flags.Items[i].Key())
		}
	}
	return keys, nil
}

// rollbackEffects says which flags change, and for whom, when revision, of which target is the document, takes the
// place of served. What goes on or off comes first. Flags of those keys stay off.
func rollbackEffects(revision int64, served, target *datafile.Document, braked []string) []string {
	for _, key := range braked {
		if form := target.Flags[key]; form != nil && form.Enabled {
			target.Flags[key] = compile.Off(form)
		}
	}
	about := fmt.Sprintf("revision %d", revision)
	if len(target.Flags) == 0 {
		return []string{
			fmt.Sprintf(
				"%s serves no flag: code gets the default in the code for all %d flags that are served now",
				about,
				len(served.Flags),
			),
		}
	}
	work := maxRulesCompared
	keys := map[string]struct{}{}
	for _, document := range []*datafile.Document{served, target} {
		for key := range document.Flags {
			keys[key] = struct{}{}
		}
	}
	var effects []effect
	for key := range keys {
		if found := effectOf(key, served, target, &work); found.text != "" {
			effects = append(effects, found)
		}
	}
	slices.SortFunc(
		effects,
		func(a, b effect) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.text, b.text)) },
	)
	texts := make([]string, 0, len(effects)+1)
	for _, found := range effects {
		texts = append(texts, about+": "+found.text)
	}
	if work < 0 {
		texts = append(texts, tooMuch)
	}
	return texts
}

// effect is what becomes of one flag. The lower its rank, the more it matters.
type effect struct {
	rank int
	text string
}

func effectOf(key string, served, target *datafile.Document, work *int) effect {
	before, after := served.Flags[key], target.Flags[key]
	was, is := before != nil && before.Enabled, after != nil && after.Enabled
	found := effect{}
	switch {
	case !was && is:
		found = effect{0, fmt.Sprintf("flag %q goes on", key)}
	case was && after == nil:
		found = effect{1, fmt.Sprintf("flag %q is not served any more; code gets the default in the code", key)}
	case was && !is:
		found = effect{1, fmt.Sprintf("flag %q goes off", key)}
	case after == nil:
		found = effect{2, fmt.Sprintf("flag %q, which is off, is not served any more", key)}
	case before == nil:
		found = effect{2, fmt.Sprintf("flag %q is served again, and off", key)}
	}
	if before == nil || after == nil || *work < 0 {
		return found
	}
	change := diff.FlagWithin(served, target, key, work)
	if change == nil {
		return found
	}
	if said := change.Effects(); len(said) > 0 {
		if found.text == "" {
			found = effect{2, fmt.Sprintf("flag %q changes", key)}
		}
		found.text += ": " + strings.Join(said[:min(len(said), maxEffects)], "; ")
	}
	return found
}

// heldRevisions are the numbers of the environment's history, the newest first, from the cache.
func (o *objects) heldRevisions(ctx context.Context, environment *v1alpha1.FlagEnvironment) ([]int64, error) {
	list := ownership.ConfigMaps()
	err := o.cached.List(
		ctx,
		list,
		ownership.Selecting(client.ObjectKeyFromObject(environment), v1alpha1.DatafileHistory)...)
	if err != nil {
		return nil, fmt.Errorf("list the history of environment %q: %w", environment.Name, err)
	}
	var held []int64
	for i := range list.Items {
		if revision := ownership.RevisionOf(&list.Items[i]); revision > 0 {
			held = append(held, revision)
		}
	}
	slices.SortFunc(held, func(a, b int64) int { return cmp.Compare(b, a) })
	return slices.Compact(held), nil // Both forms of an entry are there while the operator compresses it.
}
