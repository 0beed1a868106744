// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// states holds the state of each environment that exists. It is safe for concurrent use.
type states struct {
	mu            sync.Mutex
	byEnvironment map[types.NamespacedName]*state
	// seen are the resource versions of served ConfigMaps in the last event of each, empty after a deletion.
	seen map[types.NamespacedName]string
}

func newStates() *states {
	return &states{byEnvironment: map[types.NamespacedName]*state{}, seen: map[types.NamespacedName]string{}}
}

// recordSeen notes that an event shows the served ConfigMap with that resource version, empty where it is deleted.
func (s *states) recordSeen(key types.NamespacedName, resourceVersion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[key] = resourceVersion
}

// of returns the state of an environment, and marks it for reading again where an event shows that somebody else wrote.
func (s *states) of(key types.NamespacedName) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.byEnvironment[key]
	if !ok {
		known = newState()
		s.byEnvironment[key] = known
	}
	if seen, ok := s.seen[key]; ok {
		delete(s.seen, key)
		known.reload = known.reload || known.served != nil && known.served.ResourceVersion() != seen
	}
	return known
}

// forget drops the state of an environment that is gone.
func (s *states) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byEnvironment, key)
	delete(s.seen, key)
}

// state is what the controller remembers of one environment between reconciles. All of it can be made again from the
// resources and from what is published. Only the worker that reconciles the environment uses it.
type state struct {
	// compiled is nil until the environment is compiled for the first time.
	compiled *compile.Environment
	// stopped is true while the namespace stores too much. Compiled then knows only the flags that are forced off.
	stopped bool
	// served is what the environment serves as far as is known, and nil until it was read.
	served *publish.Served
	// reload says that served must be read again, because a write failed or somebody else wrote.
	reload bool
	// digest is that of the compiled content in the formats asked for.
	digest string
	// pending are the keys of flags whose part is not what is served.
	pending map[string]struct{}
	// braked are the keys of flags that are served as on though they are forced off.
	braked map[string]struct{}
	// unreported are the keys of flags whose ledger entries are not up to date.
	unreported map[string]struct{}
	// changed are the revisions that changed the parts of flags, by flag key, as far as the ledger does not have them yet.
	changed map[string]int64
	// handledRequest is the publish request that was answered last. The cache may show a status from before that, and what
	// is edited meanwhile waits for a request of its own.
	handledRequest string
	// waiting is the publish request that waits, and nil where none does. A new process has it from the status.
	waiting *v1alpha1.WaitingPublish
	// catchingUp is what a new publish request, or the end of a break glass, waits for, and nil where there is none.
	catchingUp *catchingUp
	// endedGlass identifies a break glass that was ended, until the watches have shown what was stored before that.
	endedGlass string
	// usedConfirmation is the confirmation of lost flags that was used up last, which the cache's status may not show yet.
	usedConfirmation string
	// records are the change records that no revision has brought yet.
	records records
	// room says whether there is room for what is compiled.
	room room
	// pace spaces publishes out.
	pace pace
	// restores spaces out the writes of what is served already.
	restores restores
}

func newState() *state {
	return &state{
		pending: map[string]struct{}{}, braked: map[string]struct{}{}, unreported: map[string]struct{}{},
		changed: map[string]int64{}, records: newRecords(),
	}
}

// content is a copy of what is compiled, for publishing.
func (s *state) content() publish.Content {
	flagd := s.compiled.Flagd().Clone()
	return publish.Content{Contents: s.compiled.Contents().Clone(), Flagd: &flagd, Document: s.compiled.Document}
}

// comparePart updates pending and braked for one flag key.
func (s *state) comparePart(key string) {
	if s.compiled.ForcedOff(key) && compile.IsOn(servedContents(s.served), key) {
		s.braked[key] = struct{}{}
	} else {
		delete(s.braked, key)
	}
	if samePart(servedContents(s.served), s.compiled.Contents(), key) {
		delete(s.pending, key)
	} else {
		s.pending[key] = struct{}{}
	}
}

// compareAll makes pending anew.
func (s *state) compareAll() {
	maps.Copy(s.unreported, s.pending)
	clear(s.pending)
	clear(s.braked)
	for _, contents := range []*datafile.Contents{s.compiled.Contents(), servedContents(s.served)} {
		for part := range contents.Flags.All() {
			s.comparePart(part.Key)
		}
	}
	maps.Copy(s.unreported, s.pending)
}

// revision is the served revision, and 0 where nothing is published yet or nothing was read.
func (s *state) revision() int64 {
	if s.served == nil {
		return 0
	}
	return s.served.Revision
}

// unfit are the keys, in order, of flags whose changes wait for room in the datafile.
func (s *state) unfit() []string {
	if s.compiled == nil || s.stopped {
		return nil
	}
	flags, _ := s.compiled.TooLarge()
	flags = append(flags, s.compiled.LeftOut()...)
	slices.Sort(flags)
	return flags
}

// keeps reports whether a flag, by its key, or an audience keeps its last good form.
func (s *state) keeps(kind, name string) bool {
	switch {
	case s.compiled == nil:
		return false
	case kind == flagKind:
		return s.compiled.IsLastGood(name)
	}
	return kind == audienceKind && s.compiled.IsLastGoodAudience(name)
}

// isServed reports whether all of what is compiled is served, and nothing else.
func (s *state) isServed() bool {
	return s.served != nil && s.served.Digest == s.digest && len(s.pending) == 0
}

// mustRead reports whether the served ConfigMap, which is to have that name, must be read before anything is decided.
func (s *state) mustRead(name string) bool {
	if s.served == nil || s.reload {
		return true
	}
	return s.served.ResourceVersion() != "" && !s.served.Named(name)
}

// recordRead notes what the ConfigMaps of the environment say. Where neither the served one nor its history is left,
// what memory has is served again.
func (s *state) recordRead(served *publish.Served) {
	s.reload = false
	if s.served == nil {
		s.compiled = nil // It was compiled without knowing what it takes over, of which flags may be missing.
	}
	if s.served != nil && served.Revision == 0 {
		served = s.served.Lost(served)
	}
	if s.served != nil {
		served.Remember(s.served)
	}
	s.served = served
	if s.compiled != nil {
		s.compiled.SetPublished(served.Contents)
		s.share()
		s.compareAll()
	}
}

// share makes what is served hold the parts that are compiled, where they are the same.
func (s *state) share() {
	if s.served != nil && s.served.Contents != nil {
		s.served.Contents = s.compiled.SharePublished()
	}
}

// settle compiles what was set and removed, and reports whether that changed what is to be published.
func (s *state) settle(isFirst, specChanged bool, formats []v1alpha1.DatafileFormat) (changed bool) {
	return s.recordCompiled(s.compiled.Compile(), isFirst, specChanged, formats)
}

// recordCompiled notes what a Compile brought about, and reports whether that changed what is to be published.
func (s *state) recordCompiled(
	changes compile.Changes,
	isFirst, specChanged bool,
	formats []v1alpha1.DatafileFormat,
) (changed bool) {
	for _, flagKey := range changes.Keys {
		s.comparePart(flagKey)
		s.unreported[flagKey] = struct{}{}
	}
	if isFirst {
		s.share()
		s.compareAll()
	}
	if changed = changes.Contents || isFirst; changed || specChanged {
		content := publish.Content{Contents: s.compiled.Contents(), Flagd: s.compiled.Flagd()}
		s.digest = content.Digest(formats)
	}
	return changed
}

// recordAnswered notes the publish request that was answered, if any.
func (s *state) recordAnswered(request string) {
	if request != "" {
		s.handledRequest, s.waiting = request, nil
	}
}

// recordWaiting notes what a publish request asks for that has to wait, when it is seen first.
func (s *state) recordWaiting(f facts) {
	switch {
	case f.request == "":
		s.waiting = nil
	case waits(f) && f.requestedDigest == "" && f.compiledDigest != "":
		s.waiting = &v1alpha1.WaitingPublish{RequestedAt: f.request, Digest: f.compiledDigest}
	}
}

// recordServed records the published revision and marks the flags that it changed.
func (s *state) recordServed(served *publish.Served) {
	before, candidates := servedContents(s.served), maps.Clone(s.pending)
	if s.served != nil && served.Forged == nil {
		served.Forged = s.served.Forged // Until it is looked at again.
	}
	s.served = served
	s.compiled.SetPublished(served.Contents)
	if served.Digest == s.digest {
		maps.Copy(s.unreported, s.pending)
		clear(s.pending)
		clear(s.braked)
	} else {
		s.compareAll()
		maps.Copy(candidates, s.pending)
	}
	for key := range candidates {
		if !samePart(before, servedContents(served), key) {
			s.changed[key] = served.Revision
		}
	}
}

func servedContents(served *publish.Served) *datafile.Contents {
	if served == nil || served.Contents == nil {
		return &datafile.Contents{}
	}
	return served.Contents
}

func samePart(a, b *datafile.Contents, key string) bool {
	partA, inA := a.Flags.Get(key)
	partB, inB := b.Flags.Get(key)
	return inA == inB && partA.Digest == partB.Digest
}

// report writes the unreported flags into the ledger.
func (s *state) report(to *topics.Ledger, key types.NamespacedName) {
	environment := topics.Environment{}
	if s.served != nil {
		environment.Revision, environment.BreakGlass = s.served.Revision, s.served.BreakGlass != nil
	}
	entries := map[string]topics.Entry{}
	for flagKey := range s.unreported {
		_, pending := s.pending[flagKey]
		for i, name := range s.compiled.FlagNames(flagKey) {
			outcome, _ := s.compiled.Outcome(name)
			_, previous, _ := to.Read(key, name)
			if previous.Outcome.UID != outcome.UID {
				previous = topics.Entry{} // Another flag had that name.
			}
			served := outcome.Form
			if pending && i == 0 { // The first one holds the key.
				served = compile.ServedFlag(servedContents(s.served), flagKey)
			}
			entries[name] = topics.Entry{
				Served: served, Outcome: outcome, Pending: pending, Revision: cmp.Or(s.changed[flagKey], previous.Revision),
				WasEnabled: previous.WasEnabled || outcome.Form != nil && outcome.Form.Enabled,
			}
		}
	}
	to.Write(key, environment, entries)
	clear(s.unreported)
	clear(s.changed)
}
