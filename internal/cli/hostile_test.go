// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// hostile is text that acts on terminals and in the logs of CI systems where it is printed as it is.
const hostile = "x\x1b]0;owned\a\x1b[2J\r\n::error file=a::owned\n\u202e\u009b2J\u2066\u200b##[error]owned ##vso[task.complete]"

// hostileFiles are manifests and tests with hostile text wherever one can write it.
func hostileFiles(t *testing.T) map[string]string {
	t.Helper()
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	flag := func(metadata, spec string) string {
		return `{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FeatureFlag", "metadata": {"namespace": "shop", ` + metadata +
			`}, "spec": {` + strings.ReplaceAll(
			spec,
			"%",
			string(quoted),
		) + `}}`
	}
	named := func(name string) string { return `"name": ` + name }
	on := `"type": "String", "variations": [{"key": "on", "value": %}, {"key": "off", "value": "x"}], "defaultVariation": "off"`
	production := `, "environments": [{"name": "production", "enabled": true, "defaultVariation": "on"}]`
	return map[string]string{
		"good/flag.yaml":  flag(named(`"good"`), on+`, "metadata": {"a": %}, "description": %, "owner": %`+production),
		"other/flag.yaml": flag(named(`"good"`), on),
		"name/flag.yaml":  flag(named(string(quoted)), on),
		"namespace/flag.yaml": `{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FeatureFlag", "metadata": {"name": "a", "namespace": ` + string(
			quoted,
		) + `}, "spec": {}}`,
		"key/flag.yaml":   flag(named(`"a"`), `"key": %, `+on),
		"field/flag.yaml": flag(named(`"a"`), on+`, %: 1`),
		"variation/flag.yaml": flag(
			named(`"a"`),
			`"type": "String", "defaultVariation": %, "variations": [{"key": %, "value": "x"}]`,
		),
		"label/flag.yaml": flag(named(`"a"`)+`, "labels": {`+string(quoted)+`: `+string(quoted)+`}`, on),
		"expression/flag.yaml": flag(named(`"a"`), on+`, "environments": [{"name": %, "rules": [{"name": %, "variation": %,
			"audiences": [%], "conditions": [{"attribute": %, "operator": %, "values": [%]}, {"attribute": "a", "operator": "Matches", "values": ["(%"]}]}]}]`),
		"kind/flag.yaml": `{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": ` + string(
			quoted,
		) + `, "metadata": {"name": ` + string(
			quoted,
		) + `}}`,
		"broken/flag.yaml":   "a: \"\\e[2J\\r\\n::error::x\"\n\u202eb: [::error::\n",
		"controls/flag.yaml": hostile,
		"good/x_test.yaml": `{"manifests": ["flag.yaml"], "environment": "production", "cases": [{"name": ` + string(quoted) +
			`, "flag": "good", "expect": {"variation": ` + string(quoted) + `, "value": ` + string(quoted) + `, "rule": ` + string(quoted) + `}}]}`,
		"wrong/x_test.yaml": `{"manifests": [` + string(
			quoted,
		) + `], "environment": ` + string(
			quoted,
		) + `, "cases": [{"flag": ` + string(
			quoted,
		) +
			`, "expect": {"value": 1}}]}`,
		"unknown/x_test.yaml": `{` + string(quoted) + `: 1}`,
		"context.yaml":        `{` + string(quoted) + `: ` + string(quoted) + `}`,
		"flagd/flags.json": `{"flags": {` + string(
			quoted,
		) + `: {"state": "ENABLED", "defaultVariant": ` + string(
			quoted,
		) + `, "variants": {` +
			string(
				quoted,
			) + `: "x"}, "metadata": {` + string(
			quoted,
		) + `: ` + string(
			quoted,
		) + `}, "targeting": {"if": [{` + string(
			quoted,
		) +
			`: [` + string(
			quoted,
		) + `]}, ` + string(
			quoted,
		) + `]}}, "good": {"state": "ENABLED", "description": ` + string(
			quoted,
		) +
			`, "defaultVariant": "on", "variants": {"on": ` + string(
			quoted,
		) + `}, "targeting": {"if": [{` + string(
			quoted,
		) + `: 1}, "on"]}}}}`,
		"flagd/wrong.json": `{"flags": {` + string(
			quoted,
		) + `: ` + string(
			quoted,
		) + `, "a": {"variants": {"on": 1}, ` + string(
			quoted,
		) + `: 2}}}`,
	}
}

// TestHostileFiles runs every command that reads files on files of an attacker. What is printed must not act: not on the
// terminal of a reviewer, and not as a command of the CI system that runs jackstaff on a pull request.
func TestHostileFiles(t *testing.T) {
	directory := t.TempDir()
	files := hostileFiles(t)
	if err := writeFiles(directory, files); err != nil {
		t.Fatal(err)
	}
	t.Chdir(directory)
	check := func(arguments ...string) {
		t.Helper()
		got := jackstaff(t.Context(), "", arguments...)
		for stream, text := range map[string]string{"output": got.out, "error stream": got.err} {
			if safe := quote.Text(text); safe != text {
				t.Errorf("%q: the %s acts:\n%q", arguments, stream, text)
			}
		}
		if strings.Contains(got.err, "panic") {
			t.Errorf("%q: %s", arguments, got.err)
		}
	}
	for name := range files {
		for _, path := range []string{name, filepath.Dir(name)} {
			for _, output := range []string{"text", "json", "sarif"} {
				check("validate", path, "-o", output)
			}
			for _, output := range []string{"text", "json"} {
				check(
					"evaluate",
					"good",
					"-e",
					"production",
					"-f",
					path,
					"--explain",
					"-o",
					output,
					"--context-file",
					"context.yaml",
				)
				check("diff", path, "--against", "other", "-e", "production", "-o", output)
				check("diff", "other", "--against", path, "-e", "production", "-o", output)
				check("test", path, "-o", output)
			}
			check("test", path, "-o", "junit")
			check("import", path, "-e", "production")
			check("render", path, "-e", hostile)
			// What render prints is a file to the byte. JSON lets no line begin with what is in it.
			if got := jackstaff(t.Context(), "", "render", path, "-e", "missing"); strings.ContainsAny(got.out, "\x1b\r\n") {
				t.Errorf("render %s: the output acts:\n%q", path, got.out)
			}
			check("evaluate", hostile, "-e", "production", "-f", path)
		}
	}
	for _, command := range []string{"validate", "render", "evaluate", "test", "diff", "import", "get", "toggle", hostile} {
		check(command, hostile)
		check(command, "--"+hostile)
		check(command, hostile, "-o", hostile)
	}
	if err := os.WriteFile("x\x1b[2J\n::error::.yaml", []byte(files["key/flag.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"text", "json", "sarif"} {
		check("validate", ".", "-o", output)
	}
}
