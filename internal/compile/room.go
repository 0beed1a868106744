// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"maps"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Whoever may not publish makes drafts: flags that are off in production and were never enabled there. These must not
// keep the others from being published, which have the room of a datafile first.

// noRoomMessage says of a draft that it is not published as it is.
const noRoomMessage = "the flag is a draft, and the datafile has no room for it as it is now: what was last published of it " +
	"stays; it is published once it is enabled, or once there is room: archive flags or split the project"

// isDraft reports whether a flag is off in an environment and was never enabled there. Of a flag that is new the status
// does not say so yet: its generation is -1 in the cluster, and 0 in a file.
func isDraft(flag *v1alpha1.FeatureFlag, environment string) bool {
	if config := flag.In(environment); config != nil && config.Enabled {
		return false
	}
	return flag.Status.ObservedGeneration <= 0 || slices.Contains(flag.Status.NeverEnabledIn, environment)
}

// MakeRoom compiles as Compile does. Where fits says that the contents do not leave enough room, drafts stay as they
// were last published, or out where they never were: those that take the most room first, and no more of them than need
// be. A draft that another flag requires is none. Fits looks at Contents and Flagd, and is called twice where as many are
// left out as before, else a few times.
func (e *Environment) MakeRoom(fits func() bool) Changes {
	before := len(e.leftOut)
	changes := e.leaveOut(nil)
	drafts := e.drafts()
	kept := lastThat(len(drafts), len(drafts)-before, func(kept int) bool {
		changes = changes.and(e.leaveOut(drafts[kept:]))
		return fits()
	})
	if kept < 0 { // Not even without all of them: those that make it no worse are published.
		kept, _ = slices.BinarySearchFunc(drafts, 1, func(d draft, target int) int { return cmp.Compare(d.growth, target) })
	}
	return changes.and(e.leaveOut(drafts[kept:]))
}

// lastThat returns the largest of 0 to n for which holds is true, and -1 where there is none. Holds is true up to that
// and false after it. It is asked at the guess first, and twice where the guess is right.
func lastThat(n, guess int, holds func(int) bool) int {
	low, high := -1, n+1
	for at, step := min(max(guess, 0), n), 1; high-low > 1; step *= 2 {
		if holds(at) {
			low = at
		} else {
			high = at
		}
		switch {
		case low < 0:
			at = max(high-step, 0)
		case high > n:
			at = min(low+step, n)
		default:
			at = low + (high-low)/2
		}
	}
	return low
}

// LeftOut returns the keys of drafts that are not published as they are now, for want of room, in order.
func (e *Environment) LeftOut() []string {
	var keys []string
	for _, key := range e.leftOut.sorted() {
		if held, ok := e.entries[key]; ok && held.problem == NoRoomProblem {
			keys = append(keys, key)
		}
	}
	return keys
}

// and is what two Compiles one after the other brought about.
func (c Changes) and(then Changes) Changes {
	keys := slices.Concat(c.Keys, then.Keys)
	slices.Sort(keys)
	return Changes{Keys: slices.Compact(keys), Contents: c.Contents || then.Contents}
}

// leaveOut compiles with those drafts left out and no others.
func (e *Environment) leaveOut(drafts []draft) Changes {
	next := set{}
	for _, draft := range drafts {
		next.add(draft.key)
	}
	maps.Copy(e.dirtyFlags, e.leftOut)
	maps.Copy(e.dirtyFlags, next)
	e.leftOut = next
	return e.Compile()
}

// isLeftOut reports whether a flag, which holds the key, is a draft that is left out.
func (e *Environment) isLeftOut(key string, holder *flagInput) bool {
	_, is := e.leftOut[key]
	return is && holder.draft
}

// draft is a flag that can be left out, and how many bytes more the contents have with it.
type draft struct {
	key    string
	growth int
}

// drafts returns the drafts whose current form is in the contents and differs from the published one, which is off too
// where there is any. A draft refers to nothing, for what is off is compiled without its rules. The one that takes the
// least room comes first.
func (e *Environment) drafts() []draft {
	var drafts []draft
	for key, held := range e.entries {
		holder := e.unarchived(key)
		isRequired := len(e.referrers[reference{flagReference, key}]) > 0
		if isRequired || holder == nil || !holder.draft || held.form == nil || held.form != holder.form {
			continue
		}
		part, wasPublished := e.published.Flags.Get(key)
		if !wasPublished || part.Digest != held.part.Digest && !IsOn(e.published, key) {
			drafts = append(drafts, draft{key, len(held.part.JSON) - len(part.JSON)})
		}
	}
	slices.SortFunc(drafts, func(a, b draft) int {
		return cmp.Or(cmp.Compare(a.growth, b.growth), cmp.Compare(a.key, b.key))
	})
	return drafts
}
