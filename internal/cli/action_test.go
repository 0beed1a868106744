// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// repository is a repository of Git with a first commit that holds the files, and the root of ours.
func repository(t *testing.T, files map[string]string) (directory, root string, git func(...string)) {
	t.Helper()
	directory = t.TempDir()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	git = func(arguments ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "git", append([]string{
			"-C", directory, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false",
		}, arguments...)...)
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", arguments, err, said)
		}
	}
	git("init", "--quiet")
	if err := writeFiles(directory, files); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "--quiet", "-m", "first")
	return directory, root, git
}

// tools is a PATH with this program as jackstaff.
func tools(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.Symlink(self, filepath.Join(directory, "jackstaff")); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + directory + string(os.PathListSeparator) + os.Getenv("PATH")
}

const actionFlag = `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: a}
spec:
  type: Boolean
  variations: [{key: "off", value: false}, {key: "on", value: true}]
  defaultVariation: "off"
  environments:
  - {name: production, enabled: ENABLED, defaultVariation: "on"}
`

const actionTest = `manifests: [.]
environment: production
cases: [{flag: a, context: {targetingKey: x}, expect: {value: ENABLED}}]
`

func actionFiles(enabled string) map[string]string {
	return map[string]string{
		"flags/a.yaml":      strings.ReplaceAll(actionFlag, "ENABLED", enabled),
		"flags/a_test.yaml": strings.ReplaceAll(actionTest, "ENABLED", enabled),
	}
}

// The action must say what a pull request changes and stop one that is wrong, and the first one has nothing before it.
func TestAction(t *testing.T) {
	action := struct {
		Inputs map[string]any `json:"inputs"`
		Runs   struct {
			Steps []struct {
				Run string            `json:"run"`
				Env map[string]string `json:"env"`
			} `json:"steps"`
		} `json:"runs"`
	}{}
	data, err := os.ReadFile(filepath.Join("..", "..", "action.yml"))
	if err == nil {
		err = yaml.Unmarshal(data, &action)
	}
	if err != nil || len(action.Runs.Steps) == 0 {
		t.Fatalf("action.yml: %v", err)
	}
	last := action.Runs.Steps[len(action.Runs.Steps)-1]
	for name := range action.Inputs {
		if !strings.Contains(last.Env[strings.ToUpper(name)], "inputs."+name) {
			t.Errorf("the input %s is not used", name)
		}
	}
	for name, tc := range map[string]struct {
		before, after map[string]string
		base          string
		fails         bool
		want          string
	}{
		"a change": {before: actionFiles("false"), after: actionFiles("true"), want: "100 % of subjects move from off to on"},
		"no flags before": {
			before: map[string]string{"README": "x"}, after: actionFiles("true"), want: "production: a added",
		},
		"a mistake": {
			before: actionFiles("false"), after: actionFiles("maybe"), fails: true, want: "spec.environments[0].enabled",
		},
		"a failed test": {
			before: actionFiles("false"),
			after:  map[string]string{"flags/a_test.yaml": strings.ReplaceAll(actionTest, "ENABLED", "true")},
			fails:  true, want: "1 case, 1 failed",
		},
		"a shallow checkout": {before: actionFiles("false"), base: "0123456789", fails: true, want: "fetch-depth: 0"},
	} {
		t.Run(name, func(t *testing.T) {
			directory, root, _ := repository(t, tc.before)
			if err := writeFiles(directory, tc.after); err != nil {
				t.Fatal(err)
			}
			base := "HEAD"
			if tc.base != "" {
				base = tc.base
			}
			summary := filepath.Join(t.TempDir(), "summary.md")
			command := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", last.Run)
			command.Dir = directory
			command.Env = append(os.Environ(), tools(t), "FLAGS=flags", "ENVIRONMENTS=production", "BASE="+base, "REPORT=report",
				"RUNNER_TEMP="+t.TempDir(), "GITHUB_ACTION_PATH="+root, "GITHUB_STEP_SUMMARY="+summary)
			said, err := command.CombinedOutput()
			if (err != nil) != tc.fails || !strings.Contains(string(said), tc.want) {
				t.Fatalf("it ends with %v and says\n%s\nwant %q", err, said, tc.want)
			}
			if told, err := os.ReadFile(summary); !tc.fails && (err != nil || !strings.Contains(string(told), tc.want)) {
				t.Errorf("the summary says %q: %v", told, err)
			}
		})
	}
}

// pre-commit runs a hook's entry, with the arguments of the project that uses the hook, on the committed files.
func TestPreCommitHooks(t *testing.T) {
	var hooks []struct {
		ID            string `json:"id"`
		Entry         string `json:"entry"`
		PassFilenames *bool  `json:"pass_filenames"`
	}
	data, err := os.ReadFile(filepath.Join("..", "..", ".pre-commit-hooks.yaml"))
	if err == nil {
		err = yaml.Unmarshal(data, &hooks)
	}
	if err != nil {
		t.Fatal(err)
	}
	arguments := map[string][]string{
		"jackstaff-validate": nil, "jackstaff-test": {"flags"}, "jackstaff-diff": {"flags", "-e", "production"},
	}
	says := map[string]string{
		"jackstaff-validate": "1 object checked, 0 errors", "jackstaff-test": "1 case, 0 failed",
		"jackstaff-diff": "move from off to on",
	}
	if len(hooks) != len(arguments) {
		t.Errorf("%d hooks are tried of %d", len(arguments), len(hooks))
	}
	directory, _, git := repository(t, actionFiles("false"))
	if err := writeFiles(directory, actionFiles("true")); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	for _, hook := range hooks {
		words := append(strings.Fields(hook.Entry), arguments[hook.ID]...)
		if hook.PassFilenames == nil || *hook.PassFilenames {
			words = append(words, "flags/a.yaml", "flags/a_test.yaml")
		}
		command := exec.CommandContext(t.Context(), "bash", "-c", `"$@"`, "bash")
		command.Args = append(command.Args, words...)
		command.Dir, command.Env = directory, append(os.Environ(), tools(t))
		if said, err := command.CombinedOutput(); err != nil || !strings.Contains(string(said), says[hook.ID]) {
			t.Errorf("%s ends with %v and says\n%s\nwant %q", hook.ID, err, said, says[hook.ID])
		}
	}
}
