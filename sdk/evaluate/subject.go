// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"
	"slices"
)

func (e *evaluation) anyAudience(r *rule) bool {
	for _, a := range r.audiences {
		holds := e.inAudience(a)
		if e.explanation != nil {
			e.step(holds, fmt.Sprintf("rule %q, audience %q", r.name, a.name), "")
		}
		if holds {
			return true
		}
	}
	return false
}

// inAudience is matches, for which a budget is charged once.
func (e *evaluation) inAudience(a *audience) bool {
	if e.budget == nil {
		return e.matches(a)
	}
	if holds, known := e.budget.known[a]; known {
		return holds
	}
	left := e.budget.Steps
	holds := e.matches(a)
	if left-e.budget.Steps >= costly && e.budget.err == nil {
		e.budget.remember(e, a, holds)
	}
	return holds
}

func (e *evaluation) matches(a *audience) bool {
	if a.members != nil {
		if key, isText := text(e.find(&targetingKey)); isText {
			if e.budget != nil && !e.budget.spend(stepsLookup+int64(len(key))/bytesHashed) {
				return false
			}
			if _, isMember := a.members[key]; isMember {
				return true
			}
		}
	}
	return slices.ContainsFunc(a.groups, e.allHold)
}

func (e *evaluation) inTraffic(f *Flag, r *rule, subject string) bool {
	var included bool
	if r.postHog {
		included = r.traffic.limit > 0 && postHog(f.Key, subject, "") <= r.traffic.share
	} else {
		included = bucket(r.traffic.salted.sum(subject), fullTraffic) < r.traffic.limit
	}
	if e.explanation != nil {
		e.step(included, fmt.Sprintf("rule %q, traffic", r.name), fmt.Sprintf("of %g%%", float64(r.traffic.limit)/1000))
	}
	return included
}

// choose returns the subject's variation. Only with PostHogSHA1 it may be nil: where rounding leaves a gap before 1.
func (r *rule) choose(f *Flag, subject string) *Variation {
	if r.postHog {
		x := postHog(f.Key, subject, "variant")
		for i := range r.split.entries {
			if x < r.split.entries[i].share {
				return r.split.entries[i].variation
			}
		}
		return nil
	}
	at := bucket(r.split.salted.sum(subject), r.split.total)
	for i := range r.split.entries {
		if at < r.split.entries[i].end {
			return r.split.entries[i].variation
		}
	}
	return nil // Unreachable: the last end is the total.
}
