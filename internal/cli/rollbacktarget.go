// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"slices"

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
	at target,
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
	return nil, nothingToUndo(at, environment, base, revisions, found)
}

// nothingToUndo says why a rollback finds no target by itself, and what there is instead. Found has what it passed over.
func nothingToUndo(
	at target, environment *v1alpha1.FlagEnvironment, base int64, revisions []historyEntry, found *undoing,
) error {
	oldest := base // Of those that hold flags.
	var all []int64
	for i := range revisions {
		all = append(all, revisions[i].Revision)
		if revision := revisions[i].Revision; revision < oldest && !slices.Contains(found.passed, revision) {
			oldest = revision
		}
	}
	history := "the oldest of its history"
	if len(found.passed) > 0 {
		history += " that holds a flag"
	}
	why := fmt.Sprintf("revision %d is %s", base, history)
	if oldest < base {
		why = fmt.Sprintf(
			"from revision %d, %s, to revision %d flags were switched off and nothing else changed", oldest, history, base)
	}
	if environment.Status.PinnedRevision > 0 && environment.Spec.Publish.Revision != nil {
		why = fmt.Sprintf("it is rolled back to revision %d already, and %s", base, why)
	}
	return fmt.Errorf(
		"there is nothing to undo in %s: %s; %s shows what each revision brought, and --to takes %s; to switch one "+
			"flag off, use jackstaff toggle with --brake",
		environment.Name, why, at.command([]string{"history", environment.Name}), numbers(all),
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
