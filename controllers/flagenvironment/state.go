// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"cmp"
	"maps"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// state is what the controller keeps in memory of one environment between reconciles. All of it can be made again from
// the resources and from what is published. Only the worker that reconciles the environment uses it.
type state struct {
	// compiled is nil until the environment is compiled for the first time.
	compiled *compile.Environment
	// served is what the environment serves as far as is known, and nil until it was read.
	served *publish.Served
	// reload says that served must be read again, because a write failed or somebody else wrote.
	reload bool
	// digest is that of the compiled content in the formats asked for.
	digest string
	// pending are the keys of flags whose part is not what is served.
	pending map[string]struct{}
	// unreported are the keys of flags whose ledger entries are not up to date.
	unreported map[string]struct{}
	// changed are the revisions that changed the parts of flags, by flag key, as far as the ledger does not have them yet.
	changed map[string]int64
	// handledRequest is the publish request that was answered last. The cache may show a status from before that, and what
	// is edited meanwhile waits for a request of its own.
	handledRequest string
	// pace spaces publishes out.
	pace pace
}

func newState() *state {
	return &state{pending: map[string]struct{}{}, unreported: map[string]struct{}{}, changed: map[string]int64{}}
}

// content is a copy of what is compiled, for publishing.
func (s *state) content() publish.Content {
	flagd := s.compiled.Flagd().Clone()
	return publish.Content{Contents: s.compiled.Contents().Clone(), Flagd: &flagd, Document: s.compiled.Document}
}

// comparePart updates pending for one flag key.
func (s *state) comparePart(key string) {
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
	for _, contents := range []*datafile.Contents{s.compiled.Contents(), servedContents(s.served)} {
		for part := range contents.Flags.All() {
			s.comparePart(part.Key)
		}
	}
	maps.Copy(s.unreported, s.pending)
}

// take makes served what is served, and notes whose part that changed.
func (s *state) take(served *publish.Served) {
	before, candidates := servedContents(s.served), maps.Clone(s.pending)
	if s.served != nil && served.Forged == nil {
		served.Forged = s.served.Forged // Until it is looked at again.
	}
	s.served = served
	s.compiled.SetPublished(served.Contents)
	if served.Digest == s.digest {
		maps.Copy(s.unreported, s.pending)
		clear(s.pending)
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
func (s *state) report(to *topics.Ledger, key types.NamespacedName, automatic bool) {
	environment := topics.Environment{Automatic: automatic}
	if s.served != nil {
		environment.Revision = s.served.Revision
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
