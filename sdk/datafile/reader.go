// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// MaxSize is the size of the largest document that is read, in bytes, decompressed.
	MaxSize = 64 << 20

	// MaxObjects bounds the opening braces of a document that is read: in memory an empty object takes up to a hundred
	// times its bytes.
	MaxObjects = 1 << 20

	// MaxElements bounds its commas.
	MaxElements = 8 << 20

	// MaxConfigMapBytes is how much the values of a ConfigMap hold together; the API server refuses more.
	MaxConfigMapBytes = 1 << 20

	// FileName is the key of the native document in a ConfigMap, and so its file name in a mounted directory.
	FileName = "datafile.json"

	// CompressedFileName is the key of the native document as gzip.
	CompressedFileName = "datafile.json.gz"
)

var (
	// ErrUnknownVersion is returned for a document of a major version that this package does not know.
	ErrUnknownVersion = errors.New("unknown major version of the datafile")

	// ErrTooLarge is returned for a document over MaxSize, MaxObjects or MaxElements.
	ErrTooLarge = fmt.Errorf(
		"datafile has more than %d bytes, %d objects or %d elements",
		MaxSize,
		MaxObjects,
		MaxElements,
	)
)

// wireDocument is the document as encoding/json reads it.
type wireDocument struct {
	Audiences     map[string]json.RawMessage `json:"audiences"`
	Compressed    string                     `json:"compressed"`
	Environment   string                     `json:"environment"`
	Events        map[string]json.RawMessage `json:"events"`
	Flags         map[string]json.RawMessage `json:"flags"`
	Project       string                     `json:"project"`
	Revision      int64                      `json:"revision"`
	SchemaVersion string                     `json:"schemaVersion"`
}

// Decode reads a document's header and parts, of which it makes no sense. A document that is only a header has no
// parts. It fails with ErrUnknownVersion or ErrTooLarge, or where data is not a document: not JSON, without a version,
// or with a part that is no object.
func Decode(data []byte) (Header, *Contents, error) {
	if err := CheckSize(data); err != nil {
		return Header{}, nil, err
	}
	var wire wireDocument
	if err := json.Unmarshal(data, &wire); err != nil {
		// A document of another major version may have another form.
		var known struct {
			SchemaVersion string `json:"schemaVersion"`
		}
		if json.Unmarshal(data, &known) == nil && known.SchemaVersion != "" {
			err = cmp.Or(checkVersion(known.SchemaVersion), err)
		}
		return Header{}, nil, fmt.Errorf("read datafile: %w", err)
	}
	header := Header{
		Compressed: wire.Compressed, Environment: wire.Environment, Project: wire.Project,
		Revision: wire.Revision, SchemaVersion: wire.SchemaVersion,
	}
	if wire.SchemaVersion == "" {
		return header, nil, errors.New("read datafile: it has no schemaVersion")
	}
	if err := checkVersion(wire.SchemaVersion); err != nil {
		return header, nil, err
	}
	contents := &Contents{}
	for _, section := range []struct {
		kind string
		from map[string]json.RawMessage
		to   *Section
	}{
		{"flag", wire.Flags, &contents.Flags},
		{"audience", wire.Audiences, &contents.Audiences},
		{"event", wire.Events, &contents.Events},
	} {
		for key, part := range section.from {
			if len(part) == 0 || part[0] != '{' {
				return header, nil, fmt.Errorf("read datafile: %s %q is no object", section.kind, key)
			}
		}
		section.to.fill(section.from)
	}
	return header, contents, nil
}

// CheckSize fails with ErrTooLarge for a document that Decode does not read.
func CheckSize(data []byte) error {
	if len(data) > MaxSize || bytes.Count(data, []byte{'{'}) > MaxObjects || bytes.Count(data, []byte{','}) > MaxElements {
		return ErrTooLarge
	}
	return nil
}

func checkVersion(version string) error {
	major, _, _ := strings.Cut(version, ".")
	if wantMajor, _, _ := strings.Cut(SchemaVersion, "."); major != wantMajor {
		return fmt.Errorf("%w: %q, want %s.x", ErrUnknownVersion, version, wantMajor)
	}
	return nil
}

// Read reads a whole document. It fails where Decode does, and where a part is not what its section holds.
func Read(data []byte) (*Document, error) {
	header, contents, err := Decode(data)
	if err != nil {
		return nil, err
	}
	if header.Compressed != "" {
		return nil, fmt.Errorf("read datafile: it is only a header; the whole is in %s", header.Compressed)
	}
	document, err := contents.Document()
	if err != nil {
		return nil, err
	}
	document.Header = header
	return document, nil
}

// Document reads every part. It fails where a part is not what its section holds.
func (c *Contents) Document() (*Document, error) {
	document := &Document{}
	var err error
	if document.Flags, err = readParts[Flag](&c.Flags, "flag"); err != nil {
		return nil, err
	}
	if document.Audiences, err = readParts[Audience](&c.Audiences, "audience"); err != nil {
		return nil, err
	}
	if document.Events, err = readParts[Event](&c.Events, "event"); err != nil {
		return nil, err
	}
	return document, nil
}

func readParts[T any](section *Section, kind string) (map[string]*T, error) {
	parts := make(map[string]*T, section.Len())
	for part := range section.All() {
		value := new(T)
		if err := json.Unmarshal(part.JSON, value); err != nil {
			return nil, fmt.Errorf("read datafile: %s %q: %w", kind, part.Key, err)
		}
		parts[part.Key] = value
	}
	return parts, nil
}

// Compress returns data as gzip, the same bytes for the same data.
func Compress(data []byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	if _, err := writer.Write(data); err != nil {
		return nil, fmt.Errorf("compress datafile: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compress datafile: %w", err)
	}
	return buffer.Bytes(), nil
}

// Decompress returns what Compress was given. It fails with ErrTooLarge where that is over MaxSize, before holding more
// than that.
func Decompress(data []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decompress datafile: %w", err)
	}
	var plain bytes.Buffer
	plain.Grow(declaredSize(data) + bytes.MinRead)
	if _, err := plain.ReadFrom(io.LimitReader(reader, MaxSize+1)); err != nil {
		return nil, fmt.Errorf("decompress datafile: %w", err)
	}
	if plain.Len() > MaxSize {
		return nil, ErrTooLarge
	}
	return plain.Bytes(), nil
}

// declaredSize is the size in bytes that the last member of gzip data says it has decompressed (RFC 1952, ISIZE), as
// far as deflate can reach it and as it is read: a byte decompresses to at most 1032. It is a hint: earlier members add
// to it, and it may lie.
func declaredSize(data []byte) int {
	const trailer, ratio = 4, 1032
	if len(data) < trailer {
		return 0
	}
	size := binary.LittleEndian.Uint32(data[len(data)-trailer:])
	return int(min(int64(size), ratio*int64(len(data)), MaxSize))
}
