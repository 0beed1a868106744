// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"encoding/json"
	goflag "flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

var update = goflag.Bool("update", false, "write testdata/*.out.yaml anew")

// goldenTime is the time of which the outputs speak.
var goldenTime = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// golden is what an output says besides the files.
type golden struct {
	Flags   map[string]goldenFlag `json:"flags,omitempty"`
	Summary Summary               `json:"summary"`
}

type goldenFlag struct {
	Configuration v1alpha1.Configuration `json:"configuration"`
	Flagd         string                 `json:"flagd,omitempty"`
	Key           string                 `json:"key"`
	Message       string                 `json:"message,omitempty"`
	NextChange    string                 `json:"nextChange,omitempty"`
	Only          string                 `json:"onlyVariation,omitempty"`
	Problem       Problem                `json:"problem,omitempty"`
	Served        bool                   `json:"served"`
}

// TestGolden compiles each testdata/<case>.in.yaml, a stream of manifests, for the environment that the first line
// names, and compares what comes out with testdata/<case>.out.yaml.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) < 40 {
		t.Fatalf("there are only %d cases, error %v", len(inputs), err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			got := goldenOutput(t, string(data))
			outputFile := "testdata/" + name + ".out.yaml"
			if *update {
				if err := os.WriteFile(outputFile, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(outputFile)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the manifests do not mean what they meant; -update accepts that (-want +got):\n%s", diff)
			}
		})
	}
}

func goldenOutput(t *testing.T, input string) []byte {
	t.Helper()
	const marker = "# environment: "
	first, _, _ := strings.Cut(input, "\n")
	name, found := strings.CutPrefix(first, marker)
	if !found {
		t.Fatalf("the first line is not %q and a name", marker)
	}
	environment := NewEnvironment(name, nil)
	var flags []string
	for manifest := range strings.SplitSeq(input, "\n---\n") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(manifest), &meta); err != nil {
			t.Fatal(err)
		}
		switch meta.Kind {
		case "FeatureFlag":
			flag := decode[v1alpha1.FeatureFlag](t, manifest)
			flag.Default()
			environment.SetFlag(flag)
			flags = append(flags, flag.Name)
		case "FlagAudience":
			environment.SetAudience(decode[v1alpha1.FlagAudience](t, manifest))
		case "FlagEvent":
			event := decode[v1alpha1.FlagEvent](t, manifest)
			event.Default()
			environment.SetEvent(event)
		default:
			t.Fatalf("unknown kind %q", meta.Kind)
		}
	}
	environment.Compile()

	output := golden{Flags: map[string]goldenFlag{}, Summary: environment.Summary()}
	for _, name := range flags {
		outcome, _ := environment.Outcome(name)
		shown := goldenFlag{
			Configuration: Configuration(outcome.Form, goldenTime), Key: outcome.Key, Message: outcome.Message,
			Problem: outcome.Problem, Served: outcome.Form != nil,
		}
		if only, ok := OnlyVariation(outcome.Form); ok {
			shown.Only = only
		}
		if next, ok := NextChange(outcome.Form, goldenTime); ok {
			shown.NextChange = next.Format(time.RFC3339)
		}
		if outcome.FlagdError != nil {
			shown.Flagd = outcome.FlagdError.Error()
		}
		output.Flags[name] = shown
	}
	header := datafile.Header{Project: "shop", Environment: name, Revision: 1}
	native := environment.Contents().Encode(header)
	document, err := datafile.Read(native)
	if err != nil {
		t.Fatalf("no reader takes the document: %v", err)
	}
	if _, err := evaluate.New(document); err != nil {
		t.Fatalf("the engine does not take the document: %v", err)
	}
	if canonical, err := datafile.Canonical(native); err != nil || !bytes.Equal(canonical, native) {
		t.Errorf("the document is not canonical: error %v", err)
	}
	text, err := yaml.Marshal(output)
	if err != nil {
		t.Fatal(err)
	}
	text = appendFile(t, text, datafile.FileName, native)
	return appendFile(t, text, flagd.FileName, flagd.Encode(header, environment.Flagd()))
}

// decode reads a manifest and refuses fields that the Kind does not have.
func decode[T any](t *testing.T, manifest string) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict([]byte(manifest), object); err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	return object
}

// appendFile appends a file as an indented block of text.
func appendFile(t *testing.T, text []byte, name string, data []byte) []byte {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "  ", "  "); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(text, fmt.Appendf(nil, "%s: |\n  ", name), indented.Bytes(), []byte("\n"))
}
