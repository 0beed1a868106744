// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package quote

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestLineAndText fails where what somebody wrote into a manifest would act on a terminal or in the log of a CI system.
func TestLineAndText(t *testing.T) {
	for name, tc := range map[string]struct{ text, wantLine, wantText string }{
		"words":                 {`new/checkout is "on" in 50 %`, `new/checkout is "on" in 50 %`, `new/checkout is "on" in 50 %`},
		"letters of the world":  {"größer 見出し 🎉", "größer 見出し 🎉", "größer 見出し 🎉"},
		"escape sequence":       {"a\x1b[2Jb", `a\x1b[2Jb`, `a\x1b[2Jb`},
		"C1 control":            {"a\u009b2Jb", `a\u009b2Jb`, `a\u009b2Jb`},
		"raw C1 byte":           {"a\x9b2Jb", `a\x9b2Jb`, `a\x9b2Jb`},
		"carriage return":       {"ok\rFAIL", `ok\rFAIL`, `ok\rFAIL`},
		"backspace and delete":  {"a\b\x7f", `a\x08\x7f`, `a\x08\x7f`},
		"direction":             {"a\u202egnp.exe", `a\u202egnp.exe`, `a\u202egnp.exe`},
		"isolates":              {"\u2066a\u2069", `\u2066a\u2069`, `\u2066a\u2069`},
		"no width":              {"ad\u200bmin", `ad\u200bmin`, `ad\u200bmin`},
		"tag characters":        {"a\U000e0041", `a\U000e0041`, `a\U000e0041`},
		"separator of lines":    {"a\u2028::b", `a\u2028::b`, `a\u2028::b`},
		"lines":                 {"a\nb\tc", `a\nb\tc`, "a\nb\tc"},
		"command":               {"::error::x", `\x3a:error::x`, `\x3a:error::x`},
		"command after space":   {"  ::error::x", `  \x3a:error::x`, `  \x3a:error::x`},
		"command in a line":     {"a ::error::x", "a ::error::x", "a ::error::x"},
		"command in a 2nd line": {"a\n \u00a0::add-mask::x", `a\n ` + "\u00a0" + `::add-mask::x`, "a\n \u00a0\\x3a:add-mask::x"},
		"command by a return":   {"a\r::error::x", `a\r::error::x`, `a\r::error::x`},
		"older command":         {"a ##[error]x", `a \x23#[error]x`, `a \x23#[error]x`},
		"command of Azure":      {"##vso[task.setvariable]x", `\x23#vso[task.setvariable]x`, `\x23#vso[task.setvariable]x`},
		"command of TeamCity":   {"##teamcity[x]", `\x23#teamcity[x]`, `\x23#teamcity[x]`},
		"heading":               {"## x", "## x", "## x"},
	} {
		t.Run(name, func(t *testing.T) {
			if delta := cmp.Diff([]string{tc.wantLine, tc.wantText}, []string{Line(tc.text), Text(tc.text)}); delta != "" {
				t.Error(delta)
			}
			var b bytes.Buffer
			if n, err := Writer(&b).Write([]byte(tc.text)); err != nil || n != len(tc.text) || b.String() != tc.wantText {
				t.Errorf("the writer wrote %q: %d, %v", b.String(), n, err)
			}
		})
	}
}

// TestDocuments fails where a document for programs says something else than before, or acts where it is printed.
func TestDocuments(t *testing.T) {
	value := map[string]any{"a\u202e": "b\u009b\x1b\x7f\U000e0041\n::error::x ##[error]\n", "plain": "größer"}
	document, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fromYAML, err := YAML(value)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		safe []byte
		read func([]byte, any) error
	}{
		"JSON": {JSON(document), json.Unmarshal},
		"YAML": {fromYAML, func(data []byte, into any) error { return yaml.Unmarshal(data, into) }},
	} {
		safe := tc.safe
		if Text(string(safe)) != string(safe) {
			t.Errorf("%s acts: %q", name, safe)
		}
		got := map[string]any{}
		if err := tc.read(safe, &got); err != nil {
			t.Fatal(err)
		}
		if delta := cmp.Diff(value, got); delta != "" {
			t.Errorf("%s says something else: %s", name, delta)
		}
	}
	plain, err := YAML(map[string]string{"a": "größer"})
	if err != nil || string(plain) != "a: größer\n" {
		t.Errorf("a plain document is %q: %v", plain, err)
	}
}
