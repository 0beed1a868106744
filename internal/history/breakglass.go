// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// servedFlags begins the path of a flag in what an environment serves.
	servedFlags = "served.flags["

	// servedSince is the path of the revision since which several may have written what an environment serves.
	servedSince = "served.since"

	// maxServedFlags is how many flags the record of a break glass looks at.
	maxServedFlags = 100
)

// UnknownActor is who made a change of which nothing tells who made it.
const UnknownActor = "unknown"

// BreakGlassID is the id of the record that somebody wrote a revision of the environment without the operator. It is
// the same whenever the operator finds that. Mark is the annotation that says who and when.
func BreakGlassID(environment string, revision int64, mark string) string {
	return idOf("break-glass", environment, strconv.FormatInt(revision, 10), mark)
}

// BreakGlassEndID is the id of the record that somebody ended the break glass of a revision of the environment.
func BreakGlassEndID(environment string, revision int64) string {
	return idOf("break-glass-end", environment, strconv.FormatInt(revision, 10))
}

func idOf(what string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return what + "-" + hex.EncodeToString(sum[:])[:20]
}

// ServedFlag is what becomes of one flag in what an environment serves. Before and After are its published forms, empty
// where it is not served.
type ServedFlag struct {
	Key           string
	WasOn, IsOn   bool
	Before, After json.RawMessage
}

func (f *ServedFlag) change() Change {
	if f.WasOn != f.IsOn {
		return Change{Path: servedFlags + f.Key + "].enabled", From: boolean(f.WasOn), To: boolean(f.IsOn)}
	}
	return Change{Path: servedFlags + f.Key + "]", From: f.Before, To: f.After}
}

// NewBreakGlass returns the record of a revision that an actor wrote without the operator. Flags are those that it
// changes. What goes on or off comes first, for a record does not hold many. Since is the revision that the operator knows
// of before that one, where others may have written the numbers between, in whose names flags were changed then; else 0.
func NewBreakGlass(id string, actor Actor, at time.Time, flags []ServedFlag, since int64) (*Record, error) {
	record := &Record{Action: BreakGlassBegun}
	if since > 0 {
		record.Changes = append(record.Changes, Change{Path: servedSince, To: json.RawMessage(strconv.FormatInt(since, 10))})
	}
	flags = slices.Clone(flags)
	slices.SortStableFunc(flags, func(a, b ServedFlag) int {
		return cmp.Compare(rankOf(a.WasOn == a.IsOn), rankOf(b.WasOn == b.IsOn))
	})
	for i := range flags {
		if i == maxServedFlags {
			record.Omitted = len(flags) - i
			break
		}
		record.Changes = append(record.Changes, flags[i].change())
		record.Enables = record.Enables || flags[i].IsOn && !flags[i].WasOn
	}
	return record, record.Stamp(id, actor, at, nil)
}

func rankOf(last bool) int {
	if last {
		return 1
	}
	return 0
}

// NewBreakGlassEnd returns the record that an actor ended a break glass.
func NewBreakGlassEnd(id string, actor Actor, at time.Time) (*Record, error) {
	record := &Record{Action: BreakGlassEnded}
	return record, record.Stamp(id, actor, at, nil)
}

// BreaksGlass reports whether a record says that somebody wrote what is served without the operator.
func (r *Record) BreaksGlass() bool { return r.Action == BreakGlassBegun }

// breakGlass says that somebody wrote what is served, and since which revision where several may have.
func (r *Record) breakGlass() string {
	if len(r.Changes) > 0 && r.Changes[0].Path == servedSince {
		return "break glass since revision " + string(r.Changes[0].To)
	}
	return "break glass"
}

// summaryOfServed says what becomes of a flag in what is served, and nothing for other paths.
func (c *Change) summaryOfServed() string {
	rest, is := strings.CutPrefix(c.Path, servedFlags)
	end := strings.LastIndexByte(rest, ']')
	if !is || end < 0 {
		return ""
	}
	switch key := rest[:end]; {
	case rest[end+1:] == ".enabled":
		return key + " " + onOff(c.To)
	case isAbsent(c.From):
		return key + " added"
	case isAbsent(c.To):
		return key + " removed"
	default:
		return key + " changed"
	}
}

func boolean(is bool) json.RawMessage { return json.RawMessage(strconv.FormatBool(is)) }
