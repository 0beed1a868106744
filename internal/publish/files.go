// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish writes datafiles into ConfigMaps: how their files are laid out, how revisions are numbered, and which
// history is kept.
package publish

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

const (
	// CompressBytes is the size from which the native document is compressed where compression is Auto.
	CompressBytes = 900 << 10
	// headerBytes is more than what is around the parts of both files takes: two headers with two names each.
	headerBytes = 2048
	// BrakeBytes is what every publish but that of a brake leaves of a ConfigMap, for brakes. It holds 100 of them at
	// least, where variations have ASCII names: one takes up to 18 bytes in the native document, and in the flagd file
	// what the name of the default variation is longer than that of the one served before.
	BrakeBytes = 16 << 10
	// maxDraftedBytes is how large the native document may be, before compression, in which there is room for drafts. Text
	// that compresses well takes little of a ConfigMap and much of every replica's memory.
	maxDraftedBytes = 16 << 20
)

// Content is what is to be published.
type Content struct {
	// Contents are the parts of the native document.
	Contents *datafile.Contents
	// Flagd holds the flagd definitions by flag key.
	Flagd *datafile.Section
	// Document returns Contents as readers have it.
	Document func() *datafile.Document
	// PinnedRevision is the revision of the history that this is, with flags forced off, and 0 where it is none.
	PinnedRevision int64
	// Brought are the change records that are published with this.
	Brought history.Brought
	// IsBrake is true where this is what is served, or was, with flags off. It may take what is left for brakes.
	IsBrake bool
}

// limit is how many bytes content may take in place of previous. What has taken of the room for brakes may stay so.
func (c Content) limit(previous Files) int {
	if c.IsBrake {
		return datafile.MaxConfigMapBytes
	}
	return min(max(datafile.MaxConfigMapBytes-BrakeBytes, previous.Bytes()), datafile.MaxConfigMapBytes)
}

// Digest is the digest of the content in the given formats.
func (c Content) Digest(formats []v1alpha1.DatafileFormat) string {
	if slices.Contains(formats, v1alpha1.DatafileFormatFlagd) {
		return c.Contents.Digest(c.Flagd)
	}
	return c.Contents.Digest()
}

// LeavesRoom reports whether a ConfigMap of the environment holds all of content within what drafts may fill. Only in
// production are drafts bounded.
func (c Content) LeavesRoom(environment *v1alpha1.FlagEnvironment) bool {
	if !environment.Spec.Production {
		return true
	}
	spec, size := environment.Spec.Datafile, c.Contents.Size()
	if size > maxDraftedBytes {
		return false
	}
	if slices.Contains(spec.Formats, v1alpha1.DatafileFormatFlagd) {
		size += c.Flagd.Size()
	}
	if size+headerBytes <= validation.DraftBytes {
		return true // Without encoding anything.
	}
	files, flagdComplete, err := Layout(datafile.Header{}, c, spec, Files{})
	return err == nil && flagdComplete && files.Bytes() <= validation.DraftBytes
}

// IsSmall reports, without encoding anything, that content of the environment both leaves room and fits beside the files
// that are served. That of content of which it is false may do so as well.
func (c Content) IsSmall(environment *v1alpha1.FlagEnvironment, served Files) bool {
	size := c.Contents.Size() + c.Flagd.Size() + headerBytes
	return size <= min(validation.DraftBytes, CompressBytes) &&
		size+len(served.Text[flagd.FileName]) <= c.limit(Files{}) || !environment.Spec.Production
}

// Fits reports whether a ConfigMap of the environment holds the native document of content, and readers take one of
// its size. Where the served flagd file is complete, that of content must fit as well. Else the served one may stay
// beside the native document.
func (c Content) Fits(environment *v1alpha1.FlagEnvironment, served Files, flagdComplete bool) bool {
	kept, spec := served.Text[flagd.FileName], environment.Spec.Datafile
	mustHold := flagdComplete && kept != "" && slices.Contains(spec.Formats, v1alpha1.DatafileFormatFlagd)
	size, beside := c.Contents.Size()+headerBytes, len(kept)
	if mustHold {
		beside = c.Flagd.Size()
	}
	if size <= CompressBytes && size+beside <= c.limit(Files{}) {
		return true // Without encoding anything.
	}
	header := datafile.Header{
		Project: environment.Namespace, Environment: environment.Name, Revision: ownership.MaxRevision,
	}
	_, holdsFlagd, err := Layout(header, c, spec, served)
	if err != nil {
		return !HasReason(err, v1alpha1.DatafileTooLargeReason) && !errors.Is(err, datafile.ErrTooLarge)
	}
	return holdsFlagd || !mustHold
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

// checkReadable makes sure that readers accept what is to be published, for they refuse a document as a whole. Only
// what all flags make together is checked: chains of prerequisites and regular expressions. A document that can have
// neither is not prepared, because that takes time in proportion to its size.
func checkReadable(native []byte, content Content) error {
	if err := datafile.CheckSize(native); err != nil {
		return unreadable(err)
	}
	document := content.Document()
	if content.Contents.Flags.Len() <= evaluate.MaxPrerequisiteDepth && !hasExpressions(document) {
		return nil
	}
	if _, err := evaluate.New(document); err != nil {
		return unreadable(err)
	}
	return nil
}

// hasExpressions reports whether any condition of the document is a regular expression.
func hasExpressions(document *datafile.Document) bool {
	inConditions := func(conditions []datafile.Condition) bool {
		return slices.ContainsFunc(conditions, func(condition datafile.Condition) bool {
			return condition.Operator == datafile.Matches || condition.Operator == datafile.NotMatches
		})
	}
	for _, flag := range document.Flags {
		for i := range flag.Rules {
			if inConditions(flag.Rules[i].Conditions) {
				return true
			}
		}
	}
	for _, audience := range document.Audiences {
		for i := range audience.Groups {
			if inConditions(audience.Groups[i].Conditions) {
				return true
			}
		}
	}
	return false
}

// Layout encodes content as the files of one revision. It always makes the native document, which the history needs;
// Only leaves out what is not asked for. Where the flagd file does not fit, it keeps the one of previous, in which it
// switches off what is off in content, and reports it as incomplete. It fails with a *Problem where nothing fits or
// where no reader would accept it.
func Layout(
	header datafile.Header,
	content Content,
	spec v1alpha1.Datafile,
	previous Files,
) (files Files, flagdComplete bool, err error) {
	native, limit := content.Contents.Encode(header), content.limit(previous)
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
		return files, !wantFlagd, checkSize(files, content, limit, err)
	}
	if files.Bytes()+len(flagdFile) <= limit {
		files.Text[flagd.FileName] = flagdFile
		return files, true, nil
	}
	if kept, ok := previous.Text[flagd.FileName]; ok {
		files.Text[flagd.FileName] = switchedOff(kept, content.Document(), limit-files.Bytes())
	}
	return files, false, checkSize(files, content, limit, nil)
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

func checkSize(files Files, content Content, limit int, err error) error {
	if err != nil || files.Bytes() <= limit {
		return err
	}
	parts := slices.Collect(content.Contents.Flags.All())
	slices.SortFunc(parts, func(a, b datafile.Part) int {
		return cmp.Or(cmp.Compare(len(b.JSON), len(a.JSON)), cmp.Compare(a.Key, b.Key))
	})
	var largest []string
	for _, part := range parts[:min(len(parts), 10)] {
		largest = append(largest, fmt.Sprintf("%s (%d)", part.Key, len(part.JSON)))
	}
	return &Problem{Reason: v1alpha1.DatafileTooLargeReason, Message: fmt.Sprintf(
		"the datafile has %d bytes and a ConfigMap holds %d, the last %d of them for brakes; split the project or move "+
			"members out of audiences; the largest flags are %s",
		files.Bytes(), datafile.MaxConfigMapBytes, BrakeBytes, strings.Join(largest, ", "))}
}
