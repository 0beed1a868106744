// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"errors"
	"reflect"
	"regexp/syntax"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// ErrBudget is the error of a budget whose steps are spent.
var ErrBudget = errors.New("the context takes too many steps to evaluate; send shorter texts or shorter lists")

// Budget bounds what the evaluations of one request cost. A step is what takes at most about a nanosecond on one core:
// each condition is charged for the worst attribute of the length that it looks at, before it is asked. An audience
// that costs much is asked, and charged for, once for each context and time, however many flags name it; the context
// must not change in between. A budget is for one goroutine.
type Budget struct {
	// Steps is how many steps are left.
	Steps int64
	// Check, where it is not nil, is called whenever CheckEvery more steps were taken. Its error ends the evaluations.
	Check func() error
	// CheckEvery is how many steps are taken between two checks.
	CheckEvery int64

	sinceCheck int64
	err        error

	// context and now are what audiences are known for, and known are those of them that cost much.
	context map[string]any
	now     int64
	known   map[*audience]bool
}

// costly is from how many steps on what an audience says is remembered. Remembering takes time of its own.
const costly = 5_000

// Err is why evaluations with the budget were ended: ErrBudget, or the error of Check. The results of evaluations with
// a budget mean nothing where it is not nil.
func (b *Budget) Err() error { return b.err }

// spend takes steps, and reports whether the evaluation may go on.
func (b *Budget) spend(steps int64) bool {
	if b.err != nil {
		return false
	}
	if b.Steps -= steps; b.Steps < 0 {
		b.err = ErrBudget
		return false
	}
	if b.Check == nil {
		return true
	}
	if b.sinceCheck += steps; b.sinceCheck >= b.CheckEvery {
		b.sinceCheck = 0
		b.err = b.Check()
	}
	return b.err == nil
}

// cost is how many steps a predicate takes at worst, for an attribute that its gate admits.
type cost struct {
	// fixed is for every attribute, and perByte for each byte of a text.
	fixed, perByte int64
	// perElement is for each element of a list, and 0 where lists are of the wrong type.
	perElement int64
}

// turnTo forgets what audiences say of another context or time.
func (b *Budget) turnTo(context map[string]any, now int64) {
	if b.known == nil || b.now == now && reflect.ValueOf(b.context).Pointer() == reflect.ValueOf(context).Pointer() {
		return
	}
	b.known, b.context = nil, nil
}

// remember notes what an audience that cost much says of a context. It keeps the context, so that no other one comes to
// be in its place.
func (b *Budget) remember(e *evaluation, a *audience, holds bool) {
	if b.known == nil {
		b.known, b.context, b.now = map[*audience]bool{}, e.context, e.now
	}
	b.known[a] = holds
}

// priced is a predicate whose cost is more than that of a comparison with one value.
type priced interface {
	cost() cost
}

// What things cost at worst, in steps. They were measured: a benchmark compares them with the time that is taken.
const (
	// stepsCondition is for looking up an attribute and asking a predicate.
	stepsCondition = 30
	// stepsValue is for comparing a text with the beginning or end of another.
	stepsValue = 8
	// stepsFold is for folding a byte of a text, or comparing it without regard to case.
	stepsFold = 12
	// stepsSearch is for a byte of a text in which another one is looked for.
	stepsSearch = 3
	// stepsPart is for a part of a regular expression at a byte of a text.
	stepsPart = 20
	// stepsLookup is for looking up a text or number in a set, and bytesHashed how many bytes of it take a step more.
	stepsLookup = 60
	bytesHashed = 8
	// stepsParse is for reading a byte of a version or an address.
	stepsParse = 10
	// stepsSubject is for hashing a byte of a subject.
	stepsSubject = 4
)

var comparison = cost{fixed: stepsCondition}

// ConditionSteps is how many steps a condition of admitted form takes at worst, for a context with texts of at most so
// many bytes and so many values in lists.
func ConditionSteps(operator datafile.Operator, values []string, text, elements int64) int64 {
	if positive, negative := negations[operator]; negative {
		operator = positive
	}
	newPredicate, known := operators[operator]
	if !known {
		return stepsCondition
	}
	if operator == datafile.Matches {
		return expressionSteps(values, text) // Compiling takes longer than parsing.
	}
	p, err := newPredicate(values)
	if err != nil {
		return stepsCondition
	}
	of := costOf(p)
	return of.worst(text, elements)
}

func expressionSteps(values []string, text int64) int64 {
	steps := int64(stepsCondition)
	for _, value := range values {
		if parsed, err := syntax.Parse(value, syntax.Perl); err == nil {
			of := expression{parts: int64(ExpressionSize(parsed))}.cost()
			steps += of.worst(text, 0)
		}
	}
	return steps
}

func costOf(p predicate) cost {
	if p, isPriced := p.(priced); isPriced {
		c := p.cost()
		c.fixed += stepsCondition
		return c
	}
	return comparison
}

// of is the cost for an attribute.
func (c *cost) of(attribute any) int64 {
	switch v := attribute.(type) {
	case string:
		return c.fixed + c.perByte*int64(len(v)) + int64(len(v))/bytesHashed
	case []any:
		if c.perElement == 0 {
			return c.fixed
		}
		steps := c.fixed + c.perElement*int64(len(v))
		for i := range v {
			if text, isText := v[i].(string); isText {
				steps += int64(len(text)) / bytesHashed
			}
		}
		return steps
	case []string:
		steps := c.fixed + c.perElement*int64(len(v))
		for _, text := range v {
			steps += int64(len(text)) / bytesHashed
		}
		return steps
	default:
		return c.fixed
	}
}

// worst is the cost for the worst attribute of a context with texts of at most so many bytes, and so many elements.
func (c *cost) worst(text, elements int64) int64 {
	return c.fixed + max(c.perByte*text+text/bytesHashed, c.perElement*elements)
}

func (s *set) cost() cost {
	perElement := int64(stepsLookup)
	if s.strings == nil {
		perElement += int64(len(s.few)) * stepsValue
	}
	return cost{fixed: perElement, perElement: perElement}
}

func (p prefixes) cost() cost { return cost{fixed: ends(p)} }

func (p suffixes) cost() cost { return cost{fixed: ends(p)} }

// ends is the cost of comparing an attribute's beginning or end with texts.
func ends(texts []string) int64 {
	steps := int64(0)
	for _, text := range texts {
		steps += stepsValue + int64(len(text))/bytesHashed
	}
	return steps
}

func (p parts) cost() cost {
	return cost{fixed: int64(len(p)) * stepsValue, perByte: int64(len(p)) * stepsSearch}
}

func (p foldedParts) cost() cost {
	return cost{fixed: int64(len(p)) * stepsValue, perByte: stepsFold + int64(len(p))*stepsSearch}
}

func (p foldedTexts) cost() cost {
	steps := int64(0)
	for _, text := range p {
		steps += stepsValue + int64(len(text))*stepsFold
	}
	return cost{fixed: steps}
}

func (p expression) cost() cost {
	return cost{fixed: p.parts, perByte: p.parts * stepsPart}
}

func (p networks) cost() cost {
	return cost{fixed: int64(len(p)) * stepsValue, perByte: stepsParse}
}

func (p *releaseOrder) cost() cost { return cost{perByte: stepsParse} }

func (p releaseLine) cost() cost { return cost{perByte: stepsParse} }

func (p *momentOrder) cost() cost { return cost{fixed: 500, perByte: 1} }
