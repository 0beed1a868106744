// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/datafile"
	"github.com/jackstaff-dev/jackstaff/internal/flagd"
)

// Environment compiles one environment, one change at a time: what a change does not touch is not compiled again. Objects are
// set and removed as they change; Compile then settles what the change brings about. It keeps, for everything that cannot be
// compiled, the form that was last published. It is not safe for concurrent use.
type Environment struct {
	name string

	flags     map[string]*flagInput     // By object name.
	entries   map[string]*entry         // By flag key.
	audiences map[string]*audienceInput // By name.
	events    map[string]*eventInput    // By object name.
	eventKeys map[string][]*eventInput  // By event key, by precedence: the first holds the key.

	// referrers are the keys of flags that refer to something, in their current or in their served form.
	referrers map[reference]set

	// Dirty is what was set or removed since the last Compile.
	dirtyFlags     set // By flag key.
	dirtyAudiences set // By name.
	dirtyEvents    set // By event key.

	// unsettled are the keys whose current form is not in the contents. They are looked at again by every Compile, because
	// what keeps them out may have gone.
	unsettled set

	// dangling are the keys whose current form refers to something that does not exist; brokenAudiences are the names, and
	// brokenEvents the object names, of what did not compile. What becomes of them depends on what is published.
	dangling        set
	brokenAudiences set
	brokenEvents    set

	// retained flags and audiences are not to be served by themselves but required by the last good form of a flag.
	retainedFlags     set
	retainedAudiences set

	published *datafile.Contents
	// republished says that published changed since the last Compile.
	republished bool

	contents datafile.Contents
	flagd    datafile.Section
}

// set is a set of keys or names.
type set map[string]struct{}

func (s set) add(name string) { s[name] = struct{}{} }

// put adds name where in is true, and removes it where in is false.
func (s set) put(name string, in bool) {
	if in {
		s.add(name)
	} else {
		delete(s, name)
	}
}

func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// flagInput is one FeatureFlag in its own right.
type flagInput struct {
	name       string
	key        string
	uid        types.UID
	created    time.Time
	generation int64
	archived   bool
	form       *datafile.Flag // Nil where err is set.
	part       datafile.Part
	err        error
}

type audienceInput struct {
	form *datafile.Audience // Nil where err is set.
	part datafile.Part
	err  error
}

type eventInput struct {
	name    string
	key     string
	uid     types.UID
	created time.Time
	part    datafile.Part
	err     error
}

// entry is what becomes of one flag key.
type entry struct {
	inputs     []*flagInput // By precedence: the first holds the key.
	form       *datafile.Flag
	part       datafile.Part
	problem    Problem
	message    string
	references []reference // Those under which the key is registered as a referrer.
	flagdError error
	reported   report // What the last Compile reported.
}

// report is what the Outcomes of a key's flags depend on.
type report struct {
	holder  *flagInput
	digest  [sha256.Size]byte
	problem Problem
	message string
	flagd   string
}

func (e *entry) report() report {
	now := report{holder: e.holder(), digest: e.part.Digest, problem: e.problem, message: e.message}
	if e.flagdError != nil {
		now.flagd = e.flagdError.Error()
	}
	return now
}

func (e *entry) holder() *flagInput {
	if len(e.inputs) == 0 {
		return nil
	}
	return e.inputs[0]
}

// reference is something that a flag refers to: another flag's key, or an audience's name.
type reference struct {
	kind referenceKind
	name string
}

type referenceKind string

const (
	flagReference     referenceKind = "flag"
	audienceReference referenceKind = "audience"
)

// referencesOf returns what form refers to, each once, in order.
func referencesOf(form *datafile.Flag) []reference {
	if form == nil {
		return nil
	}
	var references []reference
	for _, prerequisite := range form.Prerequisites {
		references = append(references, reference{flagReference, prerequisite.Flag})
	}
	for i := range form.Rules {
		for _, audience := range form.Rules[i].Audiences {
			references = append(references, reference{audienceReference, audience})
		}
	}
	return distinct(references)
}

func distinct(references []reference) []reference {
	slices.SortFunc(references, func(a, b reference) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(references)
}

// NewEnvironment returns an Environment without any object, of which published was last published. Published is nil where
// nothing was.
func NewEnvironment(name string, published *datafile.Contents) *Environment {
	e := &Environment{
		name:      name,
		flags:     map[string]*flagInput{},
		entries:   map[string]*entry{},
		audiences: map[string]*audienceInput{},
		events:    map[string]*eventInput{},
		eventKeys: map[string][]*eventInput{},
		referrers: map[reference]set{},

		dirtyFlags:     set{},
		dirtyAudiences: set{},
		dirtyEvents:    set{},

		unsettled:       set{},
		dangling:        set{},
		brokenAudiences: set{},
		brokenEvents:    set{},

		retainedFlags:     set{},
		retainedAudiences: set{},
	}
	e.SetPublished(published)
	return e
}

// SetPublished says what is published now, which the caller must not change any more. The next Compile takes last good forms from it.
func (e *Environment) SetPublished(published *datafile.Contents) {
	if published == nil {
		published = &datafile.Contents{}
	}
	e.published, e.republished = published, true
}

// Contents is what the last Compile settled. It changes with the next Compile; clone it to keep it.
func (e *Environment) Contents() *datafile.Contents { return &e.contents }

// Flagd holds the flagd definitions of Contents, by flag key, without those that flagd cannot express. It changes with the next Compile.
func (e *Environment) Flagd() *datafile.Section { return &e.flagd }

// SetFlag compiles a new or changed flag.
func (e *Environment) SetFlag(flag *v1alpha1.FeatureFlag) {
	e.RemoveFlag(flag.Name)
	input := &flagInput{
		name: flag.Name, key: flag.Key(), uid: flag.UID, created: flag.CreationTimestamp.Time,
		generation: flag.Generation, archived: flag.Spec.Archived,
	}
	if input.form, input.err = Flag(flag, e.name); input.err == nil {
		input.part, input.err = datafile.NewPart(input.key, input.form)
	}
	e.flags[input.name] = input
	held, ok := e.entries[input.key]
	if !ok {
		held = &entry{}
		e.entries[input.key] = held
	}
	held.inputs = append(held.inputs, input)
	slices.SortFunc(held.inputs, func(a, b *flagInput) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.uid, b.uid), cmp.Compare(a.name, b.name))
	})
	e.dirtyFlags.add(input.key)
}

// RemoveFlag forgets the flag of that object name.
func (e *Environment) RemoveFlag(name string) {
	input, ok := e.flags[name]
	if !ok {
		return
	}
	delete(e.flags, name)
	held := e.entries[input.key]
	held.inputs = slices.DeleteFunc(held.inputs, func(other *flagInput) bool { return other == input })
	e.dirtyFlags.add(input.key)
}

// SetAudience compiles a new or changed audience.
func (e *Environment) SetAudience(audience *v1alpha1.FlagAudience) {
	input := &audienceInput{}
	if input.form, input.err = Audience(audience); input.err == nil {
		input.part, input.err = datafile.NewPart(audience.Name, input.form)
	}
	e.audiences[audience.Name] = input
	e.brokenAudiences.put(audience.Name, input.err != nil)
	e.dirtyAudiences.add(audience.Name)
}

// RemoveAudience forgets the audience of that name.
func (e *Environment) RemoveAudience(name string) {
	delete(e.audiences, name)
	delete(e.brokenAudiences, name)
	e.dirtyAudiences.add(name)
}

// SetEvent compiles a new or changed event.
func (e *Environment) SetEvent(event *v1alpha1.FlagEvent) {
	e.RemoveEvent(event.Name)
	input := &eventInput{name: event.Name, key: event.Key(), uid: event.UID, created: event.CreationTimestamp.Time}
	var form *datafile.Event
	if form, input.err = Event(event); input.err == nil {
		input.part, input.err = datafile.NewPart(input.key, form)
	}
	e.events[input.name] = input
	e.eventKeys[input.key] = append(e.eventKeys[input.key], input)
	slices.SortFunc(e.eventKeys[input.key], func(a, b *eventInput) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.uid, b.uid), cmp.Compare(a.name, b.name))
	})
	e.brokenEvents.put(input.name, input.err != nil)
	e.dirtyEvents.add(input.key)
}

// RemoveEvent forgets the event of that object name.
func (e *Environment) RemoveEvent(name string) {
	input, ok := e.events[name]
	if !ok {
		return
	}
	delete(e.events, name)
	delete(e.brokenEvents, name)
	inputs := slices.DeleteFunc(e.eventKeys[input.key], func(other *eventInput) bool { return other == input })
	if e.eventKeys[input.key] = inputs; len(inputs) == 0 {
		delete(e.eventKeys, input.key)
	}
	e.dirtyEvents.add(input.key)
}

// Flag returns the served form of a flag, for flagd.Source.
func (e *Environment) Flag(key string) (*datafile.Flag, bool) {
	held, ok := e.entries[key]
	if !ok || held.form == nil {
		return nil, false
	}
	return held.form, true
}

// Audience returns the served form of an audience, for flagd.Source.
func (e *Environment) Audience(name string) (*datafile.Audience, bool) {
	part, ok := e.contents.Audiences.Get(name)
	if !ok {
		return nil, false
	}
	if input, ok := e.audiences[name]; ok && input.err == nil {
		return input.form, true
	}
	return readPart[datafile.Audience](part)
}

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
	changedAudiences := e.settleAudiences()
	work, changedKeys := e.takeWork()
	e.settleFlags(work)
	maps.Copy(changedAudiences, e.storeGoneAudiences())

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

// settleAudiences updates the audiences section and returns the names of those that changed. Audiences that are gone are left to
// storeGoneAudiences.
func (e *Environment) settleAudiences() set {
	changed := set{}
	for _, name := range e.dirtyAudiences.sorted() {
		input, ok := e.audiences[name]
		switch {
		case !ok:
			continue
		case input.err == nil:
			ok = e.contents.Audiences.Put(input.part)
		default:
			ok = keep(&e.contents.Audiences, &e.published.Audiences, name)
		}
		if ok {
			changed.add(name)
		}
	}
	return changed
}

// keep makes a section hold the part that was last published for a key, or none. It reports whether the section changed.
func keep(section, published *datafile.Section, key string) bool {
	if part, ok := published.Get(key); ok {
		return section.Put(part)
	}
	return section.Delete(key)
}

// takeWork returns the keys to settle: those that are dirty, those that refer to what is dirty, and those that are not settled
// or depend on what is published. It also returns the dirty ones alone.
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
		}
	}
	e.unsettled.add(key)
	e.register(key, held)
}

// breakCycles takes back current forms that make a cycle together with last good forms, which neither the resources nor what is
// published has. It reports whether it changed any form, which adds the key to work.
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

// lostReference returns a reference of form that leads to nothing although it is resolved in what is published for the key.
func (e *Environment) lostReference(key string, form *datafile.Flag) *reference {
	dangling := slices.DeleteFunc(referencesOf(form), e.exists)
	if len(dangling) == 0 {
		return nil
	}
	e.dangling.add(key)
	part, ok := e.published.Flags.Get(key)
	if !ok {
		return nil
	}
	published, ok := readPart[datafile.Flag](part)
	if !ok {
		return nil
	}
	resolved := referencesOf(published)
	for _, ref := range dangling {
		if slices.Contains(resolved, ref) && e.isPublished(ref) {
			return &ref
		}
	}
	return nil
}

// exists reports whether the object that ref names is there.
func (e *Environment) exists(ref reference) bool {
	if ref.kind == audienceReference {
		return e.audiences[ref.name] != nil
	}
	return e.unarchived(ref.name) != nil
}

// unarchived returns the flag that holds the key, and nil where there is none or it is archived.
func (e *Environment) unarchived(key string) *flagInput {
	held, ok := e.entries[key]
	if !ok || held.holder() == nil || held.holder().archived {
		return nil
	}
	return held.holder()
}

func (e *Environment) isPublished(ref reference) bool {
	section := &e.published.Flags
	if ref.kind == audienceReference {
		section = &e.published.Audiences
	}
	_, ok := section.Get(ref.name)
	return ok
}

// retain decides anew which published forms of flags and audiences stay though they are not served by themselves: what a last
// good form requires that is gone, and a flag that was retained, is back and is wrong. It adds the keys that it looks at to work.
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

// retainFlag keeps the published form of a flag as a prerequisite of others, and returns it. It returns nil where there is none.
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

// storeGoneAudiences keeps or drops the parts of audiences without an object. It returns the names of those that changed.
func (e *Environment) storeGoneAudiences() set {
	changed := set{}
	maps.Copy(e.dirtyAudiences, e.retainedAudiences)
	for name := range e.dirtyAudiences {
		if e.audiences[name] != nil {
			continue
		}
		_, retained := e.retainedAudiences[name]
		if retained && keep(&e.contents.Audiences, &e.published.Audiences, name) || !retained && e.contents.Audiences.Delete(name) {
			changed.add(name)
		}
	}
	clear(e.dirtyAudiences)
	return changed
}

// store puts the form of a key into the contents. It reports whether they changed.
func (e *Environment) store(key string) bool {
	if held, ok := e.entries[key]; ok && held.form != nil {
		return e.contents.Flags.Put(held.part)
	}
	return e.contents.Flags.Delete(key)
}

// affected returns the keys of the flags whose flagd definition depends on the given flags and audiences.
func (e *Environment) affected(flags, audiences set) set {
	result := maps.Clone(flags)
	for name := range audiences {
		maps.Copy(result, e.referrers[reference{audienceReference, name}])
	}
	for queue := slices.Collect(maps.Keys(result)); len(queue) > 0; queue = queue[1:] {
		for key := range e.referrers[reference{flagReference, queue[0]}] {
			if _, seen := result[key]; !seen {
				result.add(key)
				queue = append(queue, key)
			}
		}
	}
	return result
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

// register keeps the referrers of what the key's flag refers to, in its current and in its served form.
func (e *Environment) register(key string, held *entry) {
	references := referencesOf(held.form)
	if holder := held.holder(); holder != nil && holder.form != held.form {
		references = distinct(append(references, referencesOf(holder.form)...))
	}
	if slices.Equal(references, held.references) {
		return
	}
	for _, ref := range held.references {
		delete(e.referrers[ref], key)
		if len(e.referrers[ref]) == 0 {
			delete(e.referrers, ref)
		}
	}
	for _, ref := range references {
		if e.referrers[ref] == nil {
			e.referrers[ref] = set{}
		}
		e.referrers[ref].add(key)
	}
	held.references = references
}

// report adds to changed the keys of work whose report is not the last one, and drops the keys that nothing speaks of any more.
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

// FlagNames returns the object names of the flags with that key, the one that holds it first.
func (e *Environment) FlagNames(key string) []string {
	held, ok := e.entries[key]
	if !ok {
		return nil
	}
	names := make([]string, len(held.inputs))
	for i, input := range held.inputs {
		names[i] = input.name
	}
	return names
}

func readPart[T any](part datafile.Part) (*T, bool) {
	value := new(T)
	return value, json.Unmarshal(part.JSON, value) == nil
}
