// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// filtered is the part of a document that client keys may see: the flags whose runtime is Client or All, without
// metadata, and what these refer to. A flag that requires one of runtime Server is left out, because without that one
// it would have another answer.
type filtered struct {
	document *datafile.Document
	// hasMembers is true where a targeting key stands in the document, as a member of an audience or in an override.
	hasMembers bool
}

// filter reads a native document and filters it.
func filter(native []byte) (*filtered, error) {
	whole, err := datafile.Read(native)
	if err != nil {
		return nil, err
	}
	f := filterer{whole: whole, visible: make(map[string]bool, len(whole.Flags)), to: &datafile.Document{
		Header:    whole.Header,
		Flags:     map[string]*datafile.Flag{},
		Audiences: map[string]*datafile.Audience{},
		Events:    map[string]*datafile.Event{},
	}}
	for key, flag := range whole.Flags {
		if !flag.Retained && f.isVisible(key) {
			f.add(key)
		}
	}
	return &filtered{document: f.to, hasMembers: f.hasMembers}, nil
}

// filterer copies what clients may see. That prerequisites form no cycle is known: the document was prepared before.
type filterer struct {
	whole, to *datafile.Document
	visible   map[string]bool
	// hasMembers is that of filtered.
	hasMembers bool
}

// isVisible reports whether clients may see a flag and all flags that it requires. One that the document does not hold
// hides nothing.
func (f *filterer) isVisible(key string) bool {
	flag, found := f.whole.Flags[key]
	if !found {
		return true
	}
	visible, known := f.visible[key]
	if known {
		return visible
	}
	visible = flag.Runtime != datafile.Server
	for i := range flag.Prerequisites {
		visible = visible && f.isVisible(flag.Prerequisites[i].Flag)
	}
	f.visible[key] = visible
	return visible
}

// add copies a flag, what it refers to and what it requires.
func (f *filterer) add(key string) {
	flag, found := f.whole.Flags[key]
	if _, added := f.to.Flags[key]; added || !found {
		return
	}
	shown := *flag
	shown.Metadata = nil
	f.to.Flags[key] = &shown
	f.hasMembers = f.hasMembers || len(flag.Overrides) > 0
	for i := range flag.Prerequisites {
		f.add(flag.Prerequisites[i].Flag)
	}
	for i := range flag.Rules {
		for _, name := range flag.Rules[i].Audiences {
			if audience, found := f.whole.Audiences[name]; found {
				f.to.Audiences[name] = audience
				f.hasMembers = f.hasMembers || len(audience.Members) > 0
			}
		}
		for _, metric := range flag.Rules[i].Metrics {
			if event, found := f.whole.Events[metric]; found {
				f.to.Events[metric] = event
			}
		}
	}
}

// native encodes the native document.
func (f *filtered) native() ([]byte, error) {
	contents, err := f.contents()
	if err != nil {
		return nil, err
	}
	return contents.Encode(f.document.Header), nil
}

// digest is that of what clients may see, whatever the revision.
func (f *filtered) digest() (string, error) {
	contents, err := f.contents()
	if err != nil {
		return "", err
	}
	return contents.Digest(), nil
}

func (f *filtered) contents() (*datafile.Contents, error) {
	contents := &datafile.Contents{}
	for key, flag := range f.document.Flags {
		if err := put(&contents.Flags, key, flag); err != nil {
			return nil, err
		}
	}
	for name, audience := range f.document.Audiences {
		if err := put(&contents.Audiences, name, audience); err != nil {
			return nil, err
		}
	}
	for key, event := range f.document.Events {
		if err := put(&contents.Events, key, event); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

func put(section *datafile.Section, key string, value any) error {
	part, err := datafile.NewPart(key, value)
	if err != nil {
		return fmt.Errorf("encode datafile: %w", err)
	}
	section.Put(part)
	return nil
}

// flagd makes the flagd file anew: definitions have audiences and prerequisites inlined, and are made of nothing but
// what clients may see. What flagd cannot say is left out, as it is from the published file.
func (f *filtered) flagd() ([]byte, error) {
	definitions := &datafile.Section{}
	for key, flag := range f.document.Flags {
		if flag.Retained {
			continue
		}
		if definition, err := flagd.Definition(f, key); err == nil {
			definitions.Put(datafile.RawPart(key, definition))
		}
	}
	return flagd.Encode(f.document.Header, definitions), nil
}

// Flag returns a flag that clients may see.
func (f *filtered) Flag(key string) (*datafile.Flag, bool) {
	flag, found := f.document.Flags[key]
	return flag, found
}

// Audience returns an audience that clients may see.
func (f *filtered) Audience(name string) (*datafile.Audience, bool) {
	audience, found := f.document.Audiences[name]
	return audience, found
}
