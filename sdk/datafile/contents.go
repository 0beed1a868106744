// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Part is one flag, audience or event of a document in its canonical JSON.
type Part struct {
	// Key is the flag's or event's key, or the audience's name.
	Key string
	// JSON is the canonical JSON. It must not be changed.
	JSON []byte
	// Digest is the SHA-256 of JSON.
	Digest [sha256.Size]byte
}

// NewPart encodes value, a *Flag, *Audience or *Event, as a Part. It fails where value holds raw JSON that is
// malformed.
func NewPart(key string, value any) (Part, error) {
	data, err := marshal(value)
	if err != nil {
		return Part{}, fmt.Errorf("part %q: %w", key, err)
	}
	return RawPart(key, data), nil
}

// RawPart makes a Part of JSON that is already canonical.
func RawPart(key string, data []byte) Part {
	return Part{Key: key, JSON: data, Digest: sha256.Sum256(data)}
}

// Section is a set of parts ordered by key. The zero Section is empty and ready to use. It is not safe for concurrent
// use.
type Section struct {
	parts []Part
	bytes int
}

func (s *Section) search(key string) (int, bool) {
	return slices.BinarySearchFunc(s.parts, key, func(part Part, key string) int { return strings.Compare(part.Key, key) })
}

// Put adds part, or replaces the part of the same key. It reports whether the section changed.
func (s *Section) Put(part Part) bool {
	i, found := s.search(part.Key)
	if !found {
		s.parts = slices.Insert(s.parts, i, part)
		s.bytes += len(part.Key) + len(part.JSON)
		return true
	}
	if s.parts[i].Digest == part.Digest {
		return false
	}
	s.bytes += len(part.JSON) - len(s.parts[i].JSON)
	s.parts[i] = part
	return true
}

// Delete removes the part of that key. It reports whether there was one.
func (s *Section) Delete(key string) bool {
	i, found := s.search(key)
	if found {
		s.bytes -= len(key) + len(s.parts[i].JSON)
		s.parts = slices.Delete(s.parts, i, i+1)
	}
	return found
}

// Get returns the part of that key, and whether there is one.
func (s *Section) Get(key string) (Part, bool) {
	i, found := s.search(key)
	if !found {
		return Part{}, false
	}
	return s.parts[i], true
}

// Size is how many bytes of JSON the section takes at most, where no key needs escaping.
func (s *Section) Size() int { return s.bytes + 4*len(s.parts) + 2 }

// Len is the number of parts.
func (s *Section) Len() int { return len(s.parts) }

// All yields the parts by key.
func (s *Section) All() iter.Seq[Part] { return slices.Values(s.parts) }

// Clone returns a copy that shares the parts' bytes.
func (s *Section) Clone() Section { return Section{parts: slices.Clone(s.parts), bytes: s.bytes} }

// AppendJSON appends the section as one canonical JSON object.
func (s *Section) AppendJSON(data []byte) []byte {
	data = slices.Grow(data, s.bytes+4*len(s.parts)+2)
	data = append(data, '{')
	for i, part := range s.parts {
		if i > 0 {
			data = append(data, ',')
		}
		data = appendString(data, part.Key)
		data = append(data, ':')
		data = append(data, part.JSON...)
	}
	return append(data, '}')
}

// Contents is all of a document but its header.
type Contents struct {
	// Flags are the flags by key.
	Flags Section
	// Audiences are the audiences by name.
	Audiences Section
	// Events are the events by key.
	Events Section
}

// Clone returns a copy that shares the parts' bytes.
func (c *Contents) Clone() *Contents {
	return &Contents{Flags: c.Flags.Clone(), Audiences: c.Audiences.Clone(), Events: c.Events.Clone()}
}

// Size is how many bytes of JSON the sections take at most, where no key needs escaping.
func (c *Contents) Size() int { return c.Flags.Size() + c.Audiences.Size() + c.Events.Size() }

// Digest is "sha256:" and the SHA-256, in hexadecimal, over the digests of all parts in order, those of further
// sections last. Equal digests mean equal parts.
func (c *Contents) Digest(further ...*Section) string {
	sum := sha256.New()
	for _, section := range append([]*Section{&c.Flags, &c.Audiences, &c.Events}, further...) {
		section.hash(sum)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// hash writes the number of parts, then of each part the length of its key, the key and its digest, so that no two
// sections write the same bytes.
func (s *Section) hash(sum hash.Hash) {
	_, _ = io.WriteString(sum, strconv.Itoa(len(s.parts))+"\n")
	for i := range s.parts {
		_, _ = io.WriteString(sum, strconv.Itoa(len(s.parts[i].Key))+" "+s.parts[i].Key)
		_, _ = sum.Write(s.parts[i].Digest[:])
	}
}

// Encode returns the document's canonical JSON.
func (c *Contents) Encode(header Header) []byte {
	data := make(
		[]byte,
		0,
		256+c.Flags.bytes+c.Audiences.bytes+c.Events.bytes+4*(c.Flags.Len()+c.Audiences.Len()+c.Events.Len()),
	)
	data = append(data, `{"audiences":`...)
	data = c.Audiences.AppendJSON(data)
	data = appendHeaderField(data, `,"environment":`, header.Environment)
	data = append(data, `,"events":`...)
	data = c.Events.AppendJSON(data)
	data = append(data, `,"flags":`...)
	data = c.Flags.AppendJSON(data)
	return append(appendHeaderTail(data, header), '}')
}

// EncodeHeader returns the canonical JSON of a document that is only a header; header.Compressed names where the whole
// is.
func EncodeHeader(header Header) []byte {
	data := appendHeaderField(nil, `{"compressed":`, header.Compressed)
	data = appendHeaderField(data, `,"environment":`, header.Environment)
	return append(appendHeaderTail(data, header), '}')
}

func appendHeaderTail(data []byte, header Header) []byte {
	data = appendHeaderField(data, `,"project":`, header.Project)
	data = append(data, `,"revision":`...)
	data = strconv.AppendInt(data, header.Revision, 10)
	return appendHeaderField(data, `,"schemaVersion":`, SchemaVersion)
}

func appendHeaderField(data []byte, name, value string) []byte {
	return appendString(append(data, name...), value)
}

// appendString appends s as a JSON string.
func appendString(data []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			encoded, err := marshal(s)
			if err != nil {
				return append(data, `""`...) // Unreachable: every Go string has a JSON form.
			}
			return append(data, encoded...)
		}
	}
	data = append(data, '"')
	data = append(data, s...)
	return append(data, '"')
}

// fill makes the section hold exactly the given parts.
func (s *Section) fill(parts map[string]json.RawMessage) {
	s.parts = make([]Part, 0, len(parts))
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		s.parts = append(s.parts, RawPart(key, parts[key]))
		s.bytes += len(key) + len(parts[key])
	}
}
