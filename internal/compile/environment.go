// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Environment compiles one environment, one change at a time: what a change does not touch is not compiled again.
// Objects are set and removed as they change; Compile then settles what the change brings about. It keeps, for
// everything that cannot be compiled, the form that was last published. It is not safe for concurrent use.
type Environment struct {
	name    string
	project *Project

	flags     map[string]*flagInput     // By object name.
	entries   map[string]*entry         // By flag key.
	audiences map[string]*audienceInput // By name.
	events    map[string]*eventInput    // By object name.
	eventKeys map[string][]*eventInput  // By event key, by precedence: the first holds the key.

	// referrers are the keys of flags that refer to something, in their current or in their served form.
	referrers map[reference]set

	// audienceUses counts, by name, the flags whose served form refers to an audience. Only those audiences are in the
	// contents.
	audienceUses map[string]int

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

	// held are the keys of flags that are gone, of which nobody knows that they are meant to be.
	held set

	// braked are the keys whose flag is forced off, whatever its spec says and whether or not it compiles.
	braked set

	// leftOut are the keys of drafts that are not published as they are now, for want of room.
	leftOut set

	// stagedOut are the keys of flags, and stagedOutAudiences the names of audiences, whose changes are not published as
	// they are now, because the datafile would not fit.
	stagedOut          set
	stagedOutAudiences set

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
	forcedOff  bool
	held       bool           // The object is gone, and nobody knows that it is meant to be.
	draft      bool           // It is off and was never enabled.
	form       *datafile.Flag // Nil where err is set.
	part       datafile.Part
	err        error
	compiled   *compiledFlag // That form and part, for which the project keeps no place of its own.
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
	audiences  []reference // The audiences that form refers to.
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

// NewEnvironment returns an Environment without any object, of which published was last published. Published is nil
// where nothing was.
func NewEnvironment(name string, published *datafile.Contents) *Environment {
	e := &Environment{
		name:      name,
		project:   NewProject(),
		flags:     map[string]*flagInput{},
		entries:   map[string]*entry{},
		audiences: map[string]*audienceInput{},
		events:    map[string]*eventInput{},
		eventKeys: map[string][]*eventInput{},
		referrers: map[reference]set{},

		audienceUses: map[string]int{},

		dirtyFlags:     set{},
		dirtyAudiences: set{},
		dirtyEvents:    set{},

		unsettled:       set{},
		dangling:        set{},
		brokenAudiences: set{},
		brokenEvents:    set{},

		retainedFlags:     set{},
		retainedAudiences: set{},

		held:    set{},
		braked:  set{},
		leftOut: set{},

		stagedOut:          set{},
		stagedOutAudiences: set{},
	}
	e.SetPublished(published)
	return e
}

// SetPublished says what is published now, which the caller must not change any more. The next Compile takes last good
// forms from it.
func (e *Environment) SetPublished(published *datafile.Contents) {
	if published == nil {
		published = &datafile.Contents{}
	}
	e.published, e.republished = published, true
}

// SharePublished returns what is published, with the parts of Contents in the place of those that are the same. After a
// start, what was read of a ConfigMap would take the memory of all flags again.
func (e *Environment) SharePublished() *datafile.Contents {
	shared := &datafile.Contents{}
	for _, section := range []struct{ to, published, compiled *datafile.Section }{
		{&shared.Flags, &e.published.Flags, &e.contents.Flags},
		{&shared.Audiences, &e.published.Audiences, &e.contents.Audiences},
		{&shared.Events, &e.published.Events, &e.contents.Events},
	} {
		for part := range section.published.All() {
			if compiled, has := section.compiled.Get(part.Key); has && compiled.Digest == part.Digest {
				part = compiled
			}
			section.to.Put(part)
		}
	}
	e.published = shared
	return shared
}

// Contents is what the last Compile settled. It changes with the next Compile; clone it to keep it.
func (e *Environment) Contents() *datafile.Contents { return &e.contents }

// Document is Contents as readers have it, without the header and the events.
func (e *Environment) Document() *datafile.Document {
	document := &datafile.Document{
		Flags:     make(map[string]*datafile.Flag, e.contents.Flags.Len()),
		Audiences: make(map[string]*datafile.Audience, e.contents.Audiences.Len()),
	}
	for part := range e.contents.Flags.All() {
		document.Flags[part.Key], _ = e.Flag(part.Key)
	}
	for part := range e.contents.Audiences.All() {
		document.Audiences[part.Key], _ = e.Audience(part.Key)
	}
	return document
}

// Flagd holds the flagd definitions of Contents, by flag key, without those that flagd cannot express. It changes with
// the next Compile.
func (e *Environment) Flagd() *datafile.Section { return &e.flagd }

// SetFlag compiles a new or changed flag.
func (e *Environment) SetFlag(flag *v1alpha1.FeatureFlag) {
	key := flag.Key()
	// A key that was lost with the form of the object is still asked for.
	if known := e.flags[flag.Name]; known != nil && known.uid == flag.UID && v1alpha1.Lost(flag, "spec.key") {
		key = known.key
	}
	e.removeFlag(flag.Name)
	e.Release(key)
	input := &flagInput{
		name: flag.Name, key: key, uid: flag.UID, created: flag.CreationTimestamp.Time,
		generation: flag.Generation, archived: flag.Spec.Archived, forcedOff: flag.ForceDisabledIn(e.name),
		draft: isDraft(flag, e.name),
	}
	if input.compiled, input.err = e.project.flag(flag).in(flag, e.name); input.err == nil {
		input.form, input.part = input.compiled.form, input.compiled.part
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
	e.braked.put(input.key, held.holder().forcedOff)
	e.dirtyFlags.add(input.key)
}

// RemoveFlag forgets the flag of that object name.
func (e *Environment) RemoveFlag(name string) {
	e.project.forgetFlag(name)
	e.removeFlag(name)
}

func (e *Environment) removeFlag(name string) {
	input, ok := e.flags[name]
	if !ok {
		return
	}
	delete(e.flags, name)
	held := e.entries[input.key]
	held.inputs = slices.DeleteFunc(held.inputs, func(other *flagInput) bool { return other == input })
	e.braked.put(input.key, held.holder() != nil && held.holder().forcedOff)
	e.dirtyFlags.add(input.key)
}

// SetAudience sets a new or changed audience, which must not change any more. It is compiled once a flag refers to it.
func (e *Environment) SetAudience(audience *v1alpha1.FlagAudience) {
	input := e.project.audience(audience)
	e.audiences[audience.Name] = input
	e.brokenAudiences.put(audience.Name, input.invalid != nil)
	e.dirtyAudiences.add(audience.Name)
}

// RemoveAudience forgets the audience of that name.
func (e *Environment) RemoveAudience(name string) {
	e.project.forgetAudience(name)
	delete(e.audiences, name)
	delete(e.brokenAudiences, name)
	e.dirtyAudiences.add(name)
}

// SetEvent compiles a new or changed event.
func (e *Environment) SetEvent(event *v1alpha1.FlagEvent) {
	key := event.Key()
	if known := e.events[event.Name]; known != nil && known.uid == event.UID && v1alpha1.Lost(event, "spec.key") {
		key = known.key
	}
	e.RemoveEvent(event.Name)
	input := &eventInput{name: event.Name, key: key, uid: event.UID, created: event.CreationTimestamp.Time}
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
	_, isStagedOut := e.stagedOutAudiences[name]
	if input, ok := e.audiences[name]; ok && !isStagedOut {
		if form, _, err := input.compiled(); err == nil {
			return form, true
		}
	}
	return readPart[datafile.Audience](part)
}

// FlagNames returns the object names of the flags with that key, the one that holds it first.
func (e *Environment) FlagNames(key string) []string {
	held, ok := e.entries[key]
	if !ok {
		return nil
	}
	names := make([]string, 0, len(held.inputs))
	for _, input := range held.inputs {
		if !input.held {
			names = append(names, input.name)
		}
	}
	return names
}
