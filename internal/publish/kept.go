// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// A flagd file that is kept from an earlier revision answers as that revision did. What has been switched off or archived
// since must be so in it all the same: else a brake reaches nobody who reads it.

// OffInFlagd reports whether every flag that is off in what is served is off in its flagd file too, and every flag that is
// not served is not in it. That is false of a flagd file that an operator kept which did not switch off flags in it.
func (s *Served) OffInFlagd() bool {
	file := s.Files.Text[flagd.FileName]
	if s.FlagdComplete || file == "" || s.Contents == nil {
		return true
	}
	document, err := s.Contents.Document()
	return err == nil && switchedOff(file, document, len(file)) == file
}

// switchedOff returns a flagd file with those flags off that are off in the document, or that a prerequisite which is
// off keeps off, and without those that the document does not serve, such as archived ones. All else stays byte for byte as
// the operator wrote it. Where the result is larger than room, entries that would grow are left out, so that it is no larger
// than file: the code's default is served of them.
func switchedOff(file string, document *datafile.Document, room int) string {
	var members, entries map[string]json.RawMessage
	if json.Unmarshal([]byte(file), &members) != nil || json.Unmarshal(members["flags"], &entries) != nil {
		return file // Nobody can read it.
	}
	finder := offFinder{document: document, found: map[string]bool{}}
	off := map[string][]byte{}
	for key, entry := range entries {
		if flag := document.Flags[key]; flag == nil || flag.Retained {
			off[key] = nil
			continue
		}
		if !finder.isOff(key) {
			continue
		}
		if form := offEntry(key, entry, document.Flags[key]); !bytes.Equal(form, entry) {
			off[key] = form
		}
	}
	if len(off) == 0 {
		return file
	}
	write := func(mayGrow bool) string {
		section := &datafile.Section{}
		for key, entry := range entries {
			if form, is := off[key]; is {
				if form == nil || !mayGrow && len(form) > len(entry) {
					continue
				}
				entry = form
			}
			section.Put(datafile.RawPart(key, entry))
		}
		written := maps.Clone(members)
		written["flags"] = section.AppendJSON(nil)
		return string(rawObject(written))
	}
	if grown := write(true); len(grown) <= room {
		return grown
	}
	return write(false)
}

// offEntry is the entry of a flagd file for a flag that is off: as it is, without its targeting, where it has the
// variation that the flag serves now, else as the flag's definition with that variation alone. It is nil where flagd
// cannot say that.
func offEntry(key string, entry []byte, flag *datafile.Flag) []byte {
	var members, variants map[string]json.RawMessage
	if json.Unmarshal(entry, &members) == nil && json.Unmarshal(members["variants"], &variants) == nil {
		_, hasTargeting := members["targeting"]
		var before string
		_ = json.Unmarshal(members["defaultVariant"], &before) // Another one than a string is none.
		_, hasDefault := members["defaultVariant"]
		_, has := variants[flag.DefaultVariation]
		switch {
		case flag.CodeDefault && !hasTargeting && !hasDefault,
			!flag.CodeDefault && has && !hasTargeting && before == flag.DefaultVariation:
			return entry
		case flag.CodeDefault:
			delete(members, "targeting")
			delete(members, "defaultVariant")
			return rawObject(members)
		case has:
			delete(members, "targeting")
			members["defaultVariant"] = appendText(nil, flag.DefaultVariation)
			return rawObject(members)
		}
	}
	alone := *flag
	alone.Enabled, alone.Retained = false, false
	alone.Variations = slices.DeleteFunc(slices.Clone(flag.Variations), func(variation datafile.Variation) bool {
		return variation.Key != flag.DefaultVariation
	})
	definition, err := flagd.Definition(oneFlag{&alone}, key)
	if err != nil {
		return nil
	}
	return definition
}

// rawObject is the JSON object of members that are JSON themselves, in the order of their names.
func rawObject(members map[string]json.RawMessage) []byte {
	data := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(append(appendText(data, name), ':'), members[name]...)
	}
	return append(data, '}')
}

// appendText appends text as JSON, in which HTML needs no escapes.
func appendText(data []byte, text string) []byte {
	var encoded strings.Builder
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // Every string has a JSON form.
	return append(data, strings.TrimSuffix(encoded.String(), "\n")...)
}

// oneFlag is a flag that refers to nothing, as flagd.Source.
type oneFlag struct{ flag *datafile.Flag }

func (o oneFlag) Flag(string) (*datafile.Flag, bool)         { return o.flag, true }
func (o oneFlag) Audience(string) (*datafile.Audience, bool) { return nil, false }

// offFinder finds the flags of a document that serve to nobody more than their default variation.
type offFinder struct {
	document *datafile.Document
	found    map[string]bool
}

// isOff reports whether a flag of the document is off, or requires of a flag that is off another variation than that
// one serves.
func (f *offFinder) isOff(key string) bool {
	flag, has := f.document.Flags[key]
	if !has {
		return false
	}
	if is, known := f.found[key]; known {
		return is
	}
	f.found[key] = false // Ends a cycle, which no reader takes.
	is := !flag.Enabled || slices.ContainsFunc(flag.Prerequisites, func(required datafile.Prerequisite) bool {
		other, has := f.document.Flags[required.Flag]
		return has && f.isOff(required.Flag) &&
			(other.CodeDefault || !slices.Contains(required.Variations, other.DefaultVariation))
	})
	f.found[key] = is
	return is
}
