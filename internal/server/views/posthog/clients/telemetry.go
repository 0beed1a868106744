// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Telemetry remembers what this replica evaluates.
type Telemetry interface {
	// Evaluated remembers the answer that a context got, which it must not change.
	Evaluated(environment *store.Environment, result *evaluate.Result, context map[string]any, now time.Time)
	// LastEvaluated is when a flag was evaluated last, and false where that is not known.
	LastEvaluated(environment *store.Environment, flag string) (time.Time, bool)
	// Sample returns a fair sample of the contexts that were evaluated lately, each of another subject, and how many
	// subjects there were.
	Sample(environment *store.Environment) (contexts []map[string]any, subjects int)
	// Captured counts what clients sent of a kind, event or recording.
	Captured(environment *store.Environment, kind string, count int)
}

// unknown is the telemetry of a server that has none.
type unknown struct{}

// Evaluated forgets.
func (unknown) Evaluated(*store.Environment, *evaluate.Result, map[string]any, time.Time) {}

// LastEvaluated does not know.
func (unknown) LastEvaluated(*store.Environment, string) (time.Time, bool) {
	return time.Time{}, false
}

// Sample is empty.
func (unknown) Sample(*store.Environment) ([]map[string]any, int) { return nil, 0 }

// Captured forgets.
func (unknown) Captured(*store.Environment, string, int) {}
