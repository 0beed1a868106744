// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// maxLeaves bounds how many combinations of hash values are looked at for one group.
	maxLeaves = 1 << 18

	// maxPaired is the number of groups up to which subjects that match two rules are looked at.
	maxPaired = 30
)

// comparison compares two plans of one flag.
type comparison struct {
	before, after *plan
	notes         []string
	// work is how many rules may still be looked at, and uncounted is true where that or the number of hashes did not
	// suffice for a group.
	work      *int
	uncounted bool
	// cuts are the values at which something changes, by hash, in order, the last one hashValues.
	cuts map[string][]uint64
}

// group are the subjects that meet some predicates and no others.
type group struct {
	label string
	// which is the label within a sentence.
	which string
	meets []predicate
	// unmet is a prerequisite that the subjects do not meet. Empty means that they meet all.
	unmet string
}

func (g *group) matches(p predicate) bool {
	return len(p) == 0 || slices.ContainsFunc(g.meets, func(met predicate) bool { return met.implies(p) })
}

// period is a time in which neither schedule changes anything.
type period struct {
	label           string
	onBefore, onNow bool
}

// moves returns who gets another variation.
func (c *comparison) moves() []Move {
	c.prepareCuts()
	var moves []Move
	for _, period := range c.periods() {
		moves = append(moves, c.movesIn(period)...)
	}
	return moves
}

func (c *comparison) prepareCuts() {
	c.cuts = map[string][]uint64{}
	note := func(h *hashed) {
		if h == nil || h.hash == "" {
			return
		}
		for _, entry := range h.entries {
			c.cuts[h.hash] = append(c.cuts[h.hash], entry.end)
		}
	}
	for _, plan := range []*plan{c.before, c.after} {
		for i := range plan.rules {
			note(plan.rules[i].traffic)
			note(&plan.rules[i].split)
		}
	}
	for hash, cuts := range c.cuts {
		slices.Sort(cuts)
		c.cuts[hash] = slices.Compact(cuts)
	}
}

// periods cuts time at the instants of both schedules, and joins what is the same.
func (c *comparison) periods() []period {
	var instants []int64
	for _, plan := range []*plan{c.before, c.after} {
		if at, err := plan.schedule.Instants(); err == nil {
			instants = append(instants, at.EnableAt, at.DisableAt)
		}
	}
	slices.Sort(instants)
	instants = slices.DeleteFunc(slices.Compact(instants), func(instant int64) bool { return instant == datafile.Never })
	var periods []period
	var starts []int64
	for _, start := range append([]int64{math.MinInt64}, instants...) {
		next := period{onBefore: c.before.on(start), onNow: c.after.on(start)}
		if last := len(periods) - 1; last >= 0 && periods[last] == next {
			continue
		}
		periods, starts = append(periods, next), append(starts, start)
	}
	text := func(instant int64) string { return time.Unix(instant, 0).UTC().Format(time.RFC3339) }
	for i := range periods {
		switch first, last := i == 0, i == len(periods)-1; {
		case first && last:
		case first:
			periods[i].label = "until " + text(starts[i+1])
		case last:
			periods[i].label = "from " + text(starts[i])
		default:
			periods[i].label = "from " + text(starts[i]) + " until " + text(starts[i+1])
		}
	}
	return periods
}

// unpaired says that subjects are only looked at as if they matched one rule.
const unpaired = "there are too many rules to look at subjects that match two of them"

// movesIn returns who gets another variation in a period. A group for which the same holds as for all others is not
// spoken of.
func (c *comparison) movesIn(p period) []Move {
	others, counted := c.shares(p, &group{})
	c.uncounted = c.uncounted || !counted
	var moves []Move
	groups := c.groups()
	groupShares := make([]shares, len(groups))
	for i := range groups {
		groupShares[i], counted = c.shares(p, &groups[i])
		c.uncounted = c.uncounted || !counted
		if counted && !groupShares[i].equal(others) {
			moves = append(moves, groupShares[i].moves(groups[i].label)...)
		}
	}
	moves = append(moves, c.pairMoves(p, groups, groupShares, others)...)
	if len(others) > 0 {
		rest := others.moves("")
		for i := range rest {
			rest[i].Others = len(moves) > 0
		}
		moves = append(moves, rest...)
	}
	for i := range moves {
		moves[i].When = p.label
	}
	return moves
}

// pairMoves returns what subjects that match two rules get, where that is neither what one of the rules gives nor the
// other.
func (c *comparison) pairMoves(p period, groups []group, single []shares, others shares) []Move {
	if len(groups) > maxPaired {
		c.note(unpaired)
		return nil
	}
	var moves []Move
	named := 0
	for i := range groups {
		for j := range i {
			one, two := groups[j], groups[i]
			if one.unmet != "" || two.unmet != "" || one.matches(two.meets[0]) || two.matches(one.meets[0]) {
				continue
			}
			both := group{label: one.label + " and that " + two.which, meets: []predicate{one.meets[0], two.meets[0]}}
			found, counted := c.shares(p, &both)
			if !counted {
				c.note(unpaired)
				return nil
			}
			if found.equal(single[i]) || found.equal(single[j]) || found.equal(others) {
				continue
			}
			if named++; named <= maxNamed {
				moves = append(moves, found.moves(both.label)...)
			}
		}
	}
	if named > maxNamed {
		c.note(fmt.Sprintf("%d more pairs of rules give who matches both something else than before", named-maxNamed))
	}
	return moves
}

func (c *comparison) note(text string) {
	if !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

// groups are the subjects that match one rule and no other, but for those that everybody matches who matches that one.
// Where a rule is another than before, there is a group for its old and one for its new form.
func (c *comparison) groups() []group {
	var groups []group
	seen := map[string]struct{}{}
	for _, side := range []struct{ mine, theirs *plan }{{c.after, c.before}, {c.before, c.after}} {
		for i := range side.mine.rules {
			r := &side.mine.rules[i]
			id := r.match.String()
			if _, known := seen[id]; known || len(r.match) == 0 {
				continue
			}
			seen[id] = struct{}{}
			g := group{meets: []predicate{r.match}}
			g.which = fmt.Sprintf("%s rule %q", c.verb(side.mine, side.theirs, r, &g), r.name)
			g.label = "subjects that " + g.which
			groups = append(groups, g)
		}
	}
	for _, unmet := range append(slices.Clone(c.after.requires), c.before.requires...) {
		if slices.Contains(c.after.requires, unmet) != slices.Contains(c.before.requires, unmet) {
			groups = append(groups, group{label: "subjects to whom " + unmet, unmet: unmet})
		}
	}
	return groups
}

// verb says how the subjects of a group match a rule of mine that gave it its predicate.
func (c *comparison) verb(mine, theirs *plan, r *rule, g *group) string {
	other := theirs.rule(r.name)
	switch {
	case other == nil || other.match.String() == r.match.String():
		return "match"
	case g.matches(other.match):
		return "still match"
	case mine == c.after:
		return "newly match"
	default:
		return "no longer match"
	}
}

func (p *plan) rule(name string) *rule {
	for i := range p.rules {
		if p.rules[i].name == name {
			return &p.rules[i]
		}
	}
	return nil
}

// way is a pair of variations.
type way struct{ from, to string }

// shares are who moves, as shares of a group.
type shares map[way]*share

type share struct {
	size     float64
	expected bool
}

func (s shares) equal(other shares) bool {
	return maps.EqualFunc(
		s,
		other,
		func(a, b *share) bool { return math.Abs(a.size-b.size) < 1e-9 && a.expected == b.expected },
	)
}

// moves returns the shares of a group, the largest first, and one move of 0 where there are none.
func (s shares) moves(of string) []Move {
	if len(s) == 0 {
		return []Move{{Of: of}}
	}
	moves := make([]Move, 0, len(s))
	for way, share := range s {
		moves = append(moves, Move{
			Of: of, From: shownKey(way.from), To: shownKey(way.to),
			FromCode: way.from == codeDefault, ToCode: way.to == codeDefault,
			Share: share.size, Expected: share.expected,
		})
	}
	slices.SortFunc(moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return moves
}

// counter walks through the combinations of hash values of a group.
type counter struct {
	*comparison
	// before and after have only the rules that the group matches.
	before, after *plan
	period        period
	group         *group
	// values are the hashes that are decided on, each by the least value of an interval in which nothing changes.
	values map[string]uint64
	found  shares
	leaves int
}

// uncounted says that nothing is said of a group.
const uncounted = "too many hashes take part to say how many subjects move"

// shares returns the shares of a group that move. It reports, too, whether they could be counted.
func (c *comparison) shares(p period, g *group) (moving shares, counted bool) {
	*c.work -= len(c.before.rules) + len(c.after.rules)
	walk := &counter{
		comparison: c,
		before:     c.before.matched(g),
		after:      c.after.matched(g),
		period:     p,
		group:      g,
		values:     map[string]uint64{},
		found:      shares{},
	}
	walk.count(1)
	if walk.isTooMuch() {
		return shares{}, false
	}
	return walk.found, true
}

func (w *counter) isTooMuch() bool { return w.leaves > maxLeaves || *w.work < 0 }

// count adds the subjects that have the values that are decided on, of which there is that share.
func (w *counter) count(size float64) {
	*w.work -= len(w.before.rules) + len(w.after.rules) + 1
	if w.isTooMuch() {
		return
	}
	usedBefore, usedNow := map[string]struct{}{}, map[string]struct{}{}
	from, need := w.before.serve(w.period.onBefore, w.group, w.values, usedBefore)
	to := ""
	if need == "" {
		to, need = w.after.serve(w.period.onNow, w.group, w.values, usedNow)
	}
	if need != "" {
		low := uint64(0)
		for _, cut := range w.cuts[need] {
			if cut > low {
				w.values[need] = low
				w.count(size * float64(cut-low) / hashValues)
				low = cut
			}
		}
		delete(w.values, need)
		return
	}
	w.leaves++
	if from == to {
		return
	}
	moved := w.found[way{from, to}]
	if moved == nil {
		moved = &share{}
		w.found[way{from, to}] = moved
	}
	moved.size += size
	moved.expected = moved.expected || hasOther(usedBefore, usedNow) && hasOther(usedNow, usedBefore)
}

// hasOther reports whether a has something that b has not.
func hasOther(a, b map[string]struct{}) bool {
	for hash := range a {
		if _, has := b[hash]; !has {
			return true
		}
	}
	return false
}

// serve is decide for a flag that is on or off.
func (p *plan) serve(on bool, g *group, values map[string]uint64, used map[string]struct{}) (variation, need string) {
	if !on {
		return p.off, ""
	}
	return p.decide(g, values, used)
}
