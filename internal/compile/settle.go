// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// Changes is what a Compile brought about.
type Changes struct {
	// Keys are, in order, the keys of the flags that were set or removed and those whose part or Outcome changed.
	Keys []string
	// Contents is true where the contents or the flagd definitions changed.
	Contents bool
}

// Compile settles what was set, removed and published since the last Compile.
func (e *Environment) Compile() Changes {
	e.takePublished()
	contentsChanged := e.settleEvents()
	work, changedKeys := e.takeWork()
	e.settleFlags(work)
	changedAudiences := e.settleAudiences()

	changedFlags := set{}
	// In order, a first Compile appends to the sections instead of inserting into them.
	for _, key := range work.sorted() {
		if e.store(key) {
			changedFlags.add(key)
		}
	}
	for _, key := range e.affected(changedFlags, changedAudiences).sorted() {
		work.add(key)
		contentsChanged = e.storeDefinition(key) || contentsChanged
	}
	e.report(work, changedKeys)
	return Changes{
		Keys:     changedKeys.sorted(),
		Contents: contentsChanged || len(changedFlags) > 0 || len(changedAudiences) > 0,
	}
}

// takePublished marks what depends on what is published, where that changed.
func (e *Environment) takePublished() {
	if !e.republished {
		return
	}
	e.republished = false
	maps.Copy(e.dirtyAudiences, e.brokenAudiences)
	for name := range e.brokenEvents {
		e.dirtyEvents.add(e.events[name].key)
	}
}

// settleEvents updates the events section. Of several events with one key the oldest holds it.
func (e *Environment) settleEvents() (changed bool) {
	for _, key := range e.dirtyEvents.sorted() {
		inputs := e.eventKeys[key]
		switch {
		case len(inputs) == 0:
			changed = e.contents.Events.Delete(key) || changed
		case inputs[0].err == nil:
			changed = e.contents.Events.Put(inputs[0].part) || changed
		default:
			changed = keep(&e.contents.Events, &e.published.Events, key) || changed
		}
	}
	clear(e.dirtyEvents)
	return changed
}

// settleAudiences updates the audiences section and returns the names of those that changed. An audience that no served
// form refers to is not in it. Of one that is gone, the published part stays where a last good form needs it.
func (e *Environment) settleAudiences() set {
	changed := set{}
	maps.Copy(e.dirtyAudiences, e.retainedAudiences)
	for _, name := range e.dirtyAudiences.sorted() {
		if e.settleAudience(name) {
			changed.add(name)
		}
	}
	clear(e.dirtyAudiences)
	return changed
}

func (e *Environment) settleAudience(name string) (changed bool) {
	input, exists := e.audiences[name]
	_, retained := e.retainedAudiences[name]
	if exists && e.audienceUses[name] == 0 || !exists && !retained {
		return e.contents.Audiences.Delete(name)
	}
	if _, isStagedOut := e.stagedOutAudiences[name]; exists && !isStagedOut {
		_, part, err := input.compiled()
		e.brokenAudiences.put(name, err != nil)
		if err == nil {
			return e.contents.Audiences.Put(part)
		}
	}
	return keep(&e.contents.Audiences, &e.published.Audiences, name)
}

// keep makes a section hold the part that was last published for a key, or none. It reports whether the section
// changed.
func keep(section, published *datafile.Section, key string) bool {
	if part, ok := published.Get(key); ok {
		return section.Put(part)
	}
	return section.Delete(key)
}

// takeWork returns the keys to settle: those that are dirty, those that refer to what is dirty, and those that are not
// settled or depend on what is published. It also returns the dirty ones alone.
func (e *Environment) takeWork() (work, dirty set) {
	dirty, e.dirtyFlags = e.dirtyFlags, set{}
	work = maps.Clone(dirty)
	for key := range dirty {
		maps.Copy(work, e.referrers[reference{flagReference, key}])
	}
	for name := range e.dirtyAudiences {
		maps.Copy(work, e.referrers[reference{audienceReference, name}])
	}
	maps.Copy(work, e.unsettled)
	maps.Copy(work, e.dangling)
	return work, dirty
}

// settleFlags decides the form of every key of work, to which it adds the keys whose form it changes besides.
func (e *Environment) settleFlags(work set) {
	cyclic := e.cycles(work, func(key string) *datafile.Flag {
		if holder := e.unarchived(key); holder != nil {
			return holder.form
		}
		return nil
	})
	for key := range cyclic {
		work.add(key)
	}
	for key := range work {
		e.settle(key, cyclic[key])
	}
	maps.Copy(e.dirtyAudiences, e.retainedAudiences)
	e.retain(work)
	for e.breakCycles(work) {
		e.retain(work)
	}
}

// settle decides the form of one key; cycle is the prerequisite cycle that its flag is part of, if any.
func (e *Environment) settle(key string, cycle []string) {
	held, ok := e.entries[key]
	if !ok {
		return
	}
	held.problem, held.message = NoProblem, ""
	delete(e.unsettled, key)
	delete(e.dangling, key)
	holder := e.unarchived(key)
	switch {
	case holder == nil:
		held.form, held.part = nil, datafile.Part{}
		e.register(key, held)
	case holder.err != nil:
		e.takeBack(key, held, InvalidProblem, holder.err.Error())
	case cycle != nil:
		e.takeBack(key, held, CycleProblem, cycleMessage(cycle))
	case e.isLeftOut(key, holder):
		e.takeBack(key, held, NoRoomProblem, noRoomMessage)
	case e.isStagedOut(key):
		e.takeBack(key, held, TooLargeProblem, tooLargeMessage)
	default:
		if lost := e.lostReference(key, holder.form); lost != nil {
			e.takeBack(key, held, UnresolvedProblem, lost.message())
			return
		}
		held.form, held.part = holder.form, holder.part
		e.register(key, held)
	}
}

// takeBack gives a key its last published form, or none where it was never published.
func (e *Environment) takeBack(key string, held *entry, problem Problem, message string) {
	held.problem, held.message = problem, message
	held.form, held.part = nil, datafile.Part{}
	if part, ok := e.published.Flags.Get(key); ok {
		if form, ok := readPart[datafile.Flag](part); ok && !form.Retained {
			held.form, held.part = form, part
			e.brake(key, held)
		}
	}
	e.unsettled.add(key)
	e.register(key, held)
}

// breakCycles takes back current forms that make a cycle together with last good forms, which neither the resources nor
// what is published has. It reports whether it changed any form, which adds the key to work.
func (e *Environment) breakCycles(work set) (changed bool) {
	cyclic := e.cycles(work, func(key string) *datafile.Flag { form, _ := e.Flag(key); return form })
	for key, members := range cyclic {
		held := e.entries[key]
		if holder := held.holder(); holder != nil && holder.form == held.form {
			e.takeBack(key, held, CycleProblem, cycleMessage(members))
			work.add(key)
			changed = true
		}
	}
	if changed {
		return true
	}
	for key := range cyclic {
		// Such a cycle was published by something else. No reader takes a document with a cycle.
		held := e.entries[key]
		held.form, held.part = nil, datafile.Part{}
		delete(e.retainedFlags, key)
		e.register(key, held)
		work.add(key)
	}
	return false
}

// unarchived returns the flag that holds the key, and nil where there is none or it is archived.
func (e *Environment) unarchived(key string) *flagInput {
	held, ok := e.entries[key]
	if !ok || held.holder() == nil || held.holder().archived {
		return nil
	}
	return held.holder()
}

// retain decides anew which published forms of flags and audiences stay though they are not served by themselves: what
// a last good form requires that is gone, and a flag that was retained, is back and is wrong. It adds the keys that it
// looks at to work.
func (e *Environment) retain(work set) {
	for key := range e.retainedFlags {
		if held := e.entries[key]; held.form != nil && held.form.Retained {
			held.form, held.part = nil, datafile.Part{}
			e.register(key, held)
		}
	}
	maps.Copy(work, e.retainedFlags)
	clear(e.retainedFlags)
	clear(e.retainedAudiences)
	for queue := slices.Collect(maps.Keys(e.unsettled)); len(queue) > 0; queue = queue[1:] {
		form, has := e.Flag(queue[0])
		if !has {
			form = e.retainFlag(queue[0])
		}
		for _, ref := range referencesOf(form) {
			switch {
			case e.exists(ref) || !e.isPublished(ref):
			case ref.kind == audienceReference:
				e.retainedAudiences.add(ref.name)
			default:
				if _, has := e.Flag(ref.name); !has {
					queue = append(queue, ref.name)
				}
			}
		}
	}
	maps.Copy(work, e.retainedFlags)
}

// retainFlag keeps the published form of a flag as a prerequisite of others, and returns it. It returns nil where there
// is none.
func (e *Environment) retainFlag(key string) *datafile.Flag {
	published, ok := e.published.Flags.Get(key)
	if !ok {
		return nil
	}
	form, ok := readPart[datafile.Flag](published)
	if !ok {
		return nil
	}
	form.Retained = true
	part, err := datafile.NewPart(key, form)
	if err != nil {
		return nil
	}
	held, ok := e.entries[key]
	if !ok {
		held = &entry{}
		e.entries[key] = held
	}
	held.form, held.part = form, part
	e.retainedFlags.add(key)
	e.register(key, held)
	return form
}

// store puts the form of a key into the contents. It reports whether they changed.
func (e *Environment) store(key string) bool {
	if held, ok := e.entries[key]; ok && held.form != nil {
		return e.contents.Flags.Put(held.part)
	}
	return e.contents.Flags.Delete(key)
}

// storeDefinition makes the flagd definition of a key anew. It reports whether it changed.
func (e *Environment) storeDefinition(key string) bool {
	held, ok := e.entries[key]
	if !ok || held.form == nil || held.form.Retained {
		return e.flagd.Delete(key)
	}
	definition, err := flagd.Definition(e, key)
	if held.flagdError = err; err != nil {
		return e.flagd.Delete(key)
	}
	return e.flagd.Put(datafile.RawPart(key, definition))
}

// report adds to changed the keys of work whose report is not the last one, and drops the keys that nothing speaks of
// any more.
func (e *Environment) report(work, changed set) {
	for key := range work {
		held, ok := e.entries[key]
		if !ok {
			continue
		}
		if now := held.report(); now != held.reported {
			held.reported = now
			changed.add(key)
		}
		if len(held.inputs) == 0 && held.form == nil {
			delete(e.entries, key)
		}
	}
}

func readPart[T any](part datafile.Part) (*T, bool) {
	value := new(T)
	return value, json.Unmarshal(part.JSON, value) == nil
}

// ServedFlag reads the form of a flag from served contents. It returns nil where they do not hold the key, or hold it
// only because others require it.
func ServedFlag(served *datafile.Contents, key string) *datafile.Flag {
	part, ok := served.Flags.Get(key)
	if !ok {
		return nil
	}
	if form, ok := readPart[datafile.Flag](part); ok && !form.Retained {
		return form
	}
	return nil
}
