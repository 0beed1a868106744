// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// undoing is the change that a rollback without --to undoes.
type undoing struct {
	// change is the index of the revision that brought it, and target that of the revision to serve instead.
	change, target int
	// passed are revisions in between that hold no flag.
	passed []int64
}

// undone finds the change that is to be undone: the newest one, of what is served and older, that did more than switch
// flags off. A revision without any flag, such as the first one of a project, is no target while flags are served: code
// would get its own defaults for all of them. Revisions are newest first, and read by read.
func undone(
	environment *v1alpha1.FlagEnvironment,
	revisions []historyEntry,
	read func(revision int64) (*datafile.Contents, error),
) (*undoing, error) {
	base := environment.Status.PublishedRevision
	if pinned := environment.Status.PinnedRevision; pinned > 0 {
		base = pinned
	}
	var served, newer *datafile.Contents
	found := &undoing{}
	for i := range revisions {
		if revisions[i].Revision > base {
			continue
		}
		contents, err := read(revisions[i].Revision)
		switch {
		case err != nil:
			return nil, err
		case served == nil:
			served = contents
		case holdsFlags(served) && !holdsFlags(contents):
			found.passed = append(found.passed, revisions[i].Revision)
			continue
		case !onlySwitchesOff(contents, newer):
			found.target = i
			return found, nil
		}
		newer, found.change = contents, i
	}
	passed := ""
	if len(found.passed) > 0 {
		passed = ", without counting what holds no flag (" + numbers(found.passed) + ")"
	}
	return nil, fmt.Errorf(
		"the history of %s holds no revision before %d that differs by more than flags that were switched off since%s; it "+
			"holds %s: choose one with --to",
		environment.Name,
		base,
		passed,
		ranges(revisions),
	)
}

// holdsFlags reports whether contents serve any flag, be it on or off.
func holdsFlags(contents *datafile.Contents) bool {
	for part := range contents.Flags.All() {
		form := &datafile.Flag{}
		if json.Unmarshal(part.JSON, form) != nil || !form.Retained {
			return true
		}
	}
	return false
}

// numbers lists revisions that are newest first, such as "revisions 1 to 2".
func numbers(revisions []int64) string {
	entries := make([]historyEntry, len(revisions))
	for i, revision := range revisions {
		entries[i].Revision = revision
	}
	if len(revisions) == 1 {
		return "revision " + ranges(entries)
	}
	return "revisions " + ranges(entries)
}
