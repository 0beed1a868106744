// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// Off returns a flag's form while it is switched off: it answers as it does to everybody whom nothing decides for, by its
// default variation or by leaving the value to the code.
func Off(form *datafile.Flag) *datafile.Flag {
	off := *form
	off.Enabled, off.Schedule = false, nil
	off.Prerequisites, off.Overrides, off.Rules, off.Fallthrough = nil, nil, nil, ""
	return &off
}

// ForcedOff reports whether the flag that holds the key is forced off in the environment. That holds for an archived
// flag too, and for one that does not compile.
func (e *Environment) ForcedOff(key string) bool {
	_, is := e.braked[key]
	return is
}

// ForcedOffKeys returns the keys of the flags that are forced off, in order.
func (e *Environment) ForcedOffKeys() []string { return e.braked.sorted() }

// brake switches off the last good form of a flag that is forced off.
func (e *Environment) brake(key string, held *entry) {
	if !e.ForcedOff(key) || !held.form.Enabled {
		return
	}
	form := Off(held.form)
	if part, err := datafile.NewPart(key, form); err == nil {
		held.form, held.part = form, part
	}
}

// OnAmong returns those of keys whose flag is on in contents, in the order of keys.
func OnAmong(contents *datafile.Contents, keys []string) []string {
	var on []string
	for _, key := range keys {
		if IsOn(contents, key) {
			on = append(on, key)
		}
	}
	return on
}

// IsOn reports whether contents have a flag of that key that is on.
func IsOn(contents *datafile.Contents, key string) bool {
	part, ok := contents.Flags.Get(key)
	if !ok {
		return false
	}
	form, ok := readPart[datafile.Flag](part)
	return ok && form.Enabled
}

// Brake returns contents with the flags of those keys switched off and nothing else changed, as the parts of the native
// document, the flagd definitions, and the document. It fails where contents are not those of a datafile.
func Brake(contents *datafile.Contents, keys []string) (
	*datafile.Contents, *datafile.Section, *datafile.Document, error,
) {
	document, err := contents.Document()
	if err != nil {
		return nil, nil, nil, err
	}
	braked := contents.Clone()
	for _, key := range keys {
		form, ok := document.Flags[key]
		if !ok || !form.Enabled {
			continue
		}
		document.Flags[key] = Off(form)
		part, err := datafile.NewPart(key, document.Flags[key])
		if err != nil {
			return nil, nil, nil, fmt.Errorf("switch off flag %q: %w", key, err)
		}
		braked.Flags.Put(part)
	}
	return braked, definitions(braked, document), document, nil
}

// definitions returns the flagd definitions of a document, without those that flagd cannot express.
func definitions(contents *datafile.Contents, document *datafile.Document) *datafile.Section {
	section := &datafile.Section{}
	for part := range contents.Flags.All() {
		if document.Flags[part.Key].Retained {
			continue
		}
		if definition, err := flagd.Definition(documentSource{document}, part.Key); err == nil {
			section.Put(datafile.RawPart(part.Key, definition))
		}
	}
	return section
}

// documentSource is a document as flagd.Source.
type documentSource struct{ document *datafile.Document }

func (s documentSource) Flag(key string) (*datafile.Flag, bool) {
	flag, ok := s.document.Flags[key]
	return flag, ok
}

func (s documentSource) Audience(name string) (*datafile.Audience, bool) {
	audience, ok := s.document.Audiences[name]
	return audience, ok
}
