// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// cycles returns, by the key of each member, the prerequisite cycles that can be reached from the given keys: strongly
// connected components with an edge inside (Tarjan, "Depth-first search and linear graph algorithms", 1972).
func (e *Environment) cycles(from set, form func(key string) *datafile.Flag) map[string][]string {
	search := cycleSearch{
		form:    form,
		index:   map[string]int{},
		low:     map[string]int{},
		onStack: map[string]bool{},
		found:   map[string][]string{},
	}
	for _, key := range from.sorted() {
		if _, seen := search.index[key]; !seen {
			search.visit(key)
		}
	}
	return search.found
}

type cycleSearch struct {
	form    func(key string) *datafile.Flag
	index   map[string]int // The order in which keys were first seen.
	low     map[string]int // The smallest index that can be reached.
	stack   []string
	onStack map[string]bool
	found   map[string][]string
}

func (s *cycleSearch) visit(key string) {
	s.index[key], s.low[key] = len(s.index), len(s.index)
	s.stack = append(s.stack, key)
	s.onStack[key] = true
	requiresItself := false
	if form := s.form(key); form != nil {
		for _, prerequisite := range form.Prerequisites {
			next := prerequisite.Flag
			requiresItself = requiresItself || next == key
			if _, seen := s.index[next]; !seen {
				s.visit(next)
				s.low[key] = min(s.low[key], s.low[next])
			} else if s.onStack[next] {
				s.low[key] = min(s.low[key], s.index[next])
			}
		}
	}
	if s.low[key] != s.index[key] {
		return
	}
	start := slices.Index(s.stack, key)
	component := slices.Sorted(slices.Values(s.stack[start:]))
	s.stack = s.stack[:start]
	for _, member := range component {
		s.onStack[member] = false
		if len(component) > 1 || requiresItself {
			s.found[member] = component
		}
	}
}

// cycleMessage names the members of a cycle, the first ten.
func cycleMessage(members []string) string {
	shown := members[:min(len(members), 10)]
	message := "prerequisites form a cycle of " + strings.Join(shown, ", ")
	if len(members) > len(shown) {
		message += ", …"
	}
	return message
}
