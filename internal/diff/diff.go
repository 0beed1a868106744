// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff says which flags another datafile changes, and for whom. It is pure: two documents in, a report out.
//
// Whom a flag serves what depends on two things. Which conditions a context meets is not known here, so that the report
// speaks of groups: the subjects that match one rule and no other, and all others. What a hash decides in such a group
// is known: a variation has an interval of the hash's values, and of two flags that use the same hash, the intervals
// say exactly how many subjects get something else. Different hashes are independent, which makes a share an expected
// one.
//
// A subject is taken to have a targeting key, and to meet the prerequisites that the flag had before and has now.
package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Kind says what became of a flag.
type Kind string

// The kinds of a Change.
const (
	// Added: the flag was not served before.
	Added Kind = "added"
	// Removed: the flag is not served any more, so that code gets its own default.
	Removed Kind = "removed"
	// Changed: the flag, or something that it depends on, is another.
	Changed Kind = "changed"
)

// Change is what becomes of one flag.
type Change struct {
	// Flag is the flag's key.
	Flag string `json:"flag"`
	// Kind says what became of it.
	Kind Kind `json:"kind"`
	// Moves say who gets another variation. They are empty where nobody does.
	Moves []Move `json:"moves,omitempty"`
	// Unreachable are the names of rules that no context reaches any more.
	Unreachable []string `json:"unreachable,omitempty"`
	// Notes say what else changes.
	Notes []string `json:"notes,omitempty"`

	// answers are those of Notes that speak of another answer for somebody, or say that this is not known.
	answers []string
	// reservations are those of Notes that say what Moves leave out.
	reservations []string
}

// Move is a share of a group of subjects that gets another variation.
type Move struct {
	// Of is the group, such as `subjects that match rule "beta"`. Empty means all subjects, but for those that other moves
	// speak of.
	Of string `json:"of,omitempty"`
	// When is the time in which it is so, such as "until 2027-03-15T09:00:00Z". Empty means always.
	When string `json:"when,omitempty"`
	// From and To are the keys of the variations, and "(code default)" for the value that the code asks with.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// FromCode and ToCode are true where From and To are the value that the code asks with, and not a variation of that
	// key.
	FromCode bool `json:"fromCode,omitempty"`
	ToCode   bool `json:"toCode,omitempty"`
	// Share is the share of the group, at most 1. It is 0, without From and To, where nobody of the group moves, but
	// others do.
	Share float64 `json:"share"`
	// Expected is true where the hash is another, so that the share is that of independent hashes. Else it is exact.
	Expected bool `json:"expected,omitempty"`
	// Others is true where Of is empty and other moves speak of other groups.
	Others bool `json:"others,omitempty"`
}

// Documents returns what becomes of every flag that is not as it was, by key. A flag is not as it was, too, where an
// audience or a flag that it requires is not.
func Documents(before, after *datafile.Document) []Change {
	keys := map[string]struct{}{}
	for _, document := range []*datafile.Document{before, after} {
		for key := range document.Flags {
			keys[key] = struct{}{}
		}
	}
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if change := Flag(before, after, key); change != nil {
			changes = append(changes, *change)
		}
	}
	return changes
}

// Flag returns what becomes of one flag, and nil where it is as it was. The documents hold the audiences and flags that
// it refers to.
func Flag(before, after *datafile.Document, key string) *Change {
	return FlagWithin(before, after, key, new(math.MaxInt))
}

// FlagWithin is Flag for one who cannot wait: it looks at no more than so many rules, over and over for each group of
// subjects and each interval of hash values, and takes what it has looked at off that number. A note says what was not
// looked at.
func FlagWithin(before, after *datafile.Document, key string, rules *int) *Change {
	old, current := served(before, key), served(after, key)
	switch {
	case old == nil && current == nil:
		return nil
	case old == nil:
		return &Change{Flag: key, Kind: Added}
	case current == nil:
		return &Change{Flag: key, Kind: Removed}
	}
	c := &comparison{before: newPlan(before, key, old), after: newPlan(after, key, current), work: rules}
	change := &Change{Flag: key, Kind: Changed}
	change.variations(old, current)
	change.answer(overrides(old.Overrides, current.Overrides)...)
	change.Notes = append(change.Notes, dependencies(before, after, old, current)...)
	if len(change.Notes) == 0 && reflect.DeepEqual(old, current) {
		return nil
	}
	change.Moves = c.moves()
	change.reservations = c.notes
	change.Notes = append(change.Notes, c.notes...)
	if c.uncounted {
		change.answer(uncounted)
	}
	gone := c.before.unreachable()
	for _, name := range c.after.unreachable() {
		if !slices.Contains(gone, name) {
			change.Unreachable = append(change.Unreachable, name)
		}
	}
	return change
}

func served(document *datafile.Document, key string) *datafile.Flag {
	if flag := document.Flags[key]; flag != nil && !flag.Retained {
		return flag
	}
	return nil
}

// variations notes what becomes of the variations.
func (c *Change) variations(old, current *datafile.Flag) {
	values := map[string]json.RawMessage{}
	for _, variation := range old.Variations {
		values[variation.Key] = variation.Value
	}
	for _, variation := range current.Variations {
		switch value, was := values[variation.Key]; {
		case !was:
			c.note(fmt.Sprintf("variation %q is new", variation.Key))
		case string(value) != string(variation.Value):
			c.answer(
				fmt.Sprintf("variation %q is %s and was %s", variation.Key, shown(string(variation.Value)), shown(string(value))),
			)
		}
		delete(values, variation.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		c.note(fmt.Sprintf("variation %q is gone", key))
	}
	if old.Type != current.Type {
		c.note(fmt.Sprintf("the type is %s and was %s", current.Type, old.Type))
	}
	if was, is := whileOff(old), whileOff(current); old.Enabled && current.Enabled && was != is {
		text := fmt.Sprintf("while it is off the flag serves %s in place of %s", is, was)
		if isOffAtTimes(old) || isOffAtTimes(current) {
			c.answer(text)
		} else {
			c.note(text)
		}
	}
}

// whileOff is what a flag serves while it is off.
func whileOff(flag *datafile.Flag) string {
	if flag.CodeDefault {
		return "the code's default"
	}
	return strconv.Quote(flag.DefaultVariation)
}

func isOffAtTimes(flag *datafile.Flag) bool {
	return flag.Schedule != nil || len(flag.Prerequisites) > 0
}

// note adds a note of what changes nobody's answer.
func (c *Change) note(text string) { c.Notes = append(c.Notes, text) }

// answer adds notes that speak of another answer for somebody.
func (c *Change) answer(notes ...string) {
	c.Notes, c.answers = append(c.Notes, notes...), append(c.answers, notes...)
}

// overrides say for which targeting keys another variation is pinned.
func overrides(old, current map[string]string) []string {
	keys := maps.Clone(old)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, current)
	var found []string
	more := 0
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, isPinned := old[key], current[key]
		switch {
		case was == isPinned:
		case len(found) == maxNamed:
			more++
		case was == "":
			found = append(found, fmt.Sprintf("targeting key %q is pinned to %q", key, isPinned))
		case isPinned == "":
			found = append(found, fmt.Sprintf("targeting key %q is no longer pinned to %q", key, was))
		default:
			found = append(found, fmt.Sprintf("targeting key %q is pinned to %q in place of %q", key, isPinned, was))
		}
	}
	if more > 0 {
		found = append(found, fmt.Sprintf("%d more targeting keys are pinned otherwise", more))
	}
	return found
}

// dependencies say which audiences and required flags are not as they were.
func dependencies(before, after *datafile.Document, old, current *datafile.Flag) []string {
	var found []string
	for _, name := range audiencesOf(old, current) {
		if !reflect.DeepEqual(before.Audiences[name], after.Audiences[name]) {
			found = append(found, fmt.Sprintf("audience %q is another", name))
		}
	}
	seen := map[string]bool{}
	queue := requirements(old, current)
	for ; len(queue) > 0; queue = queue[1:] {
		key := queue[0]
		if seen[key] {
			continue
		}
		seen[key] = true
		required, requiredNow := before.Flags[key], after.Flags[key]
		other := !reflect.DeepEqual(required, requiredNow)
		for _, name := range audiencesOf(required, requiredNow) {
			other = other || !reflect.DeepEqual(before.Audiences[name], after.Audiences[name])
		}
		if other {
			found = append(found, fmt.Sprintf("flag %q, which it requires, is another", key))
		}
		queue = append(queue, requirements(required, requiredNow)...)
	}
	return found
}

// audiencesOf are the names of the audiences of flags, of which some may be nil, each once, in order.
func audiencesOf(flags ...*datafile.Flag) []string {
	var names []string
	for _, flag := range flags {
		if flag == nil {
			continue
		}
		for i := range flag.Rules {
			names = append(names, flag.Rules[i].Audiences...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func requirements(flags ...*datafile.Flag) []string {
	var keys []string
	for _, flag := range flags {
		if flag == nil {
			continue
		}
		for _, prerequisite := range flag.Prerequisites {
			keys = append(keys, prerequisite.Flag)
		}
	}
	return keys
}

// Text says what becomes of the flag, a line for each thing, the first without indent.
func (c *Change) Text() string {
	lines := []string{c.Flag + " " + string(c.Kind)}
	if c.Kind == Removed {
		lines[0] += "; code gets the default in the code"
	}
	for _, move := range c.Moves {
		lines = append(lines, move.Text())
	}
	for _, name := range c.Unreachable {
		lines = append(lines, fmt.Sprintf("rule %q is never reached any more", name))
	}
	lines = append(lines, c.Notes...)
	if c.Kind == Changed && len(c.Moves) == 0 {
		lines = append(lines, "no rule and no default gives anybody another variation")
	}
	return strings.Join(lines, "\n  ")
}

// Effects says who gets another answer from a changed flag, a sentence for each share, value and pinned targeting key,
// and what is not known of that. It is empty where the answers are what they were.
func (c *Change) Effects() []string {
	var effects []string
	for i := range c.Moves {
		effects = append(effects, c.Moves[i].Text())
	}
	effects = append(effects, c.answers...)
	if len(effects) == 0 {
		return nil
	}
	return append(effects, c.reservations...)
}

// Text is the move in one sentence, such as "12.5 % of subjects move from off to on".
func (m *Move) Text() string {
	text := ""
	if m.When != "" {
		text = m.When + ": "
	}
	group := m.Of
	if m.Others {
		group = "all other subjects"
	}
	if m.Share == 0 {
		return text + "of " + group + " nobody moves"
	}
	share := percent(m.Share)
	if m.Expected {
		share = "about " + share
	}
	if group == "" {
		text += share + " of subjects move"
	} else {
		text += "of " + group + " " + share + " move"
	}
	text += " from " + named(m.From, m.FromCode) + " to " + named(m.To, m.ToCode)
	if m.Expected {
		text += " (expected, because another hash decides)"
	}
	return text
}

// byCode is how a move names the value that the code asks with.
const byCode = "(code default)"

// shownKey is a key of a variation, or byCode.
func shownKey(key string) string {
	if key == codeDefault {
		return byCode
	}
	return key
}

// named is a variation in a text, in quotes where it could be taken for the value that the code asks with.
func named(key string, isCode bool) string {
	if key == byCode && !isCode {
		return strconv.Quote(key)
	}
	return key
}

// percent writes a share with up to three decimals.
func percent(share float64) string {
	const step = 1e-5
	if share < step {
		return "less than 0.001 %"
	}
	if share > 1-step && share < 1 {
		return "more than 99.999 %"
	}
	return strconv.FormatFloat(math.Round(share*100*1000)/1000, 'f', -1, 64) + " %"
}

const (
	// maxNamed bounds how many targeting keys and pairs of rules are named.
	maxNamed = 10

	// maxShown bounds what is repeated of a value, in bytes.
	maxShown = 60
)

func shown(value string) string {
	if len(value) <= maxShown {
		return value
	}
	return strings.ToValidUTF8(value[:maxShown], "") + "…"
}
