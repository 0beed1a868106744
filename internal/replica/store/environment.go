// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Environment is an environment and what it serves. It stays the same object until the environment is deleted. It is
// safe for concurrent use.
type Environment struct {
	// Project is the namespace.
	Project string
	// Name is the name of the FlagEnvironment.
	Name string
	// UID is the UID of the FlagEnvironment.
	UID types.UID
	// SetID is what OpenFeature's clients call its flags.
	SetID string

	state atomic.Pointer[state]
	// keys are the hashes that open the environment. The store's lock guards them.
	keys map[keyHash]struct{}
	// read is the resource version of the ConfigMap that was read last. Only who follows the environment uses it.
	read string
	// brokenFor is the resource version of the environment for which that ConfigMap was broken, and empty where it was
	// not: another status may confirm it.
	brokenFor string
}

// state is everything of an environment that changes. It never changes itself.
type state struct {
	revision      *Revision
	clientMembers bool
	// publishesFlagd is true where the flagd file is one of the formats, whether or not a ConfigMap can hold it.
	publishesFlagd bool
	gone           bool
	// changed is closed when another state takes the place of this one.
	changed chan struct{}
}

func newEnvironment(from *v1alpha1.FlagEnvironment) *Environment {
	environment := &Environment{
		Project: from.Namespace,
		Name:    from.Name,
		UID:     from.UID,
		SetID:   datafile.Header{Project: from.Namespace, Environment: from.Name}.SetID(),
		keys:    map[keyHash]struct{}{},
	}
	environment.state.Store(&state{revision: unpublished, changed: make(chan struct{})})
	return environment
}

// Revision returns what is served now. It is never nil: where nothing was published yet, it has the number 0 and no
// flags. Whoever needs two things of the same revision calls Revision once.
func (e *Environment) Revision() *Revision { return e.state.Load().revision }

// Engine evaluates all flags of the revision that is served now.
func (e *Environment) Engine() *evaluate.Engine { return e.Revision().Engine() }

// ClientEngine is Engine for client keys.
func (e *Environment) ClientEngine() *evaluate.Engine { return e.Revision().ClientEngine() }

// Gone reports whether the environment was deleted.
func (e *Environment) Gone() bool { return e.state.Load().gone }

// Changed returns a channel that is closed with the next change of the revision or the keys, or the end of the
// environment. One channel is shared by everybody who waits. A subscriber takes the channel first, then looks, then
// waits: so it misses no change.
func (e *Environment) Changed() <-chan struct{} { return e.state.Load().changed }

// set makes a state the current one where it differs, or where more has changed than a state holds.
func (e *Environment) set(next state, more bool) {
	before := e.state.Load()
	if before.revision == next.revision && before.clientMembers == next.clientMembers &&
		before.publishesFlagd == next.publishesFlagd && !more {
		return
	}
	next.changed = make(chan struct{})
	e.state.Store(&next)
	close(before.changed)
}

// end is the last change. What is served then is what was served last.
func (e *Environment) end() {
	before := e.state.Load()
	last := *before
	last.gone, last.changed = true, make(chan struct{})
	e.state.Store(&last)
	close(before.changed)
}
