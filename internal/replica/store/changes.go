// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// flagPrint tells what answers a flag gives from what it gives in another revision.
type flagPrint struct {
	// sum is of the flag, its audiences and the flags that it requires.
	sum [sha256.Size]byte
	// instants are those of its schedule and of theirs, in seconds since 1970.
	instants []int64
}

// prints are the prints of the flags of a document by key, made when they are first asked for.
func prints(document *Document) func() map[string]flagPrint {
	return sync.OnceValue(func() map[string]flagPrint {
		native, err := document.native()
		if err != nil {
			return nil // It was read before.
		}
		whole, err := datafile.Read(native)
		if err != nil {
			return nil
		}
		p := printer{of: whole, made: make(map[string]flagPrint, len(whole.Flags))}
		for key := range whole.Flags {
			p.print(key)
		}
		return p.made
	})
}

// printer makes prints. That prerequisites form no cycle is known: the document was prepared before.
type printer struct {
	of   *datafile.Document
	made map[string]flagPrint
}

func (p *printer) print(key string) flagPrint {
	if made, is := p.made[key]; is {
		return made
	}
	flag, found := p.of.Flags[key]
	if !found {
		return flagPrint{}
	}
	hash, made := sha256.New(), flagPrint{}
	write := func(part any) {
		data, _ := json.Marshal(part) // It was JSON.
		_, _ = hash.Write(data)       // It never fails.
	}
	write(flag)
	for i := range flag.Rules {
		for _, name := range flag.Rules[i].Audiences {
			write(p.of.Audiences[name])
		}
	}
	if instants, err := flag.Schedule.Instants(); err == nil && flag.Enabled {
		for _, at := range []int64{instants.EnableAt, instants.DisableAt} {
			if at != datafile.Never {
				made.instants = append(made.instants, at)
			}
		}
	}
	for i := range flag.Prerequisites {
		required := p.print(flag.Prerequisites[i].Flag)
		_, _ = hash.Write(required.sum[:]) // It never fails.
		made.instants = append(made.instants, required.instants...)
	}
	made.sum = [sha256.Size]byte(hash.Sum(nil))
	slices.Sort(made.instants)
	made.instants = slices.Compact(made.instants)
	p.made[key] = made
	return made
}

// Change is what becomes of a flag from one revision to another.
type Change int

// The changes.
const (
	Added Change = iota
	Updated
	Removed
)

// ChangesSince returns what became of the flags that a kind of key may see since another revision of the environment. A
// flag is another, too, where an audience or a flag that it requires is. The result must not be changed.
func (r *Revision) ChangesSince(before *Revision, kind KeyKind) map[string]Change {
	type pair struct {
		number int64
		digest string
		kind   KeyKind
	}
	once, _ := r.changes.LoadOrStore(pair{before.Number, before.Digest, kind}, sync.OnceValue(func() map[string]Change {
		return r.changesSince(before, kind)
	}))
	changes, is := once.(func() map[string]Change)
	if !is {
		return nil
	}
	return changes()
}

func (r *Revision) changesSince(before *Revision, kind KeyKind) map[string]Change {
	changes, was, is := map[string]Change{}, before.prints(), r.prints()
	for flag := range before.EngineOf(kind).Flags() {
		if _, stays := r.EngineOf(kind).Flag(flag.Key); !stays {
			changes[flag.Key] = Removed
		}
	}
	for flag := range r.EngineOf(kind).Flags() {
		if _, known := before.EngineOf(kind).Flag(flag.Key); !known {
			changes[flag.Key] = Added
		} else if was[flag.Key].sum != is[flag.Key].sum {
			changes[flag.Key] = Updated
		}
	}
	return changes
}

// ScheduledBetween returns the keys of the flags that a kind of key may see of which a schedule may change answers
// after an instant and up to another one.
func (r *Revision) ScheduledBetween(after, until time.Time, kind KeyKind) []string {
	keys := map[string]struct{}{}
	for key, made := range r.prints() {
		if _, visible := r.EngineOf(kind).Flag(key); !visible {
			continue
		}
		if slices.ContainsFunc(made.instants, func(at int64) bool { return after.Unix() < at && at <= until.Unix() }) {
			keys[key] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
