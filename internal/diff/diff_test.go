// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/internal/datafile"
	"github.com/jackstaff-dev/jackstaff/internal/diff"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden compares the report of each testdata/*.in.yaml, which holds flags and audiences before and after, with its golden file.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no inputs: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".in.yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var in struct{ Before, After document }
			if err := yaml.UnmarshalStrict(data, &in); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, change := range diff.Documents(in.Before.document(), in.After.document()) {
				got.WriteString(change.Text() + "\n")
			}
			golden := strings.TrimSuffix(file, ".in.yaml") + ".out.txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if delta := cmp.Diff(string(want), got.String()); delta != "" {
				t.Errorf("report (-want +got):\n%s", delta)
			}
		})
	}
}

type document struct {
	Audiences map[string]*datafile.Audience `json:"audiences"`
	Flags     map[string]*datafile.Flag     `json:"flags"`
}

// document gives flags without variations those of a Boolean.
func (d *document) document() *datafile.Document {
	for _, flag := range d.Flags {
		if len(flag.Variations) == 0 {
			flag.Type = datafile.Boolean
			flag.Variations = []datafile.Variation{{Key: "off", Value: []byte("false")}, {Key: "on", Value: []byte("true")}}
			flag.DefaultVariation = "off"
		}
	}
	return &datafile.Document{Audiences: d.Audiences, Flags: d.Flags}
}

func TestManyHashesAreNotCounted(t *testing.T) {
	document := func(salt string) *datafile.Document {
		f := &datafile.Flag{Type: datafile.String, Enabled: true, DefaultVariation: "v0"}
		for i := range 50 {
			f.Variations = append(f.Variations, datafile.Variation{Key: "v" + string(rune('0'+i)), Value: []byte(`""`)})
		}
		for i := range 100 {
			rule := datafile.Rule{Name: "r" + string(rune('0'+i)), Salt: salt + string(rune('0'+i)), Traffic: new(int32(1000))}
			for _, variation := range f.Variations {
				rule.Split = append(rule.Split, datafile.Weight{Variation: variation.Key, Weight: 1})
			}
			f.Rules = append(f.Rules, rule)
		}
		return &datafile.Document{Flags: map[string]*datafile.Flag{"flag": f}}
	}
	change := diff.Flag(document("a"), document("b"), "flag")
	if want := []string{"too many hashes take part to say how many subjects move"}; !cmp.Equal(change.Notes, want) {
		t.Errorf("the notes are %q, want %q", change.Notes, want)
	}
}

func TestFlagThatIsAsItWas(t *testing.T) {
	document := func() *datafile.Document {
		return &datafile.Document{Flags: map[string]*datafile.Flag{"flag": {Type: datafile.Boolean, DefaultVariation: "off", Metadata: map[string]string{"a": "b"}}}}
	}
	if changes := diff.Documents(document(), document()); len(changes) > 0 {
		t.Errorf("the changes are %v", changes)
	}
}
