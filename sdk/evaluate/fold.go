// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// foldedTexts is the predicate of EqualFold.
type foldedTexts []string

func newFoldedTexts(values []string) (predicate, error) { return foldedTexts(values), nil }

func (p foldedTexts) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	for _, other := range p {
		if strings.EqualFold(s, other) {
			return true
		}
	}
	return false
}

// foldedParts is the predicate of ContainsFold. Its texts are folded.
type foldedParts [][]byte

// foldedOnStack is the size of a text that is folded without allocating, in bytes.
const foldedOnStack = 4 << 10

func newFoldedParts(values []string) (predicate, error) {
	folded := make(foldedParts, len(values))
	for i, value := range values {
		folded[i] = appendFolded(nil, value)
	}
	return folded, nil
}

func (p foldedParts) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	// Comparing in place would take time in proportion to the product of both lengths.
	var buffer [foldedOnStack]byte
	folded := appendFolded(buffer[:0], s)
	for _, part := range p {
		if bytes.Contains(folded, part) {
			return true
		}
	}
	return false
}

func appendFolded(to []byte, s string) []byte {
	for _, r := range s {
		to = utf8.AppendRune(to, fold(r))
	}
	return to
}

// fold returns the smallest of the characters that differ from r only in case, which are those of strings.EqualFold.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}
	smallest := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		smallest = min(smallest, other)
	}
	return smallest
}
