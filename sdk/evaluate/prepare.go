// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp/syntax"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

var errTooDeep = fmt.Errorf("a chain of more than %d prerequisites", MaxPrerequisiteDepth)

// preparer makes flags and audiences of those of a document.
type preparer struct {
	document  *datafile.Document
	audiences map[string]*audience
	// flags are the finished flags, and nil for those that are being prepared.
	flags map[string]*Flag
	// depth is the number of flags that are being prepared, each required by the one before.
	depth int
	// expressions is the size of all regular expressions so far.
	expressions int
}

// maxVariations is how many variations a flag may have. Manifests have at most 50.
const maxVariations = 64

// maxExpressions bounds the regular expressions of a document together, in nodes of their syntax trees with repetitions
// written out: six bytes of text can ask for a thousand, of which each takes some 20 bytes in memory.
const maxExpressions = 2_000_000

var errExpressions = fmt.Errorf("the regular expressions of the document make more than %d parts", maxExpressions)

func (p *preparer) conditions(from []datafile.Condition) ([]condition, error) {
	for i := range from {
		if operator := from[i].Operator; operator != datafile.Matches && operator != datafile.NotMatches {
			continue
		}
		for _, value := range from[i].Values {
			if expression, err := syntax.Parse(value, syntax.Perl); err == nil {
				p.expressions += ExpressionSize(expression)
			}
		}
		if p.expressions > maxExpressions {
			return nil, fmt.Errorf("condition %d: %w", i+1, errExpressions)
		}
	}
	return newConditions(from)
}

// ExpressionSize is the size of a regular expression in nodes of its syntax tree, with repetitions written out. The
// parser bounds it, which rules out an overflow.
func ExpressionSize(expression *syntax.Regexp) int {
	size := 1 // A class of many characters, too: its repetitions share them.
	if expression.Op == syntax.OpLiteral {
		size = len(expression.Rune)
	}
	for _, sub := range expression.Sub {
		size += ExpressionSize(sub)
	}
	if expression.Op == syntax.OpRepeat {
		size *= max(expression.Min, expression.Max, 1)
	}
	return size
}

func (p *preparer) audience(name string) error {
	from := p.document.Audiences[name]
	a := &audience{name: name}
	if len(from.Members) > 0 {
		a.members = newStrings(from.Members)
	}
	for i := range from.Groups {
		conditions, err := p.conditions(from.Groups[i].Conditions)
		if err != nil {
			return fmt.Errorf("audience %q: group %d: %w", name, i+1, err)
		}
		a.groups = append(a.groups, conditions)
	}
	p.audiences[name] = a
	return nil
}

// flag prepares the flag of that key, which the document holds, and the flags that it requires.
func (p *preparer) flag(key string) (*Flag, error) {
	if flag, begun := p.flags[key]; begun {
		if flag == nil {
			return nil, fmt.Errorf("flag %q: %w", key, ErrCycle)
		}
		return flag, nil
	}
	if p.depth++; p.depth > MaxPrerequisiteDepth {
		return nil, fmt.Errorf("flag %q: %w", key, errTooDeep)
	}
	p.flags[key] = nil
	from := p.document.Flags[key]
	f := &Flag{
		Key:         key,
		Metadata:    from.Metadata,
		Runtime:     from.Runtime,
		Type:        from.Type,
		enabled:     from.Enabled,
		evaluations: 1,
		depth:       1,
	}
	if err := p.fill(f, from); err != nil {
		if errors.Is(err, ErrCycle) || errors.Is(err, errTooDeep) {
			return nil, err // Naming every flag of the chain would help nobody.
		}
		return nil, fmt.Errorf("flag %q: %w", key, err)
	}
	if f.depth > MaxPrerequisiteDepth {
		return nil, fmt.Errorf("flag %q: %w", key, errTooDeep)
	}
	p.flags[key] = f
	p.depth--
	return f, nil
}

func (p *preparer) fill(f *Flag, from *datafile.Flag) (err error) {
	if from.Bucketing != "" && from.Bucketing != datafile.Murmur3 && from.Bucketing != datafile.PostHogSHA1 {
		return fmt.Errorf("unknown bucketing %q", from.Bucketing)
	}
	if len(from.Variations) > maxVariations {
		return fmt.Errorf("more than %d variations", maxVariations)
	}
	f.variations = make([]Variation, len(from.Variations))
	for i, variation := range from.Variations {
		value, err := decode(from.Type, variation.Value)
		if err != nil {
			return fmt.Errorf("variation %q: %w", variation.Key, err)
		}
		f.variations[i] = Variation{
			Key:     variation.Key,
			Value:   value,
			JSON:    variation.Value,
			Payload: variation.Payload,
			index:   i,
		}
	}
	if f.off, err = f.variation(from.DefaultVariation); err != nil {
		return err
	}
	if from.CodeDefault {
		f.off = nil
	}
	f.otherwise, f.reason = f.off, Disabled
	if !from.Enabled {
		f.constant = true
		return nil
	}
	if from.Fallthrough != "" {
		if f.otherwise, err = f.variation(from.Fallthrough); err != nil {
			return err
		}
	}
	f.reason = Static
	if len(from.Overrides) > 0 || len(from.Rules) > 0 || f.otherwise == nil {
		f.reason = Default
	}
	if f.schedule, err = newSchedule(from.Schedule); err != nil {
		return err
	}
	f.scheduled = f.schedule != nil
	if err := p.prerequisites(f, from); err != nil {
		return err
	}
	if len(from.Overrides) > 0 {
		f.overrides = make(map[string]*Variation, len(from.Overrides))
		for key, variation := range from.Overrides {
			if f.overrides[key], err = f.variation(variation); err != nil {
				return fmt.Errorf("override: %w", err)
			}
		}
	}
	for _, test := range []bool{true, false} {
		for i := range from.Rules {
			if (from.Rules[i].Type == datafile.ABTest) != test {
				continue
			}
			r, err := p.rule(f, from, &from.Rules[i])
			if err != nil {
				return fmt.Errorf("rule %q: %w", from.Rules[i].Name, err)
			}
			f.rules = append(f.rules, r)
		}
	}
	f.share()
	f.constant = f.schedule == nil && len(f.prerequisites) == 0 && len(f.overrides) == 0 && len(f.rules) == 0
	return nil
}

// share gives each attribute that more than one condition of the rules looks at a place in the evaluation. Audiences
// belong to many flags, so their conditions have no part in it.
func (f *Flag) share() {
	first := map[string]*condition{}
	places := uint8(0)
	for i := range f.rules {
		for j := range f.rules[i].conditions {
			c := &f.rules[i].conditions[j]
			path := c.path.String()
			before, again := first[path]
			if !again {
				first[path] = c
				continue
			}
			if before.place == unshared && places < maxShared {
				before.place = places
				places++
			}
			c.place = before.place
		}
	}
}

// decode reads a value of the type.
func decode(flagType datafile.FlagType, data json.RawMessage) (value any, err error) {
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	var fits bool
	switch flagType {
	case datafile.Boolean:
		_, fits = value.(bool)
	case datafile.String:
		_, fits = value.(string)
	case datafile.Number:
		_, fits = value.(float64)
	case datafile.JSON:
		switch value.(type) {
		case map[string]any, []any:
			fits = true
		}
	}
	if !fits {
		return nil, fmt.Errorf("value is not of type %q", flagType)
	}
	return value, nil
}

func (f *Flag) variation(key string) (*Variation, error) {
	for i := range f.variations {
		if f.variations[i].Key == key {
			return &f.variations[i], nil
		}
	}
	return nil, fmt.Errorf("unknown variation %q", key)
}

func newSchedule(from *datafile.Schedule) (*datafile.Instants, error) {
	if from == nil {
		return nil, nil //nolint:nilnil // A flag without a schedule has none.
	}
	instants, err := from.Instants()
	return &instants, err
}

func (p *preparer) prerequisites(f *Flag, from *datafile.Flag) error {
	for _, required := range from.Prerequisites {
		prepared := prerequisite{key: required.Flag}
		if _, found := p.document.Flags[required.Flag]; found {
			var err error
			if prepared.flag, err = p.flag(required.Flag); err != nil {
				return err
			}
			f.scheduled = f.scheduled || prepared.flag.scheduled
			f.depth = max(f.depth, prepared.flag.depth+1)
			f.evaluations = min(f.evaluations+prepared.flag.evaluations, maxEvaluations+1)
			for _, key := range required.Variations {
				// A variation that the other flag no longer has satisfies nobody.
				if variation, err := prepared.flag.variation(key); err == nil {
					prepared.satisfied |= 1 << variation.index
				}
			}
		}
		f.prerequisites = append(f.prerequisites, prepared)
	}
	return nil
}

func (p *preparer) rule(f *Flag, flag *datafile.Flag, from *datafile.Rule) (r rule, err error) {
	r = rule{name: from.Name, reason: TargetingMatch, postHog: flag.Bucketing == datafile.PostHogSHA1}
	if len(from.Audiences) > 0 {
		r.audiences = make([]*audience, 0, len(from.Audiences))
		for _, name := range from.Audiences {
			a, found := p.audiences[name]
			if !found {
				a = &audience{name: name} // Nobody is in it, and an explanation says so.
			}
			r.audiences = append(r.audiences, a)
		}
	}
	if r.conditions, err = p.conditions(from.Conditions); err != nil {
		return rule{}, err
	}
	if len(from.Split) > 0 || from.Traffic != nil {
		r.subject = &targetingKey
		if from.HashAttribute != "" {
			subject := newPath(from.HashAttribute)
			r.subject = &subject
		}
	}
	if from.Traffic != nil {
		if *from.Traffic < 0 || *from.Traffic > fullTraffic {
			return rule{}, fmt.Errorf("traffic of %d is not between 0 and %d", *from.Traffic, fullTraffic)
		}
		r.reason = Split
		r.traffic = &traffic{
			salted: newSalted(from.Salt + "/traffic/"), limit: int64(*from.Traffic), share: float64(*from.Traffic) / 1000 / 100,
		}
	}
	if len(from.Split) == 0 {
		r.variation, err = f.variation(from.Variation)
		return r, err
	}
	err = r.prepareSplit(f, from)
	return r, err
}

func (r *rule) prepareSplit(f *Flag, from *datafile.Rule) error {
	s := &split{salted: newSalted(from.Salt)}
	for _, weight := range from.Split {
		if weight.Weight < 0 {
			return fmt.Errorf("weight %d is negative", weight.Weight)
		}
		s.total += int64(weight.Weight)
	}
	if s.total < 1 || s.total > math.MaxInt32 {
		return fmt.Errorf("the weights sum up to %d, not to 1 to %d", s.total, math.MaxInt32)
	}
	chooses := false
	last := entry{}
	for _, weight := range from.Split {
		variation, err := f.variation(weight.Variation)
		if err != nil {
			return err
		}
		if weight.Weight == 0 {
			continue
		}
		chooses = chooses || last.variation != nil && last.variation != variation
		last = entry{variation, last.end + int64(weight.Weight), last.share + float64(weight.Weight)/float64(s.total)}
		s.entries = append(s.entries, last)
	}
	if !chooses {
		r.variation = last.variation
		return nil
	}
	r.reason, r.split = Split, s
	return nil
}
