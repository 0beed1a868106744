// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quote makes text that others wrote safe to print on terminals and in the logs of CI systems: names, messages
// and values keep what they say, and cannot act.
package quote

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// Line returns text as a part of one line: line breaks and tabs are escaped with all that Text escapes.
func Line(text string) string { return escape(text, false) }

// Text returns text that may have several lines. Escaped, as in Go's strings, is what is not visible: control
// characters and with them the escape sequences of terminals, characters that change the direction of text or have no
// width, and bytes that are not UTF-8. So is the beginning of what CI systems take for a command: "::" at the start of
// a line, and "##[", "##vso[" and "##teamcity[" anywhere.
func Text(text string) string { return escape(text, true) }

var (
	// lineCommand is how GitHub's runner finds a workflow command; it drops the space before it.
	lineCommand = regexp.MustCompile(`(?m)^([\s\p{Z}]*):(:)`)
	// wordCommand is how GitHub's older runners, Azure Pipelines and TeamCity find a command.
	wordCommand = regexp.MustCompile(`(?i)#(#(?:vso|teamcity)?\[)`)
)

func escape(text string, lines bool) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case lines && (r == '\n' || r == '\t'), unicode.IsGraphic(r):
			b.WriteRune(r)
		default:
			b.WriteString(escaped(r))
		}
		rest = rest[size:]
	}
	text = lineCommand.ReplaceAllString(b.String(), `$1\x3a$2`)
	return wordCommand.ReplaceAllString(text, `\x23$1`)
}

// isPlain reports whether there is nothing to escape in text, as in most.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == ':' || c == '#' {
			return false
		}
	}
	return true
}

func escaped(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\t':
		return `\t`
	case r == '\r':
		return `\r`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}

// Writer returns a writer that passes on what is written as Text. Each write must hold whole lines.
func Writer(to io.Writer) io.Writer { return writer{to} }

type writer struct{ to io.Writer }

func (w writer) Write(data []byte) (int, error) {
	if _, err := io.WriteString(w.to, Text(string(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// JSON returns a JSON document that says the same, with the characters that Text escapes as escapes of JSON. They can
// only be in its strings.
func JSON(document []byte) []byte {
	return escapeStrings(document, func(r rune) string {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	})
}

// escapeStrings escapes what is in the strings of a JSON document; beyond writes characters that need more than 16
// bits.
func escapeStrings(document []byte, beyond func(rune) string) []byte {
	var b bytes.Buffer
	for rest := document; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\n' || r == '\t' || r == '\r' || unicode.IsGraphic(r):
			b.Write(rest[:size])
		case r >= 0x10000:
			b.WriteString(beyond(r))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	return wordCommand.ReplaceAll(b.Bytes(), []byte(`\u0023$1`))
}

// YAML writes a value as YAML. Where Text would escape anything in that, all of it is in the style of JSON, whose
// strings have escapes for everything.
func YAML(value any) ([]byte, error) {
	inJSON, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	// YAML knows no surrogates.
	flow := escapeStrings(inJSON, func(r rune) string { return fmt.Sprintf(`\U%08x`, r) })
	block, err := yaml.JSONToYAML(flow)
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	if Text(string(block)) == string(block) {
		return block, nil
	}
	return append(flow, '\n'), nil
}

// XML returns an XML document that says the same, with the characters that Text escapes as references. They can only be
// in its values.
func XML(document []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(document) {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#x%x;", r)
		}
	}
	return wordCommand.ReplaceAll(b.Bytes(), []byte("&#x23;$1"))
}
