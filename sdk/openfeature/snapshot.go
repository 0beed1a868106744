// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// snapshot is one document, prepared. It never changes.
type snapshot struct {
	header datafile.Header
	// flags are the flags that are served, by key.
	flags map[string]*flag
	// parts is the document, with all that is not served by itself. The next snapshot takes from it what is the same
	// there.
	parts parts
	// described is the metadata that the answers of all flags have with WithAnswerMetadata. It is nil without.
	described openfeature.FlagMetadata
}

// parts are the parts of a document.
type parts struct {
	flags     map[string]part[datafile.Flag]
	audiences map[string]part[datafile.Audience]
	events    map[string]part[datafile.Event]
}

// part is one part of a document and the digest of its JSON.
type part[T any] struct {
	value  *T
	digest [sha256.Size]byte
}

// flag is a flag of a snapshot.
type flag struct {
	engine   *evaluate.Flag
	from     *datafile.Flag
	snapshot *snapshot

	// once guards what follows, which is made when the flag is first asked for: few programs ask for every flag, and a new
	// document is to be served soon.
	once sync.Once
	// undecided is the metadata of an answer, but for those in decided.
	undecided openfeature.FlagMetadata
	// decided is the metadata of an answer by the name of the rule that decided. It is nil without WithAnswerMetadata.
	decided map[string]openfeature.FlagMetadata
}

// describe has the answers carry WithAnswerMetadata's metadata. It comes before the first evaluation.
func (s *snapshot) describe() {
	s.described = openfeature.FlagMetadata{
		MetadataRevision:  s.header.Revision,
		MetadataVersion:   strconv.FormatInt(s.header.Revision, 10),
		MetadataFlagSetID: s.header.SetID(),
	}
}

// newSnapshot prepares a document. What is the same in the snapshot before, which may be nil, is not read again. It
// fails where a part cannot be read or the engine refuses the document.
func newSnapshot(header datafile.Header, contents *datafile.Contents, before *snapshot) (*snapshot, error) {
	if before == nil {
		before = &snapshot{}
	}
	s := &snapshot{header: header}
	document := &datafile.Document{Header: header}
	var err error
	if s.parts.flags, document.Flags, err = readParts(&contents.Flags, before.parts.flags, "flag"); err != nil {
		return nil, err
	}
	if s.parts.audiences, document.Audiences, err = readParts(
		&contents.Audiences,
		before.parts.audiences,
		"audience",
	); err != nil {
		return nil, err
	}
	if s.parts.events, document.Events, err = readParts(&contents.Events, before.parts.events, "event"); err != nil {
		return nil, err
	}
	engine, err := evaluate.New(document)
	if err != nil {
		return nil, err
	}
	s.flags = make(map[string]*flag, engine.Len())
	for prepared := range engine.Flags() {
		s.flags[prepared.Key] = &flag{engine: prepared, from: document.Flags[prepared.Key], snapshot: s}
	}
	return s, nil
}

// readParts reads the parts of a section, but for those that are the same as before.
func readParts[T any](
	section *datafile.Section,
	before map[string]part[T],
	kind string,
) (map[string]part[T], map[string]*T, error) {
	read := make(map[string]part[T], section.Len())
	values := make(map[string]*T, section.Len())
	for from := range section.All() {
		now := part[T]{digest: from.Digest}
		if was, found := before[from.Key]; found && was.digest == now.digest {
			now.value = was.value
		} else {
			now.value = new(T)
			if err := json.Unmarshal(from.JSON, now.value); err != nil {
				return nil, nil, fmt.Errorf("%s %q: %w", kind, from.Key, err)
			}
		}
		read[from.Key], values[from.Key] = now, now.value
	}
	return read, values, nil
}

// metadata is that of an answer that the rule of that name decided, or none where the name is empty.
func (f *flag) metadata(rule string) openfeature.FlagMetadata {
	f.once.Do(f.prepare)
	if f.decided != nil && rule != "" {
		return f.decided[rule]
	}
	return f.undecided
}

func (f *flag) prepare() {
	if len(f.from.Metadata) > 0 {
		f.undecided = make(openfeature.FlagMetadata, len(f.from.Metadata)+len(f.snapshot.described))
		for key, value := range f.from.Metadata {
			f.undecided[key] = value
		}
	}
	if f.snapshot.described == nil {
		return
	}
	if f.undecided == nil {
		f.undecided = f.snapshot.described
	} else {
		delete(f.undecided, MetadataRule) // It says which rule decided, and here none did.
		maps.Copy(f.undecided, f.snapshot.described)
	}
	f.decided = make(map[string]openfeature.FlagMetadata, len(f.from.Rules))
	for i := range f.from.Rules {
		metadata := make(openfeature.FlagMetadata, len(f.undecided)+1)
		maps.Copy(metadata, f.undecided)
		metadata[MetadataRule] = f.from.Rules[i].Name
		f.decided[f.from.Rules[i].Name] = metadata
	}
}

// changedSince returns the keys of the flags that are served now or were served before and whose answers may differ, in
// no order.
func (s *snapshot) changedSince(before *snapshot) []string {
	d := difference{before: before, after: s, flags: make(map[string]bool, len(s.parts.flags))}
	var keys []string
	for key := range s.flags {
		if d.flag(key) {
			keys = append(keys, key)
		}
	}
	for key := range before.flags {
		if _, served := s.flags[key]; !served {
			keys = append(keys, key)
		}
	}
	return keys
}

// difference compares two snapshots.
type difference struct {
	before, after *snapshot
	// flags are the flags that have been compared.
	flags map[string]bool
}

// flag reports whether the answers of a flag may differ. The engine has made sure that prerequisites form no cycle, and
// bounds their depth.
func (d *difference) flag(key string) bool {
	changed, compared := d.flags[key]
	if compared {
		return changed
	}
	before, was := d.before.parts.flags[key]
	after, is := d.after.parts.flags[key]
	changed = was != is || before.digest != after.digest
	if is && !changed {
		changed = d.references(after.value)
	}
	d.flags[key] = changed
	return changed
}

// references reports whether anything that the flag refers to may differ.
func (d *difference) references(flag *datafile.Flag) bool {
	if !flag.Enabled {
		return false // Nothing that it refers to decides. The engine has not looked at it, so there may be cycles.
	}
	for i := range flag.Rules {
		if slices.ContainsFunc(flag.Rules[i].Audiences, d.audience) {
			return true
		}
	}
	return slices.ContainsFunc(flag.Prerequisites, func(p datafile.Prerequisite) bool { return d.flag(p.Flag) })
}

func (d *difference) audience(name string) bool {
	before, was := d.before.parts.audiences[name]
	after, is := d.after.parts.audiences[name]
	return was != is || before.digest != after.digest
}
