// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package topics is what the controllers tell each other: the FlagEnvironment controller writes what it has made of
// each flag, and the FeatureFlag controller reads it. It is kept in memory; after a restart it is filled again from the
// resources and from what is published.
package topics

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Entry is what an environment has made of one flag.
type Entry struct {
	// Outcome is what the flag compiled to.
	Outcome compile.Outcome
	// Served is what is served under the flag's key, and nil where nothing is or the flag does not hold the key.
	Served *datafile.Flag
	// Pending is true while what compiled is not what is served.
	Pending bool
	// Revision is the revision that changed the flag's part last, and 0 where that was before this process began.
	Revision int64
	// WasEnabled is true where the flag was ever enabled since this process began.
	WasEnabled bool
}

// Environment is what holds for all flags of an environment.
type Environment struct {
	// Revision is the revision that is served, and 0 where none is.
	Revision int64
	// BreakGlass is true where somebody wrote what is served without the operator, and that stays.
	BreakGlass bool
}

type book struct {
	environment Environment
	entries     map[string]Entry // By object name of the flag.
}

// Ledger is safe for concurrent use.
type Ledger struct {
	mu     sync.RWMutex
	books  map[types.NamespacedName]*book
	notify func(flag types.NamespacedName)
}

// New returns an empty Ledger.
func New() *Ledger {
	return &Ledger{books: map[types.NamespacedName]*book{}, notify: func(types.NamespacedName) {}}
}

// Subscribe makes the ledger call notify, which must not block, with each flag whose entry was written.
func (l *Ledger) Subscribe(notify func(flag types.NamespacedName)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notify = notify
}

// Write sets what holds for an environment and the entries of some of its flags.
func (l *Ledger) Write(key types.NamespacedName, environment Environment, entries map[string]Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept, ok := l.books[key]
	if !ok {
		kept = &book{entries: map[string]Entry{}}
		l.books[key] = kept
	}
	maps.Copy(kept.entries, entries)
	concerned := maps.Keys(entries)
	if kept.environment.BreakGlass != environment.BreakGlass {
		concerned = maps.Keys(kept.entries)
	}
	kept.environment = environment
	for name := range concerned {
		l.notify(types.NamespacedName{Namespace: key.Namespace, Name: name})
	}
}

// Read returns what an environment has made of a flag. Known is false where the environment has not compiled yet, or
// not this flag.
func (l *Ledger) Read(key types.NamespacedName, flag string) (environment Environment, entry Entry, known bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	kept, ok := l.books[key]
	if !ok {
		return Environment{}, Entry{}, false
	}
	entry, known = kept.entries[flag]
	return kept.environment, entry, known
}

// ForgetFlag removes a flag that is gone from all environments of its namespace.
func (l *Ledger) ForgetFlag(flag types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, kept := range l.books {
		if key.Namespace == flag.Namespace {
			delete(kept.entries, flag.Name)
		}
	}
}

// Forget removes an environment that is gone.
func (l *Ledger) Forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept, ok := l.books[key]
	if !ok {
		return
	}
	delete(l.books, key)
	for name := range kept.entries {
		l.notify(types.NamespacedName{Namespace: key.Namespace, Name: name})
	}
}
