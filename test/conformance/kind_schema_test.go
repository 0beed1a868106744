// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// documentsOf are the documents of a YAML file as JSON.
func documentsOf(t *testing.T, text []byte) []any {
	t.Helper()
	var documents []any
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var document map[string]any
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return documents
		case err != nil:
			t.Fatal(err)
		}
		documents = append(documents, any(document))
	}
}

// TestKindSchemas fails where an editor marks a manifest as wrong that the API server takes, or names no schema for it.
func TestKindSchemas(t *testing.T) {
	modeline := regexp.MustCompile(`(?m)^# yaml-language-server: \$schema=(\S+)$`)
	samples, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(samples) < 8 {
		t.Fatalf("there are only %d samples, error %v", len(samples), err)
	}
	for _, sample := range samples {
		t.Run(filepath.Base(sample), func(t *testing.T) {
			text, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte("\napiVersion: flags.jackstaff.dev/")) {
				return
			}
			named := modeline.FindSubmatch(text)
			if named == nil {
				t.Fatal("no line names the schema to editors")
			}
			schema, err := jsonschema.NewCompiler().Compile(filepath.Join(filepath.Dir(sample), string(named[1])))
			if err != nil {
				t.Fatal(err)
			}
			for _, document := range documentsOf(t, text) {
				if err := schema.Validate(document); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestKindSchemasFindMistakes fails where an editor lets pass what the API server refuses or drops.
func TestKindSchemasFindMistakes(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schemas/featureflag.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	const good = `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: new-checkout}
spec:
  type: Boolean
  environments:
  - name: production
    enabled: true
    rules: [{name: beta, conditions: [{attribute: plan, operator: In, values: [beta]}], variation: "on"}]
`
	for name, tc := range map[string]struct{ old, replacement, want string }{
		"as it should be":     {"", "", ""},
		"a misspelt field":    {"enabled: true", "enable: true", "enable"},
		"a misspelt Kind":     {"kind: FeatureFlag", "kind: Featureflag", "/kind"},
		"an unknown operator": {"operator: In", "operator: Equals", "/operator"},
		"a wrong type":        {"enabled: true", "enabled: 1", "/enabled"},
		"no type":             {"  type: Boolean\n", "", "type"},
		"a name in capitals":  {"name: new-checkout", "name: newCheckout", "/metadata/name"},
		"a status":            {"spec:\n", "status: {}\nspec:\n", "status"},
	} {
		t.Run(name, func(t *testing.T) {
			documents := documentsOf(t, []byte(strings.Replace(good, tc.old, tc.replacement, 1)))
			err := schema.Validate(documents[0])
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want a mistake that names %q", err, tc.want)
			}
		})
	}
}
