// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// plan is how a flag decides, in a form that can be compared.
type plan struct {
	enabled   bool
	schedule  *datafile.Schedule
	off       string
	otherwise string
	// requires are the prerequisites as texts.
	requires []string
	// rules are in the order of evaluation, without those that match nobody.
	rules []rule
}

type rule struct {
	name  string
	match predicate
	// traffic is nil where everybody who matches is included.
	traffic *hashed
	// split is the hash that chooses, or, with one entry and no hash, the variation.
	split hashed
}

// hashed shares out the values of a hash.
type hashed struct {
	// hash identifies the hash: equal ones give equal values for every subject. It is empty where there is only one entry.
	hash    string
	entries []entry
}

// entry is a variation, or "" for none, up to but not including a value of the hash.
type entry struct {
	end       uint64
	variation string
}

// hashValues is the number of values of a hash.
const hashValues = 1 << 32

// fullTraffic is everybody in thousandths of a percent.
const fullTraffic = 100_000

// codeDefault stands for the default of the code that asks, among the keys of variations, none of which has such a
// character.
const codeDefault = "\x00"

func newPlan(document *datafile.Document, key string, flag *datafile.Flag) *plan {
	p := &plan{enabled: flag.Enabled, schedule: flag.Schedule, off: flag.DefaultVariation, otherwise: flag.Fallthrough}
	if flag.CodeDefault {
		p.off = codeDefault
	}
	if p.otherwise == "" {
		p.otherwise = p.off
	}
	for _, prerequisite := range flag.Prerequisites {
		p.requires = append(
			p.requires,
			fmt.Sprintf("flag %q does not serve %s", prerequisite.Flag, strings.Join(prerequisite.Variations, " or ")),
		)
	}
	for _, test := range []bool{true, false} {
		for i := range flag.Rules {
			if from := &flag.Rules[i]; (from.Type == datafile.ABTest) == test {
				if r, decides := newRule(document, key, flag.Bucketing, from); decides {
					p.rules = append(p.rules, r)
				}
			}
		}
	}
	return p
}

// newRule reports, too, whether the rule decides for anybody.
func newRule(
	document *datafile.Document,
	key string,
	bucketing datafile.Bucketing,
	from *datafile.Rule,
) (r rule, decides bool) {
	r = rule{name: from.Name}
	if len(from.Audiences) > 0 {
		audience, holds := newAudienceClause(document, from.Audiences)
		if !holds {
			return rule{}, false
		}
		r.match = append(r.match, audience)
	}
	r.match = append(r.match, newPredicate(from.Conditions)...)
	attribute := from.HashAttribute
	if attribute == "targetingKey" {
		attribute = ""
	}
	if attribute != "" && (len(from.Split) > 0 || from.Traffic != nil) {
		r.match = append(r.match, newConditionClause(datafile.Condition{Attribute: attribute, Operator: "IsSubject"}))
	}
	r.match = r.match.normal()

	name := func(_, salt string) string { return attribute + "\x00Murmur3\x00" + salt }
	traffic, split := "/traffic/", ""
	if bucketing == datafile.PostHogSHA1 {
		name = func(purpose, _ string) string { return attribute + "\x00PostHogSHA1\x00" + key + "\x00" + purpose }
		traffic, split = "", "variant"
	}
	if from.Traffic != nil {
		if *from.Traffic <= 0 {
			return rule{}, false
		}
		r.traffic = &hashed{hash: name(traffic, from.Salt+"/traffic/"), entries: []entry{
			{end: threshold(int64(*from.Traffic), fullTraffic), variation: "in"}, {end: hashValues},
		}}
	}
	r.split = hashed{entries: []entry{{end: hashValues, variation: from.Variation}}}
	if len(from.Split) > 0 {
		r.split = newSplit(name(split, from.Salt), from.Split)
	}
	return r, true
}

// newSplit has no hash where one variation has all the weight.
func newSplit(hash string, weights []datafile.Weight) hashed {
	var total, sum int64
	for _, weight := range weights {
		total += int64(weight.Weight)
	}
	s := hashed{hash: hash}
	for _, weight := range weights {
		if weight.Weight == 0 {
			continue
		}
		sum += int64(weight.Weight)
		next := entry{end: threshold(sum, total), variation: weight.Variation}
		if last := len(s.entries) - 1; last >= 0 && s.entries[last].variation == next.variation {
			s.entries[last] = next
		} else {
			s.entries = append(s.entries, next)
		}
	}
	if len(s.entries) == 1 {
		s.hash = ""
	}
	return s
}

// threshold is the number of hash values whose bucket, (value * total) >> 32, lies below end.
func threshold(end, total int64) uint64 {
	return (uint64(end)<<32 + uint64(total) - 1) / uint64(total)
}

// at returns the variation of a value of the hash.
func (h *hashed) at(value uint64) string {
	for _, entry := range h.entries {
		if value < entry.end {
			return entry.variation
		}
	}
	return ""
}

// matched returns the plan with only the rules that a group matches.
func (p *plan) matched(g *group) *plan {
	matched := *p
	matched.rules = nil
	for i := range p.rules {
		if g.matches(p.rules[i].match) {
			matched.rules = append(matched.rules, p.rules[i])
		}
	}
	return &matched
}

// decide returns the variation that the flag serves while it is on to a subject of a group that matches all rules,
// whose values of hashes are known as far as values has them. It returns a hash instead whose value it needs to know.
// Used collects the hashes that it looked at.
func (p *plan) decide(g *group, values map[string]uint64, used map[string]struct{}) (variation, need string) {
	if g.unmet != "" && slices.Contains(p.requires, g.unmet) {
		return p.off, ""
	}
	for i := range p.rules {
		r := &p.rules[i]
		if r.traffic != nil {
			value, known := values[r.traffic.hash]
			if !known {
				return "", r.traffic.hash
			}
			used[r.traffic.hash] = struct{}{}
			if r.traffic.at(value) == "" {
				continue
			}
		}
		if r.split.hash == "" {
			return r.split.entries[0].variation, ""
		}
		value, known := values[r.split.hash]
		if !known {
			return "", r.split.hash
		}
		used[r.split.hash] = struct{}{}
		return r.split.at(value), ""
	}
	return p.otherwise, ""
}

// unreachable are the names of the rules before which another decides for everybody who matches them.
func (p *plan) unreachable() []string {
	var names []string
	for i := range p.rules {
		for j := range i {
			if p.rules[j].traffic == nil && p.rules[i].match.implies(p.rules[j].match) {
				names = append(names, p.rules[i].name)
				break
			}
		}
	}
	return names
}

// on reports whether the flag is on at a time in seconds since 1970.
func (p *plan) on(now int64) bool { return p.enabled && p.schedule.OnAt(time.Unix(now, 0)) }

// predicate are clauses that must all hold. The empty predicate holds for everybody.
type predicate []clause

// clause is a condition, or a choice of audiences: their members, sorted, and their groups, of which a context must be
// or meet one.
type clause struct {
	text      string
	condition *datafile.Condition // Nil for audiences.
	members   []string
	groups    []predicate
}

func newConditionClause(condition datafile.Condition) clause {
	condition.Values = slices.Clone(condition.Values)
	slices.Sort(condition.Values)
	return clause{text: encode(condition), condition: &condition}
}

func newPredicate(conditions []datafile.Condition) predicate {
	var p predicate
	for _, condition := range conditions {
		p = append(p, newConditionClause(condition))
	}
	return p.normal()
}

// normal returns p in the one form that equal predicates have.
func (p predicate) normal() predicate {
	slices.SortFunc(p, func(a, b clause) int { return strings.Compare(a.text, b.text) })
	return slices.CompactFunc(p, func(a, b clause) bool { return a.text == b.text })
}

// newAudienceClause reports, too, whether any of the audiences is there and holds for somebody.
func newAudienceClause(document *datafile.Document, names []string) (c clause, holds bool) {
	var texts []string
	for _, name := range names {
		audience := document.Audiences[name]
		if audience == nil {
			continue
		}
		c.members = append(c.members, audience.Members...)
		for _, group := range audience.Groups {
			p := newPredicate(group.Conditions)
			c.groups, texts = append(c.groups, p), append(texts, p.String())
		}
	}
	slices.Sort(texts)
	slices.Sort(c.members)
	c.members = slices.Compact(c.members)
	c.text = "audiences " + encode(c.members) + encode(slices.Compact(texts))
	return c, len(c.members)+len(c.groups) > 0
}

func encode(value any) string {
	data, _ := json.Marshal(value) // These types always have a JSON form.
	return string(data)
}

// String identifies the predicate.
func (p predicate) String() string {
	var text strings.Builder
	for _, clause := range p {
		text.WriteString(clause.text + "\n")
	}
	return text.String()
}

// implies reports whether other holds wherever p does, as far as that can be told from the form of both.
func (p predicate) implies(other predicate) bool {
	for _, wanted := range other {
		if !slices.ContainsFunc(p, func(has clause) bool { return has.implies(wanted) }) {
			return false
		}
	}
	return true
}

func (c clause) implies(other clause) bool {
	switch {
	case c.text == other.text:
		return true
	case c.condition == nil && other.condition == nil:
		return isSubset(c.members, other.members) && !slices.ContainsFunc(c.groups, func(group predicate) bool {
			return !slices.ContainsFunc(other.groups, group.implies)
		})
	case c.condition == nil || other.condition == nil,
		c.condition.Attribute != other.condition.Attribute, c.condition.Operator != other.condition.Operator:
		return false
	}
	switch c.condition.Operator {
	case datafile.In,
		datafile.StartsWith,
		datafile.EndsWith,
		datafile.Contains,
		datafile.InCIDR,
		datafile.EqualFold,
		datafile.ContainsFold:
		return isSubset(c.condition.Values, other.condition.Values)
	case datafile.NotIn,
		datafile.NotStartsWith,
		datafile.NotEndsWith,
		datafile.NotContains,
		datafile.NotInCIDR,
		datafile.NotEqualFold,
		datafile.NotContainsFold:
		return isSubset(other.condition.Values, c.condition.Values)
	default:
		return false
	}
}

// isSubset reports whether all, which is sorted, has every value of some.
func isSubset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(value string) bool {
		_, found := slices.BinarySearch(all, value)
		return !found
	})
}
