// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"
	"sync"
)

// knowing remembers the results of prerequisites.
func (e *evaluation) knowing(f *Flag) (*Variation, Reason, string) {
	e.known, _ = knownPool.Get().(map[*Flag]*Variation)
	variation, reason, rule := e.flag(f)
	clear(e.known)
	knownPool.Put(e.known)
	return variation, reason, rule
}

var knownPool = sync.Pool{New: func() any { return map[*Flag]*Variation{} }}

// maxShared is how many attributes of a flag are remembered during an evaluation, because more than one of its
// conditions looks at them. Looking up attributes is much of what an evaluation costs.
const maxShared = 8

// unshared is the place of an attribute that is not remembered.
const unshared = maxShared

// evaluation is one evaluation of one flag and its prerequisites.
type evaluation struct {
	context map[string]any
	now     int64
	// convert returns what a value of the context counts as. Nil means itself.
	convert func(any) any
	// seen has a bit, by place, for each of the shared attributes that has been looked up.
	seen uint8
	// shared are the flag's shared attributes.
	shared [maxShared]any
	// known are the variations of prerequisites evaluated before. Nil means that none are remembered.
	known map[*Flag]*Variation
	// budget is what the evaluation may cost. Nil means that nothing bounds it.
	budget *Budget
	// explanation gets every step. Nil means that nobody asks.
	explanation *Explanation
}

// flag returns the variation of a flag, the reason, and the name of the rule that decided.
func (e *evaluation) flag(f *Flag) (*Variation, Reason, string) {
	switch {
	case !f.enabled:
		e.step(false, "the flag", "is disabled")
		return f.off, Disabled, ""
	case f.schedule != nil && !f.schedule.OnAt(e.now):
		e.step(false, "the schedule", "has the flag off now")
		return f.off, Disabled, ""
	}
	for i := range f.prerequisites {
		if !e.prerequisite(&f.prerequisites[i]) {
			return f.off, PrerequisiteFailed, ""
		}
	}
	if f.overrides != nil {
		if key, isText := text(e.find(&targetingKey)); isText {
			if variation := f.overrides[key]; variation != nil {
				e.step(true, "an override", "for this targeting key")
				return variation, TargetingMatch, ""
			}
		}
		e.step(false, "the overrides", "hold none for this targeting key")
	}
	for i := range f.rules {
		r := &f.rules[i]
		if e.budget != nil && !e.budget.spend(stepsCondition) {
			break
		}
		if r.audiences != nil && !e.anyAudience(r) {
			continue
		}
		if e.explanation != nil {
			e.explainConditions(r)
		}
		if !e.allHold(r.conditions) {
			continue
		}
		if variation := e.serve(f, r); variation != nil {
			return variation, r.reason, r.name
		}
	}
	return f.otherwise, f.reason, ""
}

func (e *evaluation) prerequisite(p *prerequisite) bool {
	if p.flag == nil {
		if e.explanation != nil {
			e.step(false, fmt.Sprintf("prerequisite %q", p.key), "is not in the datafile")
		}
		return false
	}
	variation, known := e.known[p.flag]
	if !known {
		variation, _, _ = (&evaluation{
			context: e.context, now: e.now, convert: e.convert, known: e.known, budget: e.budget,
		}).flag(p.flag)
		if e.known != nil {
			e.known[p.flag] = variation
		}
	}
	met := variation != nil && p.satisfied>>variation.index&1 != 0
	if e.explanation != nil {
		e.step(met, fmt.Sprintf("prerequisite %q", p.key), serves(variation))
	}
	return met
}

// find returns the attribute at a path, and nil where there is none.
func (e *evaluation) find(p *path) any {
	value := e.context[p.first]
	if e.convert != nil {
		switch value.(type) {
		case string, float64: // Most are, and they count as themselves.
		default:
			value = e.convert(value)
		}
	}
	if len(p.rest) == 0 {
		return value
	}
	return p.within(value)
}

// allHold reports whether all conditions hold. It is most of an evaluation.
func (e *evaluation) allHold(conditions []condition) bool {
	for i := range conditions {
		c := &conditions[i]
		var attribute any
		if e.seen>>c.place&1 != 0 { // Never so for unshared.
			attribute = e.shared[c.place%maxShared]
		} else {
			attribute = e.look(c)
		}
		admits := c.admits(attribute)
		if e.budget != nil && !e.affords(c, attribute, admits) {
			return false
		}
		if (admits && c.predicate.holds(attribute)) == c.negative {
			return false
		}
	}
	return true
}

// affords takes what a condition costs from the budget, and reports whether it may be asked.
func (e *evaluation) affords(c *condition, attribute any, admits bool) bool {
	if !admits {
		return e.budget.spend(stepsCondition)
	}
	return e.budget.spend(c.cost.of(attribute))
}

// look returns the attribute that the condition looks at, and remembers it where it is shared.
func (e *evaluation) look(c *condition) any {
	attribute := e.find(&c.path)
	if c.place != unshared {
		e.seen |= 1 << c.place
		e.shared[c.place] = attribute
	}
	return attribute
}

// serve returns the variation that the rule, whose conditions hold, decides on, and nil where it does not decide.
func (e *evaluation) serve(f *Flag, r *rule) *Variation {
	if r.subject == nil {
		e.decided(r, r.variation)
		return r.variation
	}
	subject, isText := text(e.find(r.subject))
	if !isText || subject == "" {
		if e.explanation != nil {
			e.step(false, fmt.Sprintf("rule %q", r.name), fmt.Sprintf("needs a string under %q to hash", r.subject))
		}
		return nil
	}
	if e.budget != nil && !e.budget.spend(stepsLookup+int64(len(subject))*stepsSubject) {
		return nil
	}
	if r.traffic != nil && !e.inTraffic(f, r, subject) {
		return nil
	}
	variation := r.variation
	if r.split != nil {
		variation = r.choose(f, subject)
	}
	e.decided(r, variation)
	return variation
}
