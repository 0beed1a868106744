// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestDatafileSchema fails where the JSON schema of the native document refuses what the compiler publishes, so that a
// reader that checks documents by the schema would refuse them too.
func TestDatafileSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/datafile.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := filepath.Glob("../../internal/compile/testdata/*.out.yaml")
	if err != nil || len(outputs) < 40 {
		t.Fatalf("there are only %d outputs, error %v", len(outputs), err)
	}
	for _, output := range outputs {
		t.Run(strings.TrimSuffix(filepath.Base(output), ".out.yaml"), func(t *testing.T) {
			data, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			// The document is a block of the output, and JSON does not mind its indentation.
			_, rest, found := strings.Cut(string(data), "\ndatafile.json: |\n")
			text, _, ends := strings.Cut(rest, "\nflagd.json: |\n")
			if !found || !ends {
				t.Fatal("the output is not as golden_test.go writes it")
			}
			document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); err != nil {
				t.Errorf("the schema refuses what is published: %v", err)
			}
		})
	}
}

// TestDatafileSchemaIsStrict fails where the schema lets pass what no reader can make sense of, or refuses what a later
// minor version may add.
func TestDatafileSchemaIsStrict(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/datafile.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = `{"audiences":{},"environment":"e","events":{},"project":"p","revision":1,"flags":{"a":`, `},"schemaVersion":"1.0"}`
	for name, tc := range map[string]struct {
		document string
		wantOK   bool
	}{
		"a header alone":                {`{"compressed":"datafile.json.gz","environment":"e","project":"p","revision":1,"schemaVersion":"1.0"}`, true},
		"a later minor version":         {`{"audiences":{},"environment":"e","events":{},"flags":{},"new":1,"project":"p","revision":1,"schemaVersion":"1.7"}`, true},
		"another major version":         {`{"audiences":{},"environment":"e","events":{},"flags":{},"project":"p","revision":1,"schemaVersion":"2.0"}`, false},
		"no sections":                   {`{"environment":"e","project":"p","revision":1,"schemaVersion":"1.0"}`, false},
		"a field of a later version":    {begin + `{"new":1,"type":"String","enabled":false,"defaultVariation":"a","variations":[{"key":"a","value":"x"}]}` + end, true},
		"a value of another type":       {begin + `{"type":"Number","enabled":false,"defaultVariation":"a","variations":[{"key":"a","value":"x"}]}` + end, false},
		"a disabled flag with a rule":   {begin + `{"type":"String","enabled":false,"defaultVariation":"a","rules":[{"name":"r","variation":"a"}],"variations":[{"key":"a","value":"x"}]}` + end, false},
		"a rule that serves nothing":    {begin + `{"type":"String","enabled":true,"defaultVariation":"a","rules":[{"name":"r"}],"variations":[{"key":"a","value":"x"}]}` + end, false},
		"an operator that is not there": {begin + `{"type":"String","enabled":true,"defaultVariation":"a","rules":[{"name":"r","variation":"a","conditions":[{"attribute":"x","operator":"Is","values":["y"]}]}],"variations":[{"key":"a","value":"x"}]}` + end, false},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := jsonschema.UnmarshalJSON(strings.NewReader(tc.document))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); (err == nil) != tc.wantOK {
				t.Errorf("schema says %v, want accepted %v", err, tc.wantOK)
			}
		})
	}
}
