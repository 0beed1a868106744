// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"
	"time"
)

// Explanation is a result and how it came about.
type Explanation struct {
	Result

	// Steps are in the order in which they were taken, down to the one that decided.
	Steps []Step
}

// Step is one thing that was looked at. Its text is for people, and no part of any contract.
type Step struct {
	// What was looked at, such as `rule "beta", condition 1`.
	What string
	// Holds says whether it holds.
	Holds bool
	// Detail says more. It may be empty. It quotes no attribute, for contexts may be personal.
	Detail string
}

// Explain is Evaluate with every step that led to the result.
func (f *Flag) Explain(context map[string]any, now time.Time) Explanation {
	return f.explain(context, now, nil)
}

// ExplainWithin is Explain that stops where the budget ends. It fails with the budget's error.
func (f *Flag) ExplainWithin(context map[string]any, now time.Time, budget *Budget) (Explanation, error) {
	explanation := f.explain(context, now, budget)
	return explanation, budget.err
}

func (f *Flag) explain(context map[string]any, now time.Time, budget *Budget) Explanation {
	if budget != nil {
		budget.turnTo(context, now.Unix())
	}
	explanation := Explanation{}
	e := evaluation{
		context: context, now: now.Unix(), known: map[*Flag]*Variation{}, explanation: &explanation, budget: budget,
	}
	variation, reason, rule := e.flag(f)
	explanation.Result = Result{Flag: f, Variation: variation, Reason: reason, Rule: rule}
	if reason == Default || reason == Static {
		e.step(true, "the default", serves(variation))
	}
	return explanation
}

func (e *evaluation) step(holds bool, what, detail string) {
	if e.explanation != nil {
		e.explanation.Steps = append(e.explanation.Steps, Step{What: what, Holds: holds, Detail: detail})
	}
}

// serves says which variation is served.
func serves(variation *Variation) string {
	if variation == nil {
		return "leaves the value to the code that asks"
	}
	return fmt.Sprintf("serves %q", variation.Key)
}

func (e *evaluation) decided(r *rule, variation *Variation) {
	if e.explanation != nil && variation != nil {
		e.step(true, fmt.Sprintf("rule %q", r.name), serves(variation))
	}
}

// explainConditions takes a step for each condition of the rule, down to the first one that does not hold.
func (e *evaluation) explainConditions(r *rule) {
	for i := range r.conditions {
		c := &r.conditions[i]
		not := ""
		if c.negative {
			not = "not "
		}
		detail := fmt.Sprintf("%s %s%s", c.path.String(), not, c.operator)
		if e.find(&c.path) == nil {
			detail += ", which is missing"
		}
		holds := e.allHold(r.conditions[i : i+1])
		e.step(holds, fmt.Sprintf("rule %q, condition %d", r.name, i+1), detail)
		if !holds {
			return
		}
	}
}
