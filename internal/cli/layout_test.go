// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecommendedLayout runs docs/gitops/check.sh on the layout that docs/gitops.md recommends: a kustomization for each
// cluster, which patches the environments that they share.
func TestRecommendedLayout(t *testing.T) {
	gitops, err := filepath.Abs(filepath.Join("..", "..", "docs", "gitops"))
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tools, base, out := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.Symlink(self, filepath.Join(tools, "jackstaff")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(base, os.DirFS(gitops)); err != nil {
		t.Fatal(err)
	}
	patch := filepath.Join("flags", "new-checkout.yaml")
	before := strings.Replace(string(read(t, base, patch)), "10%", "5%", 1)
	if err := os.WriteFile(filepath.Join(base, patch), []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for cluster, want := range map[string][]string{
		"production": {"3 objects checked, 0 errors, 0 warnings", "5 % of subjects move from off to on", "1 case, 0 failed"},
		"staging":    {"3 objects checked, 0 errors, 0 warnings", "staging: no flag changes", "1 case, 0 failed"},
	} {
		command := exec.CommandContext(t.Context(), filepath.Join(gitops, "check.sh"),
			filepath.Join(gitops, "clusters", cluster), filepath.Join(base, "clusters", cluster), out, cluster)
		command.Env = append(
			os.Environ(),
			"PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"),
			"KUBECONFIG=/nowhere",
		)
		printed, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v:\n%s", cluster, err, printed)
		}
		for _, part := range want {
			if !strings.Contains(string(printed), part) {
				t.Errorf("%s: %q is not in\n%s", cluster, part, printed)
			}
		}
	}
}

// TestStrictWithoutEnvironments fails where validate --strict refuses flags that render takes, because the environments
// are kept elsewhere.
func TestStrictWithoutEnvironments(t *testing.T) {
	const flag = `{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FeatureFlag", "metadata": {"name": "a"}, "spec": {"type": "Boolean",
		"variations": [{"key": "off", "value": false}, {"key": "on", "value": true}], "defaultVariation": "off",
		"environments": [{"name": "production", "enabled": true, "defaultVariation": "on"}]}}`
	const other = "\n---\n" + `{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FlagEnvironment", "metadata": {"name": "producton"}}`
	if got := jackstaff(t.Context(), flag, "validate", "--strict", "-"); got.code != 0 {
		t.Errorf("it ends with %d: %s%s", got.code, got.out, got.err)
	}
	got := jackstaff(t.Context(), flag+other, "validate", "--strict", "-")
	if got.code != 1 || !strings.Contains(got.out, `FlagEnvironment "production" does not exist`) {
		t.Errorf("beside an environment of another name it ends with %d: %s%s", got.code, got.out, got.err)
	}
}

// TestTestHints fails where a flag test that is wrong does not say how it is meant.
func TestTestHints(t *testing.T) {
	directory := t.TempDir()
	flag := `{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FeatureFlag", "metadata": {"name": "new-checkout"}, "spec": {
		"key": "new_checkout", "type": "Boolean", "variations": [{"key": "off", "value": false}, {"key": "on", "value": true}],
		"defaultVariation": "off"}}`
	for name, tc := range map[string]struct {
		test, output string
		code         int
		want         string
	}{
		"the name in the place of the key": {
			"cases: [{flag: new-checkout, expect: {value: true}}]", "text", 1,
			`environment "production" has no flag of the key "new-checkout"; FeatureFlag "new-checkout" has the key "new_checkout"`,
		},
		"a misspelt key": {"cases: [{flag: new_chekout, expect: {value: true}}]", "text", 1, `did you mean "new_checkout"?`},
		"a flag that is not to be there": {
			"cases: [{flag: nothing, expect: {reason: FLAG_NOT_FOUND}}]", "text", 0, "1 case, 0 failed",
		},
		"a case that overrides what it merges": {
			"cases: [&usual {flag: nothing, expect: {reason: FLAG_NOT_FOUND}}, {<<: *usual, flag: nobody}]", "text", 0, "2 cases, 0 failed",
		},
		"a variation without quotes": {"cases: [{flag: new_checkout, expect: {variation: on}}]", "text", 1, `write "on" and "off" in quotes`},
		"a rule that is misspelt":    {"cases: [{flag: new_checkout, expect: {rule: beta}}]", "text", 1, `the flag has no rule "beta" in production`},
		"JSON":                       {"cases: [{flag: new_checkout, name: a, expect: {value: true}}]", "json", 1, `"value is false, want true"`},
		"JSON of what passes":        {"cases: [{flag: new_checkout, name: a, expect: {value: false}}]", "json", 0, `"failed": 0`},
	} {
		t.Run(name, func(t *testing.T) {
			test := "manifests: [flag.json]\nenvironment: production\n" + tc.test + "\n"
			if err := writeFiles(directory, map[string]string{"flag.json": flag, "x_test.yaml": test}); err != nil {
				t.Fatal(err)
			}
			got := jackstaff(t.Context(), "", "test", "-o", tc.output, directory)
			if got.code != tc.code || !strings.Contains(got.out+got.err, tc.want) {
				t.Errorf("it ends with %d and says\n%s%s", got.code, got.out, got.err)
			}
		})
	}
}
