// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const f = "```"
	page := `# Page
<!-- as: jackstaff-publisher -->

` + f + `sh
kubectl get flags
` + f + `

<!-- output -->
` + f + `text
payments   on
` + f + `

1. In a list:
   <!-- not run: needs a registry -->
   ` + f + `bash
   docker push
   ` + f + `

<!-- file: flags.yaml -->
` + f + `yaml
kind: FeatureFlag
` + f + `
<!-- prepare:
mkdir deploy
-->
<!-- fails -->
` + f + `sh
false
` + f + `
` + f + `go
package main
` + f + `
` + f + `console
$ jackstaff diff \
    -e production
production: changed
  more
$ jackstaff publish
` + f + `

<!-- within: 2s -->
` + f + `sh
jackstaff status
` + f + `
`
	want := []step{
		{kind: as, line: 2, argument: "jackstaff-publisher"},
		{kind: run, line: 4, text: "kubectl get flags\n"},
		{kind: output, line: 9, text: "payments   on\n"},
		{kind: notRun, line: 15, argument: "needs a registry"},
		{kind: file, line: 20, text: "kind: FeatureFlag\n", argument: "flags.yaml"},
		{kind: prepare, line: 23, text: "mkdir deploy\n"},
		{kind: fail, line: 27, text: "false\n"},
		{kind: run, line: 34, text: "jackstaff diff \\\n    -e production\n"},
		{kind: output, line: 36, text: "production: changed\n  more\n"},
		{kind: run, line: 38, text: "jackstaff publish\n"},
		{kind: run, line: 42, text: "jackstaff status\n", within: 2 * time.Second},
	}
	got, err := parse(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{})); diff != "" {
		t.Errorf("blocks are not run as the page says (-want +got):\n%s", diff)
	}
}

// A comment that is misspelt must not let a block pass.
func TestParseMistakes(t *testing.T) {
	const f = "```"
	for name, page := range map[string]string{
		"no reason":              "<!-- not run -->\n" + f + "sh\nx\n" + f,
		"unknown":                "<!-- skipped: x -->\n" + f + "sh\nx\n" + f,
		"no block":               "<!-- output -->\nText.",
		"no end":                 "<!-- prepare:\nx\n",
		"output of a shell":      "<!-- output -->\n" + f + "sh\nx\n" + f,
		"no duration":            "<!-- within: soon -->\n" + f + "sh\nx\n" + f,
		"a text in time":         "<!-- within: 2s -->\n" + f + "text\nx\n" + f,
		"a text that should run": "<!-- fails -->\n" + f + "text\nx\n" + f,
	} {
		if steps, err := parse(page); err == nil {
			t.Errorf("%s: the page is taken for right: %v", name, steps)
		}
	}
}

func TestMatches(t *testing.T) {
	for name, tc := range map[string]struct {
		said, printed string
		want          bool
	}{
		"equal":             {"a\nb\n", "a\nb\n", true},
		"other text":        {"a\n", "b\n", false},
		"one line more":     {"a\n", "a\nb\n", false},
		"one line less":     {"a\nb\n", "a\n", false},
		"columns":           {"NAME   AGE\n", "NAME        AGE   \n", true},
		"any text":          {"payments …s\n", "payments 12s\n", true},
		"any lines":         {"a\n…\nz\n", "a\nb\nc\nz\n", true},
		"no lines":          {"a\n…\nz\n", "a\nz\n", true},
		"any text, not all": {"payments …\n", "other 12s\n", false},
		"no newline":        {"a\n", "a", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := matches(tc.said, tc.printed); got != tc.want {
				t.Errorf("matches(%q, %q) = %t, want %t", tc.said, tc.printed, got, tc.want)
			}
		})
	}
}
