// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// ager says how long ago something was.
type ager func(time.Time) string

// onlySwitchesOff reports whether nothing but flags that go off differs between two revisions. Such a change is an
// emergency stop, which nobody wants to undo by a rollback.
func onlySwitchesOff(older, newer *datafile.Contents) bool {
	for _, sections := range [][2]*datafile.Section{{&older.Audiences, &newer.Audiences}, {&older.Events, &newer.Events}} {
		if !slices.EqualFunc(slices.Collect(sections[0].All()), slices.Collect(sections[1].All()), samePart) {
			return false
		}
	}
	if older.Flags.Len() != newer.Flags.Len() {
		return false
	}
	for part := range newer.Flags.All() {
		before, known := older.Flags.Get(part.Key)
		switchedOff := compile.IsOn(older, part.Key) && !compile.IsOn(newer, part.Key)
		if !known || !samePart(before, part) && !switchedOff {
			return false
		}
	}
	return true
}

func samePart(a, b datafile.Part) bool { return a.Key == b.Key && a.Digest == b.Digest }

// brake switches off in a document what the annotations of flags force off in an environment, as the operator does with
// what is pinned.
func (c *cluster) brake(ctx context.Context, environment string, document *datafile.Document) error {
	keys, err := c.brakedKeys(ctx, environment)
	for _, key := range keys {
		if form := document.Flags[key]; form != nil && form.Enabled {
			document.Flags[key] = compile.Off(form)
		}
	}
	return err
}

// rollbackEffects says what changes for whom where target is served instead of served, and which flags go on.
func rollbackEffects(served, target *datafile.Document) (effects, on []string) {
	changes := map[string]*diff.Change{}
	for _, change := range diff.Documents(served, target) {
		changes[change.Flag] = &change
	}
	keys := slices.Collect(maps.Keys(changes))
	for key, form := range target.Flags {
		if form.Enabled && !isOn(served, key) {
			keys, on = append(keys, key), append(on, key)
		}
	}
	slices.Sort(keys)
	slices.Sort(on)
	for _, key := range slices.Compact(keys) {
		effects = append(effects, effectOf(key, served, target, changes[key]))
	}
	return effects, on
}

func isOn(document *datafile.Document, key string) bool {
	form := document.Flags[key]
	return form != nil && form.Enabled
}

// effectOf says what changes of one flag, in one line.
func effectOf(key string, served, target *datafile.Document, change *diff.Change) string {
	was, is := isOn(served, key), isOn(target, key)
	text := key
	switch {
	case target.Flags[key] == nil:
		text += " is not served any more; code gets the default in the code"
	case served.Flags[key] == nil && is:
		text += " is served again, and on"
	case served.Flags[key] == nil:
		text += " is served again, and off"
	case !was && is:
		text += " goes on"
	case was && !is:
		text += " goes off"
	default:
		text += " changes"
	}
	if change != nil {
		if moves := change.Effects(); len(moves) > 0 {
			text += ": " + strings.Join(moves, "; ")
		}
	}
	return text
}

// whoSwitchedOff says who made a flag go off in an environment, where the history knows it.
func whoSwitchedOff(key, environment string, entries []history.Entry, age ager) string {
	for i := range entries {
		entry := &entries[i]
		if entry.Object.Kind != "FeatureFlag" || entry.Object.Key != key || !concerns(entry, environment) {
			continue
		}
		if slices.Contains([]history.Action{history.FlagToggled, history.FlagArchived, history.FlagDeleted}, entry.Action) {
			return fmt.Sprintf(" (%s by %s %s ago)", entry.Summary, entry.Actor.Name, age(entry.Time.Time))
		}
	}
	return " (switched off since)"
}

// holds reports whether the history holds a revision.
func holds(revisions []historyEntry, revision int64) bool {
	return slices.ContainsFunc(revisions, func(entry historyEntry) bool { return entry.Revision == revision })
}

// ranges lists the revisions of a history, which are newest first, such as "1 to 3, 7".
func ranges(revisions []historyEntry) string {
	if len(revisions) == 0 {
		return "none"
	}
	var parts []string
	for i := len(revisions) - 1; i >= 0; {
		first := revisions[i].Revision
		last := first
		for i--; i >= 0 && revisions[i].Revision == last+1; i-- {
			last++
		}
		switch last {
		case first:
			parts = append(parts, strconv.FormatInt(first, 10))
		default:
			parts = append(parts, fmt.Sprintf("%d to %d", first, last))
		}
	}
	return strings.Join(parts, ", ")
}
