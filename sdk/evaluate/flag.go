// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"encoding/json"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Reason is why a context got its variation.
type Reason string

// The reasons.
const (
	// FlagNotFound: the document does not serve a flag of that key.
	FlagNotFound Reason = "FLAG_NOT_FOUND"
	// Disabled: the flag is off now.
	Disabled Reason = "DISABLED"
	// PrerequisiteFailed: another flag does not serve a variation that this one requires.
	PrerequisiteFailed Reason = "PREREQUISITE_FAILED"
	// TargetingMatch: an override or a rule decided, without a hash.
	TargetingMatch Reason = "TARGETING_MATCH"
	// Split: a rule decided, and a hash chose the variation or included the subject.
	Split Reason = "SPLIT"
	// Default: no override and no rule decided.
	Default Reason = "DEFAULT"
	// Static: there are no overrides and no rules. A flag that leaves the value to the code has the reason Default.
	Static Reason = "STATIC"
)

// Result is the answer for one flag and one context. What it points to is shared and must not be changed.
type Result struct {
	// Flag is the flag, with its key and metadata. It is nil where the flag is not found.
	Flag *Flag
	// Variation is the variation, with its value and payload. It is nil where the flag is not found, and where the flag
	// leaves the value to the code that asks.
	Variation *Variation
	// Reason is why.
	Reason Reason
	// Rule is the name of the rule that decided. It is empty where none did.
	Rule string
}

// Variation is one of a flag's values.
type Variation struct {
	// Key names the variation in its flag.
	Key string
	// Value is a bool, string, float64, map[string]any or []any.
	Value any
	// JSON is the canonical JSON of Value.
	JSON json.RawMessage
	// Payload is the canonical JSON that goes along with the value. It is nil where there is none.
	Payload json.RawMessage

	index int
}

// Flag is one flag, prepared. It never changes, and is safe for concurrent use.
type Flag struct {
	// Key is what code asks for.
	Key string
	// Metadata is what the flag's author publishes with it. It must not be changed.
	Metadata map[string]string
	// Runtime says which SDK keys receive the flag. Empty means all.
	Runtime datafile.Runtime
	// Type is the type of the values.
	Type datafile.FlagType

	variations []Variation
	off        *Variation // Nil where the code's default is to be used.
	otherwise  *Variation // Where the flag is on and nothing decides. Nil as off is.
	reason     Reason     // The reason of otherwise.
	enabled    bool
	constant   bool // Nothing but otherwise, or off, can be served.
	scheduled  bool

	schedule      *datafile.Instants // Nil where there is no schedule.
	prerequisites []prerequisite
	overrides     map[string]*Variation
	rules         []rule

	// evaluations is how many flags are evaluated for this one, each as often as it is required, at most maxEvaluations+1.
	evaluations int
	// depth is the number of flags in the longest chain of prerequisites that begins here.
	depth int
}

// maxEvaluations is how many evaluations for one flag are made without remembering the results of prerequisites. Flags
// that require each other in many ways would otherwise take time without bounds.
const maxEvaluations = 64

type prerequisite struct {
	key       string
	flag      *Flag  // Nil where the document does not hold the flag.
	satisfied uint64 // A bit for each of the flag's variations, by index.
}

type audience struct {
	name    string
	members map[string]struct{}
	groups  [][]condition
}

type rule struct {
	name       string
	audiences  []*audience // Nil for those that the document does not hold.
	conditions []condition
	variation  *Variation // Nil where the split decides.
	reason     Reason

	// The fields below are set where the rule has a split or less than full traffic.
	subject *path
	postHog bool
	traffic *traffic
	split   *split
}

type traffic struct {
	salted salted
	limit  int64   // In thousandths of a percent.
	share  float64 // From 0 to 1, for PostHogSHA1.
}

// fullTraffic is everybody in thousandths of a percent.
const fullTraffic = 100_000

type split struct {
	salted  salted
	total   int64
	entries []entry
}

// entry is a variation up to, and not including, a bucket; or for PostHogSHA1, a share.
type entry struct {
	variation *Variation
	end       int64
	share     float64
}

// Scheduled reports whether the answers may depend on the time of evaluation.
func (f *Flag) Scheduled() bool { return f.scheduled }

// Evaluate answers for a context and the time of evaluation. It does not change the context, which may be nil.
func (f *Flag) Evaluate(context map[string]any, now time.Time) Result {
	return f.EvaluateConverting(context, now, nil)
}

// EvaluateConverting is Evaluate for contexts that hold values of further types: convert returns what a value of the
// context counts as. It is called only for attributes that are looked at, perhaps more than once for each, and not for
// strings and float64.
func (f *Flag) EvaluateConverting(context map[string]any, now time.Time, convert func(any) any) Result {
	variation, reason, rule := f.decide(context, now.Unix(), convert, nil)
	return Result{Flag: f, Variation: variation, Reason: reason, Rule: rule}
}

// EvaluateWithin is Evaluate that stops where the budget ends. It fails with the budget's error.
func (f *Flag) EvaluateWithin(context map[string]any, now time.Time, budget *Budget) (Result, error) {
	variation, reason, rule := f.decide(context, now.Unix(), nil, budget)
	return Result{Flag: f, Variation: variation, Reason: reason, Rule: rule}, budget.err
}

// decide returns the parts of a result one by one, which takes less time than a Result.
func (f *Flag) decide(
	context map[string]any,
	now int64,
	convert func(any) any,
	budget *Budget,
) (*Variation, Reason, string) {
	if f.constant {
		return f.otherwise, f.reason, ""
	}
	if budget != nil {
		budget.turnTo(context, now)
	}
	e := evaluation{context: context, now: now, convert: convert, budget: budget}
	if f.evaluations > maxEvaluations {
		return e.knowing(f)
	}
	return e.flag(f)
}
