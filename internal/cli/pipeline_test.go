// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/cli"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// TestMain is the command line itself where the test binary is called jackstaff, so that scripts can run it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "jackstaff" {
		app := &cli.App{
			Streams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
			Clock:   clock.RealClock{},
		}
		os.Exit(app.Run(context.Background(), os.Args))
	}
	os.Exit(m.Run())
}

// bigProjectFlags is the number of flags of a big project.
const bigProjectFlags = 200

// bigProject returns the manifests of a project with 200 flags, 2 environments and 5 audiences, by file name, without a
// namespace.
func bigProject() map[string]string {
	files := map[string]string{"environments.yaml": `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FlagEnvironment
metadata: {name: staging}
---
apiVersion: flags.jackstaff.dev/v1alpha1
kind: FlagEnvironment
metadata: {name: production}
spec:
  production: true
`}
	for n := range 5 {
		files[fmt.Sprintf("audience-%d.yaml", n)] = fmt.Sprintf(`apiVersion: flags.jackstaff.dev/v1alpha1
kind: FlagAudience
metadata: {name: audience-%[1]d}
spec:
  members: [member-%[1]d@example.com]
  matchAny:
  - conditions:
    - {attribute: plan, operator: In, values: [plan-%[1]d]}
`, n)
	}
	for n := range bigProjectFlags {
		files[fmt.Sprintf("team-%d/flag-%03d.yaml", n%7, n)] = fmt.Sprintf(`apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: flag-%03[1]d}
spec:
  key: team-%[2]d/flag_%03[1]d
  type: Boolean
  variations:
  - {key: "off", value: false}
  - {key: "on", value: true}
  defaultVariation: "off"
  environments:
  - {name: staging, enabled: true, defaultVariation: "on"}
  - name: production
    enabled: true
    rules:
    - {name: insiders, audiences: [audience-%[3]d], variation: "on"}
    - {name: rollout, traffic: 10%%, variation: "on"}
`, n, n%7, n%5)
	}
	return files
}

// bigProjectTests are flag tests of a big project.
const bigProjectTests = `manifests: [.]
environment: production
cases:
- name: members are insiders
  flag: team-3/flag_017
  context: {targetingKey: member-2@example.com}
  expect: {value: true, reason: TARGETING_MATCH, rule: insiders}
- name: staging has everything
  environment: staging
  flag: team-3/flag_199
  context: {targetingKey: somebody}
  expect: {value: true}
`

// writeFiles writes files below a directory.
func writeFiles(directory string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// TestPipeline runs the script of docs/gitops on a big project, as a pipeline does.
func TestPipeline(t *testing.T) {
	const edited = "team-3/flag-017.yaml"
	script, err := filepath.Abs(filepath.Join("..", "..", "docs", "gitops", "check.sh"))
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	if err := os.Symlink(self, filepath.Join(tools, "jackstaff")); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		old, replacement string // in the edited flag
		tests            string
		fails            bool
		want             string // somewhere in what the script prints
		changed          string // of production; staging stays the same
	}{
		"a rollout that grows": {
			old: "traffic: 10%", replacement: "traffic: 22.5%",
			tests: bigProjectTests, want: "207 objects checked, 0 errors, 0 warnings",
			changed: "production: team-3/flag_017 changed\n" +
				"  of subjects that match rule \"insiders\" nobody moves\n" +
				"  of all other subjects 12.5 % move from off to on\n",
		},
		"a mistake": {
			old: `defaultVariation: "off"`, replacement: "defaultVariation: maybe",
			fails: true, want: `flag-017.yaml:10: error: FeatureFlag flag-017: spec.defaultVariation: Invalid value: "maybe"`,
		},
		"an audience that is missing": {
			old: "audience-2", replacement: "audience-9",
			fails: true, want: `flag-017.yaml:16: warning: FeatureFlag flag-017: spec.environments[1].rules[0].audiences[0]`,
		},
		"a broken promise": {
			old: "name: insiders, audiences: [audience-2]", replacement: "name: insiders, audiences: [audience-3]",
			tests: bigProjectTests, fails: true, want: "1 failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, flags, out := t.TempDir(), t.TempDir(), t.TempDir()
			files := bigProject()
			if err := writeFiles(base, files); err != nil {
				t.Fatal(err)
			}
			files[edited] = strings.Replace(files[edited], tc.old, tc.replacement, 1)
			files["flags_test.yaml"] = tc.tests
			if err := writeFiles(flags, files); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), script, flags, base, out, "staging", "production")
			command.Env = append(
				os.Environ(),
				"PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"),
				"KUBECONFIG=/nowhere",
			)
			printed, err := command.CombinedOutput()
			if (err != nil) != tc.fails || !strings.Contains(string(printed), tc.want) {
				t.Fatalf("%v, want failure %t and %q in\n%s", err, tc.fails, tc.want, printed)
			}
			if tc.fails {
				return
			}
			for environment, want := range map[string]string{"staging": "staging: no flag changes\n", "production": tc.changed} {
				report := read(t, out, environment+".diff.txt")
				if delta := cmp.Diff(want, string(report)); delta != "" {
					t.Errorf("%s (-want +got):\n%s", environment, delta)
				}
				document, err := datafile.Read(read(t, out, environment+".datafile.json"))
				if err != nil || len(document.Flags) != bigProjectFlags {
					t.Errorf("the datafile of %s: %v, not with %d flags", environment, err, bigProjectFlags)
				}
				var definitions struct {
					Flags map[string]any `json:"flags"`
				}
				if err := json.Unmarshal(
					read(t, out, environment+".flagd.json"),
					&definitions,
				); err != nil ||
					len(definitions.Flags) != bigProjectFlags {
					t.Errorf("the flagd file of %s: %v, %d flags", environment, err, len(definitions.Flags))
				}
			}
		})
	}
}

func read(t *testing.T, directory, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
