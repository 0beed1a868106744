// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flagAlone is a flag whose environments are kept elsewhere.
const flagAlone = `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: new-checkout, namespace: shop}
spec:
  type: Boolean
  defaultVariation: "off"
  variations: [{key: "off", value: false}, {key: "on", value: true}]
  environments:
  - {name: staging, enabled: true}
  - {name: production, enabled: true}
`

// flagOfNone is a flag that has a part for no environment.
const flagOfNone = `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: new-checkout, namespace: shop}
spec:
  type: Boolean
  defaultVariation: "off"
  variations: [{key: "off", value: false}, {key: "on", value: true}]
`

const flagdFile = `{"flags": {"a": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}}}`

// A misspelt environment looks like one in which every flag is off, and a name that Kubernetes refuses is found out
// only when everything else is applied.
func TestNamesOnTheCommandLine(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alone, none, flagd := file("alone.yaml", flagAlone), file("none.yaml", flagOfNone), file("flagd.json", flagdFile)
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"an environment that a flag mentions": {[]string{"evaluate", "new-checkout", "-e", "staging", "-f", alone}, 0, "off"},
		"a misspelt one": {
			[]string{"evaluate", "new-checkout", "-e", "prodution", "-f", alone}, 1,
			`no flag and no FlagEnvironment of the manifests mentions the environment "prodution" in namespace "shop"; did you mean "production"?`,
		},
		"one that is like none": {[]string{"render", alone, "-e", "qa"}, 1, `there are "production", "staging"`},
		"rendered":              {[]string{"render", alone, "-e", "production"}, 0, `"environment":"production"`},
		"mentioned by none":     {[]string{"render", none, "-e", "production"}, 0, `"environment":"production"`},
		"a difference":          {[]string{"diff", alone, "-e", "prodution", "--against", none}, 1, `"production"`},
		"a new one": {
			[]string{"diff", alone, "-e", "production", "--against", none}, 0, "production: ",
		},
		"imported":             {[]string{"import", flagd, "-e", "production"}, 0, "name: production"},
		"import to a capital":  {[]string{"import", flagd, "-e", "Production"}, 2, "; write --environment production"},
		"import to a word":     {[]string{"import", flagd, "-e", "pre_prod"}, 2, "; write --environment pre-prod"},
		"import to nothing":    {[]string{"import", flagd, "-e", "é"}, 2, `--environment "é" is no name`},
		"import to a project":  {[]string{"import", flagd, "-e", "production", "-n", "Shop"}, 2, "; write --namespace shop"},
		"render of a capital":  {[]string{"render", alone, "-e", "Production"}, 2, "; write --environment production"},
		"render of a project":  {[]string{"render", alone, "-e", "production", "-n", "Shop"}, 2, "; write --namespace shop"},
		"validate a project":   {[]string{"validate", alone, "-n", "my_shop"}, 2, "; write --namespace my-shop"},
		"evaluate a capital":   {[]string{"evaluate", "a", "-e", "Staging", "-f", alone}, 2, "; write --environment staging"},
		"difference in a word": {[]string{"diff", alone, "-e", "Staging", "--against", alone}, 2, "; write --environment staging"},
	} {
		t.Run(name, func(t *testing.T) {
			got := jackstaff(t.Context(), "", tc.arguments...)
			if got.code != tc.code || !strings.Contains(got.out+got.err, tc.want) {
				t.Errorf("exit code %d, want %d and %q in\n%s%s", got.code, tc.code, tc.want, got.out, got.err)
			}
			if tc.code != 0 && got.out != "" {
				t.Errorf("something is written before the mistake is found:\n%s", got.out)
			}
		})
	}
}
