// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Problem says why a flag's current form is not in the contents.
type Problem string

// The problems.
const (
	// NoProblem: the current form is in the contents, or the flag is archived.
	NoProblem Problem = ""
	// InvalidProblem: the flag breaks a rule of validation.FeatureFlag.
	InvalidProblem Problem = "Invalid"
	// CycleProblem: the flag requires itself through other flags.
	CycleProblem Problem = "Cycle"
	// UnresolvedProblem: something that the flag refers to is gone that its published form needs.
	UnresolvedProblem Problem = "Unresolved"
	// KeyTakenProblem: an older flag holds the same key.
	KeyTakenProblem Problem = "KeyTaken"
	// NoRoomProblem: the flag is a draft, for which the datafile has no room.
	NoRoomProblem Problem = "NoRoom"
	// TooLargeProblem: the datafile does not fit into a ConfigMap with the change of the flag.
	TooLargeProblem Problem = "TooLarge"
)

// Outcome is what became of one FeatureFlag in the environment.
type Outcome struct {
	// UID is the flag's.
	UID types.UID
	// Key is the flag's key.
	Key string
	// Generation is the generation that was compiled.
	Generation int64
	// Form is what the contents hold for the key, and nil where they hold nothing or the flag does not hold the key.
	Form *datafile.Flag
	// Problem says why Form is not the current one.
	Problem Problem
	// Message says the same to a person. It is empty without a Problem.
	Message string
	// FlagdError says why the flagd file leaves the flag out, and is nil where it does not.
	FlagdError error
}

// Outcome returns what became of the flag of that object name, and whether there is such a flag.
func (e *Environment) Outcome(name string) (Outcome, bool) {
	input, ok := e.flags[name]
	if !ok {
		return Outcome{}, false
	}
	outcome := Outcome{UID: input.uid, Key: input.key, Generation: input.generation}
	held := e.entries[input.key]
	if holder := held.holder(); holder != input {
		outcome.Problem = KeyTakenProblem
		outcome.Message = fmt.Sprintf("the older flag %q holds the key %q", holder.name, input.key)
		return outcome, true
	}
	outcome.Problem, outcome.Message = held.problem, held.message
	if held.form != nil && !held.form.Retained {
		outcome.Form, outcome.FlagdError = held.form, held.flagdError
	}
	return outcome, true
}

// Summary counts the flags of the environment.
type Summary struct {
	// Total is the number of unarchived flags that hold their key.
	Total int
	// LastGood are the keys of those that are wrong, so that their current form is not in the contents, in order.
	LastGood []string
	// Absent is the number of LastGood that were never published and so are not served at all.
	Absent int
	// BrokenAudiences are the names of audiences that did not compile, in order.
	BrokenAudiences []string
	// BrokenEvents are the object names of events that did not compile, in order.
	BrokenEvents []string
	// FlagdMissing is the number of served flags that the flagd file leaves out.
	FlagdMissing int
}

// Summary sums up the last Compile.
func (e *Environment) Summary() Summary {
	summary := Summary{BrokenAudiences: e.brokenAudiences.sorted(), BrokenEvents: e.brokenEvents.sorted()}
	absent := 0
	for _, key := range e.unsettled.sorted() {
		form, has := e.Flag(key)
		isAbsent := !has || form.Retained
		if isAbsent {
			absent++
		}
		if problem := e.entries[key].problem; problem == NoRoomProblem || problem == TooLargeProblem {
			continue // Nothing is wrong with it.
		}
		summary.LastGood = append(summary.LastGood, key)
		if isAbsent {
			summary.Absent++
		}
	}
	served := e.contents.Flags.Len() - len(e.retainedFlags)
	summary.Total = served + absent
	summary.FlagdMissing = served - e.flagd.Len()
	return summary
}

// LastGood returns the keys of all flags whose current form is not in the contents, be it that they are wrong or that they
// do not fit, in order.
func (e *Environment) LastGood() []string { return e.unsettled.sorted() }

// IsLastGood reports whether the current form of the flag that holds the key is not in the contents.
func (e *Environment) IsLastGood(key string) bool {
	_, is := e.unsettled[key]
	return is
}

// IsLastGoodAudience reports whether the current form of an audience is not in the contents, though flags refer to it.
func (e *Environment) IsLastGoodAudience(name string) bool {
	_, isStagedOut := e.stagedOutAudiences[name]
	_, isBroken := e.brokenAudiences[name]
	return isStagedOut || isBroken
}

// message says what is missing.
func (r *reference) message() string {
	return fmt.Sprintf(
		"%s %q does not exist any more; what was last published stays until it is back or no longer named",
		r.kind,
		r.name,
	)
}
