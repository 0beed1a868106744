// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish writes datafiles into ConfigMaps: how their files are laid out, how revisions are numbered, and which
// history is kept.
package publish

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

const (
	// CompressBytes is the size from which the native document is compressed where compression is Auto.
	CompressBytes = 900 << 10
)

// Content is what is to be published.
type Content struct {
	// Contents are the parts of the native document.
	Contents *datafile.Contents
	// Flagd holds the flagd definitions by flag key.
	Flagd *datafile.Section
	// Document returns Contents as readers have it.
	Document func() *datafile.Document
}

// Digest is the digest of the content in the given formats.
func (c Content) Digest(formats []v1alpha1.DatafileFormat) string {
	if slices.Contains(formats, v1alpha1.DatafileFormatFlagd) {
		return c.Contents.Digest(c.Flagd)
	}
	return c.Contents.Digest()
}

// Files are the values of a ConfigMap.
type Files struct {
	Text   map[string]string
	Binary map[string][]byte
}

// Bytes is the size of all values together.
func (f Files) Bytes() int {
	total := 0
	for _, value := range f.Text {
		total += len(value)
	}
	for _, value := range f.Binary {
		total += len(value)
	}
	return total
}

// Compressed reports whether the native document is compressed.
func (f Files) Compressed() bool {
	_, ok := f.Binary[datafile.CompressedFileName]
	return ok
}

// Equal reports whether both have the same values.
func (f Files) Equal(other Files) bool {
	return maps.Equal(f.Text, other.Text) && maps.EqualFunc(f.Binary, other.Binary, bytes.Equal)
}

// Only returns the files that the given formats ask for.
func (f Files) Only(formats []v1alpha1.DatafileFormat) Files {
	only := Files{Text: maps.Clone(f.Text), Binary: maps.Clone(f.Binary)}
	if !slices.Contains(formats, v1alpha1.DatafileFormatFlagd) {
		delete(only.Text, flagd.FileName)
	}
	if !slices.Contains(formats, v1alpha1.DatafileFormatNative) {
		delete(only.Text, datafile.FileName)
		delete(only.Binary, datafile.CompressedFileName)
	}
	return only
}

// Native returns the native document, decompressed. It is nil where the files hold none.
func (f Files) Native() ([]byte, error) {
	return ownership.Native(&corev1.ConfigMap{Data: f.Text, BinaryData: f.Binary})
}

// TooLargeError says that a datafile does not fit into a ConfigMap.
type TooLargeError struct {
	// Bytes is the size of the smallest form of the datafile.
	Bytes int
	// Largest are the keys of the ten largest flags, with their sizes, largest first.
	Largest []string
}

// Error says size, limit, the largest flags and what to do.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf(
		"the datafile has %d bytes and a ConfigMap holds %d; split the project or move members out of audiences; the largest flags are %s",
		e.Bytes,
		datafile.MaxConfigMapBytes,
		strings.Join(e.Largest, ", "),
	)
}

// UnreadableError says that no reader would take a datafile.
type UnreadableError struct{ Err error }

// Error says why, and what to do.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("no reader would take the datafile: %s; change that or split the project", e.Err)
}

// Unwrap returns why.
func (e *UnreadableError) Unwrap() error { return e.Err }

// checkReadable makes sure that readers take what is to be published, for they refuse a document as a whole. What is
// wrong with a flag by itself keeps only that flag out; what all of them make together is looked at where there is
// cause, for that takes time in proportion to the number of flags.
func checkReadable(native []byte, content Content) error {
	err := datafile.CheckSize(native)
	if err == nil &&
		(bytes.Contains(native, []byte(`Matches"`)) || content.Contents.Flags.Len() > evaluate.MaxPrerequisiteDepth) {
		_, err = evaluate.New(content.Document())
	}
	if err != nil {
		return &UnreadableError{err}
	}
	return nil
}

// Layout encodes content as the files of one revision. It always makes the native document, which the history needs;
// Only leaves out what is not asked for. Where the flagd file does not fit, it keeps the one of previous and reports it
// as incomplete. It fails with a *TooLargeError where nothing fits, and with an *UnreadableError where no reader would
// take it.
func Layout(
	header datafile.Header,
	content Content,
	spec v1alpha1.Datafile,
	previous Files,
) (files Files, flagdComplete bool, err error) {
	native := content.Contents.Encode(header)
	if err := checkReadable(native, content); err != nil {
		return Files{}, false, err
	}
	var flagdFile string
	wantFlagd := slices.Contains(spec.Formats, v1alpha1.DatafileFormatFlagd)
	if wantFlagd {
		flagdFile = string(flagd.Encode(header, content.Flagd))
	}
	files, err = layoutNative(header, native, len(flagdFile), spec.Compression)
	if err != nil || !wantFlagd {
		return files, !wantFlagd, checkSize(files, content, err)
	}
	if files.Bytes()+len(flagdFile) <= datafile.MaxConfigMapBytes {
		files.Text[flagd.FileName] = flagdFile
		return files, true, nil
	}
	if kept, ok := previous.Text[flagd.FileName]; ok {
		files.Text[flagd.FileName] = kept
	}
	return files, false, checkSize(files, content, nil)
}

func layoutNative(header datafile.Header, native []byte, others int, compression v1alpha1.Compression) (Files, error) {
	compress := compression == v1alpha1.CompressionAlways ||
		compression != v1alpha1.CompressionNever && len(native)+others > CompressBytes
	if !compress {
		return Files{Text: map[string]string{datafile.FileName: string(native)}}, nil
	}
	compressed, err := datafile.Compress(native)
	if err != nil {
		return Files{}, err
	}
	header.Compressed = datafile.CompressedFileName
	return Files{
		Text:   map[string]string{datafile.FileName: string(datafile.EncodeHeader(header))},
		Binary: map[string][]byte{datafile.CompressedFileName: compressed},
	}, nil
}

func checkSize(files Files, content Content, err error) error {
	if err != nil || files.Bytes() <= datafile.MaxConfigMapBytes {
		return err
	}
	parts := slices.Collect(content.Contents.Flags.All())
	slices.SortFunc(parts, func(a, b datafile.Part) int {
		return cmp.Or(cmp.Compare(len(b.JSON), len(a.JSON)), cmp.Compare(a.Key, b.Key))
	})
	tooLarge := &TooLargeError{Bytes: files.Bytes()}
	for _, part := range parts[:min(len(parts), 10)] {
		tooLarge.Largest = append(tooLarge.Largest, fmt.Sprintf("%s (%d)", part.Key, len(part.JSON)))
	}
	return tooLarge
}
