// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"slices"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Where a production environment publishes by request, whoever may not publish stages changes of what is on as well.
// Those for which a ConfigMap has no room must not keep the others from being published.

// tooLargeMessage says of a flag that its change is not published.
const tooLargeMessage = "the datafile does not fit into a ConfigMap with the change of the flag: what was last published of " +
	"it stays; make the change smaller, archive flags or split the project"

// MakeFit compiles as Compile does. Where fits says that the contents do not fit, flags and audiences that differ from
// what is published stay as they were last published, or out where they never were: those that grow the most first, and
// no more of them than need be. Where that does not help, nothing stays back. Fits looks at Contents and Flagd, and is
// called twice where as many stay as before, else a few times.
func (e *Environment) MakeFit(fits func() bool) Changes {
	before := len(e.stagedOut) + len(e.stagedOutAudiences)
	changes := e.stageOut(nil)
	grown := e.grown()
	kept := lastThat(len(grown), len(grown)-before, func(kept int) bool {
		changes = changes.and(e.stageOut(grown[kept:]))
		return fits()
	})
	if kept < 0 {
		return changes.and(e.stageOut(nil))
	}
	return changes.and(e.stageOut(grown[kept:]))
}

// StagedOut reports whether any change is not published as it is now, because the datafile would not fit.
func (e *Environment) StagedOut() bool { return len(e.stagedOut)+len(e.stagedOutAudiences) > 0 }

// TooLarge returns the keys of flags and the names of audiences whose changes are not published as they are now, because
// the datafile would not fit, in order.
func (e *Environment) TooLarge() (flags, audiences []string) {
	for _, key := range e.stagedOut.sorted() {
		if held, ok := e.entries[key]; ok && held.problem == TooLargeProblem {
			flags = append(flags, key)
		}
	}
	return flags, e.stagedOutAudiences.sorted()
}

func (e *Environment) isStagedOut(key string) bool {
	_, is := e.stagedOut[key]
	return is
}

// stageOut compiles with the changes of those left out and of no others.
func (e *Environment) stageOut(grown []growth) Changes {
	for _, before := range []struct{ out, dirty set }{
		{e.stagedOut, e.dirtyFlags}, {e.stagedOutAudiences, e.dirtyAudiences},
	} {
		for name := range before.out {
			before.dirty.add(name)
		}
		clear(before.out)
	}
	for _, one := range grown {
		if one.kind == audienceReference {
			e.stagedOutAudiences.add(one.name)
			e.dirtyAudiences.add(one.name)
		} else {
			e.stagedOut.add(one.name)
			e.dirtyFlags.add(one.name)
		}
	}
	return e.Compile()
}

// growth is a flag or an audience, and how many bytes more the contents have by its change.
type growth struct {
	reference

	bytes int
}

// grown returns the flags and the audiences by whose changes the contents grow. An audience that is not published comes
// with the flags that refer to it. What grows the least comes first.
func (e *Environment) grown() []growth {
	var grown []growth
	add := func(kind referenceKind, part, published datafile.Part, more int) {
		if bytes := len(part.JSON) - len(published.JSON) + more; part.Digest != published.Digest && bytes > 0 {
			grown = append(grown, growth{reference{kind, part.Key}, bytes})
		}
	}
	for part := range e.contents.Flags.All() {
		held, holder := e.entries[part.Key], e.unarchived(part.Key)
		if holder == nil || held.form != holder.form {
			continue // It is as it was last published already.
		}
		more := 0
		for _, ref := range held.audiences {
			if audience, has := e.contents.Audiences.Get(ref.name); has && !e.isPublished(ref) {
				more += len(audience.JSON)
			}
		}
		published, _ := e.published.Flags.Get(part.Key)
		add(flagReference, part, published, more)
	}
	for part := range e.contents.Audiences.All() {
		if published, is := e.published.Audiences.Get(part.Key); is {
			add(audienceReference, part, published, 0)
		}
	}
	slices.SortFunc(grown, func(a, b growth) int {
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return grown
}
