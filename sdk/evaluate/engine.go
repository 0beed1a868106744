// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evaluate answers which variation of a flag a context gets. It is pure: it has no clock, no input or output
// and no global state.
//
// A datafile is prepared once by New. Evaluating then allocates nothing, with these exceptions: an attribute that is a
// time.Time and is compared as a string; one that looks like a time or an IP address, is compared as such, and is none;
// more than 4 KiB of text under ContainsFold; a subject of more than 256 bytes under PostHogSHA1; a json.Number that no
// float64 holds.
//
// A context is what encoding/json decodes objects into: a map[string]any whose values are nil, bool, string,
// json.Number, any of Go's integers and floating point numbers, []any, []string and map[string]any, and also time.Time,
// which counts as its RFC 3339 form. Values of further types are present, and of the wrong type for every operator. The
// subject's targeting key is the attribute "targetingKey".
//
// Where the design leaves it open, the following holds, and the flagd file says the same:
//   - A dot path leads through objects only. An object that has an element 0, other than null, is taken for a list and is not
//     walked into, because the evaluators of flagd cannot tell the two apart.
//   - Integers compare exactly, whatever their size; numbers with a fraction or an exponent count as the nearest float64.
//     A float64 beyond 2^53-1 counts as the integer that JSON writes for it. NaN and the infinities are numbers to no operator.
//   - In and NotIn compare with a string exactly; with a number where the value is a number as JSON writes it; with a boolean
//     where the value is true or false. Elements of a list that are lists themselves equal nothing.
//   - Members of an audience and overrides match a targeting key that is a string.
//   - A semantic version is a string: one v or V, or none; then one to three numbers; after three of them a pre-release and
//     build metadata. SemVerTilde holds for the same major and minor version, SemVerCaret for the same major version.
//   - A rule with a share of traffic of 0 includes nobody. A split in which one variation has all the weight serves it without
//     a hash, to every subject that is a string and not empty.
//   - The reason is SPLIT where a hash chose the variation or included the subject in the traffic.
//
// # Stability
//
// The module is at v0: a name may change with a minor version, and the changelog says so. What a document means does
// not change without a new major version of the document: every later version of this package gives the same variation
// for it and the same context.
package evaluate

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// ErrCycle is returned by New for a document in which a flag requires itself, through other flags or not.
var ErrCycle = errors.New("prerequisites form a cycle")

// MaxPrerequisiteDepth is how many flags a chain of prerequisites may hold. It bounds the stack.
const MaxPrerequisiteDepth = 10_000

// Engine evaluates the flags of one document. It never changes, and is safe for concurrent use.
type Engine struct {
	header datafile.Header
	flags  map[string]*Flag
	sorted []*Flag
	// instants are those of the schedules that decide about flags, in seconds since 1970, in order.
	instants []int64
}

// New prepares a document, which must not be changed afterwards. It refuses the whole document where it cannot prepare
// any part of it: an unknown operator, a value that is not of the operator's form, an unknown variation, weights
// without a sum from 1 to 2147483647, more than 64 variations; where a chain of prerequisites is longer than
// MaxPrerequisiteDepth; where the regular expressions make more than 2,000,000 parts; and, with ErrCycle, where a chain
// is a cycle.
func New(document *datafile.Document) (*Engine, error) {
	p := preparer{
		document:  document,
		flags:     make(map[string]*Flag, len(document.Flags)),
		audiences: make(map[string]*audience, len(document.Audiences)),
	}
	for _, name := range slices.Sorted(maps.Keys(document.Audiences)) {
		if err := p.audience(name); err != nil {
			return nil, err
		}
	}
	engine := &Engine{header: document.Header, flags: make(map[string]*Flag, len(document.Flags))}
	for _, key := range slices.Sorted(maps.Keys(document.Flags)) {
		flag, err := p.flag(key)
		if err != nil {
			return nil, err
		}
		if !document.Flags[key].Retained {
			engine.flags[key] = flag
			engine.sorted = append(engine.sorted, flag)
		}
	}
	engine.instants = instantsOf(engine.sorted)
	return engine, nil
}

// Without returns an engine that does not serve the flags of a runtime. As prerequisites of others they decide all the
// same. What is prepared is shared.
func (e *Engine) Without(runtime datafile.Runtime) *Engine {
	others := &Engine{header: e.header, flags: make(map[string]*Flag, len(e.flags))}
	for _, flag := range e.sorted {
		if flag.Runtime != runtime {
			others.flags[flag.Key] = flag
			others.sorted = append(others.sorted, flag)
		}
	}
	others.instants = instantsOf(others.sorted)
	return others
}

// Header is the document's header.
func (e *Engine) Header() datafile.Header { return e.header }

// Flag returns the flag of that key, and whether the document serves one.
func (e *Engine) Flag(key string) (*Flag, bool) {
	flag, found := e.flags[key]
	return flag, found
}

// Flags yields the flags by key.
func (e *Engine) Flags() iter.Seq[*Flag] { return slices.Values(e.sorted) }

// Len is the number of flags.
func (e *Engine) Len() int { return len(e.sorted) }

// Instants returns the last instant up to now, and the first one after it, at which a schedule changes answers. Each is
// zero where there is none.
func (e *Engine) Instants(now time.Time) (last, next time.Time) {
	after, _ := slices.BinarySearch(e.instants, now.Unix()+1)
	if after > 0 {
		last = time.Unix(e.instants[after-1], 0)
	}
	if after < len(e.instants) {
		next = time.Unix(e.instants[after], 0)
	}
	return last, next
}

// instantsOf returns the instants of the schedules of flags and of what they require.
func instantsOf(flags []*Flag) []int64 {
	var instants []int64
	seen := map[*Flag]bool{}
	var look func(*Flag)
	look = func(f *Flag) {
		if !f.scheduled || seen[f] {
			return
		}
		seen[f] = true
		if f.schedule != nil {
			for _, instant := range []int64{f.schedule.EnableAt, f.schedule.DisableAt} {
				if instant != math.MaxInt64 {
					instants = append(instants, instant)
				}
			}
		}
		for _, required := range f.prerequisites {
			if required.flag != nil {
				look(required.flag)
			}
		}
	}
	for _, flag := range flags {
		look(flag)
	}
	slices.Sort(instants)
	return slices.Compact(instants)
}

// Evaluate answers for a flag key, a context and the time of evaluation. The reason is FlagNotFound, and nothing else
// is set, where the document does not serve such a flag. It does not change the context, which may be nil.
func (e *Engine) Evaluate(key string, context map[string]any, now time.Time) Result {
	flag, found := e.flags[key]
	if !found {
		return Result{Reason: FlagNotFound}
	}
	// Another call that returns a Result would take a quarter of the time of a static flag.
	variation, reason, rule := flag.decide(context, now.Unix(), nil, nil)
	return Result{Flag: flag, Variation: variation, Reason: reason, Rule: rule}
}

// Explain is Evaluate with every step that led to the result.
func (e *Engine) Explain(key string, context map[string]any, now time.Time) Explanation {
	flag, found := e.flags[key]
	if !found {
		return Explanation{
			Result: Result{Reason: FlagNotFound},
			Steps:  []Step{{What: fmt.Sprintf("flag %q", key), Detail: "the datafile does not serve it"}},
		}
	}
	return flag.Explain(context, now)
}
