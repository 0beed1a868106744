// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// FuzzFlag compiles any spec that the API could hand out. What compiles must be readable by everybody, and stay the
// same through any number of readings and writings.
func FuzzFlag(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		f.Fatalf("no seeds, error %v", err)
	}
	for _, input := range inputs {
		data, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		for manifest := range strings.SplitSeq(string(data), "\n---\n") {
			var seed struct {
				Spec json.RawMessage `json:"spec"`
			}
			if err := yaml.Unmarshal([]byte(manifest), &seed); err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(seed.Spec))
		}
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		flag := &v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Name: "fuzzed", Namespace: "shop"}}
		if err := json.Unmarshal(spec, &flag.Spec); err != nil {
			return
		}
		flag.Default()
		before := flag.DeepCopy()
		environment := NewEnvironment("production", nil)
		environment.SetFlag(flag)
		environment.Compile()
		if !equalJSON(t, before, flag) {
			t.Fatal("compiling changed the flag in the cache")
		}
		outcome, found := environment.Outcome("fuzzed")
		if !found || outcome.Problem != NoProblem && outcome.Message == "" {
			t.Fatalf("the flag has no outcome: %+v", outcome)
		}
		part, served := environment.Contents().Flags.Get(outcome.Key)
		if !served {
			return
		}
		form := &datafile.Flag{}
		if err := json.Unmarshal(part.JSON, form); err != nil {
			t.Fatalf("what was compiled cannot be read: %v\n%s", err, part.JSON)
		}
		again, err := datafile.NewPart(part.Key, form)
		if err != nil || !bytes.Equal(part.JSON, again.JSON) {
			t.Fatalf("what was compiled, read and written again is not the same, error %v:\n%s\n%s", err, part.JSON, again.JSON)
		}
		if canonical, err := datafile.Canonical(part.JSON); err != nil || !bytes.Equal(canonical, part.JSON) {
			t.Fatalf("what was compiled is not canonical, error %v:\n%s\n%s", err, part.JSON, canonical)
		}
		document, err := environment.Contents().Document()
		if err != nil {
			t.Fatal(err)
		}
		engine, err := evaluate.New(document)
		if err != nil {
			t.Fatalf("one flag would make every reader refuse the whole document: %v\n%s", err, part.JSON)
		}
		_ = engine.Evaluate(part.Key, map[string]any{"targetingKey": "alice"}, goldenTime)
		if definition, said := environment.Flagd().Get(part.Key); said && !json.Valid(definition.JSON) {
			t.Fatalf("the flagd definition is no JSON: %s", definition.JSON)
		}
	})
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	jsonA, errA := json.Marshal(a)
	jsonB, errB := json.Marshal(b)
	return (errA == nil) == (errB == nil) && bytes.Equal(jsonA, jsonB)
}
