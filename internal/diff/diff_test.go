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

	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden compares the report of each testdata/*.in.yaml, which holds flags and audiences before and after, with its
// golden file.
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

// TestWorkIsBounded compares a flag of many hashes for one who cannot wait, who is told that this is not all.
func TestWorkIsBounded(t *testing.T) {
	before, after := manyRules(30, 50), manyRules(30, 60)
	all := diff.Flag(before, after, "flag").Effects()
	if len(all) < 2 {
		t.Fatalf("the effects are %q", all)
	}
	work := 10_000
	some := diff.FlagWithin(before, after, "flag", &work).Effects()
	if delta := cmp.Diff(
		append(all[:1:1], "there are too many rules to look at subjects that match two of them"),
		some,
	); delta != "" {
		t.Errorf("effects where pairs of rules are too much (-want +got):\n%s", delta)
	}
	some = diff.FlagWithin(before, after, "flag", &work).Effects()
	if want := []string{"too many hashes take part to say how many subjects move"}; !cmp.Equal(some[:1], want) {
		t.Errorf("effects where nothing may be looked at: %q", some)
	}
}

func TestEffectsAreThoseOnAnswers(t *testing.T) {
	flag := func(change func(*datafile.Flag)) *datafile.Document {
		f := &datafile.Flag{
			Type:             datafile.Boolean,
			Enabled:          true,
			DefaultVariation: "off",
			Fallthrough:      "on",
			Metadata:         map[string]string{"a": "b"},
			Variations:       []datafile.Variation{{Key: "off", Value: []byte("false")}, {Key: "on", Value: []byte("true")}},
		}
		change(f)
		return &datafile.Document{Flags: map[string]*datafile.Flag{"flag": f}}
	}
	schedule := func(f *datafile.Flag) { f.Schedule = &datafile.Schedule{EnableAt: "2027-03-15T09:00:00Z"} }
	for name, tc := range map[string]struct {
		before, change func(*datafile.Flag)
		want           []string
	}{
		"metadata": {change: func(f *datafile.Flag) { f.Metadata = nil }},
		"a new variation": {change: func(f *datafile.Flag) {
			f.Variations = append(f.Variations, datafile.Variation{Key: "x", Value: []byte("1")})
		}},
		"what is served while it is off": {change: func(f *datafile.Flag) { f.DefaultVariation = "on" }},
		"what is served until it is on": {
			before: schedule, change: func(f *datafile.Flag) { schedule(f); f.DefaultVariation = "on" },
			want: []string{"until 2027-03-15T09:00:00Z: 100 % of subjects move from off to on", `while it is off the flag serves "on" in place of "off"`},
		},
		"from a variation of the name of the code's default to that": {
			before: func(f *datafile.Flag) { f.Variations[1].Key, f.Fallthrough = "(code default)", "(code default)" },
			change: func(f *datafile.Flag) {
				f.Variations[1].Key, f.Fallthrough, f.CodeDefault = "(code default)", "", true
			},
			want: []string{`100 % of subjects move from "(code default)" to (code default)`},
		},
		"what is left to the code until it is on": {
			before: schedule, change: func(f *datafile.Flag) { schedule(f); f.CodeDefault = true },
			want: []string{
				"until 2027-03-15T09:00:00Z: 100 % of subjects move from off to (code default)",
				`while it is off the flag serves the code's default in place of "off"`,
			},
		},
		"from the code's default to a variation of that name": {
			before: func(f *datafile.Flag) {
				f.Variations[1].Key, f.Fallthrough, f.CodeDefault = "(code default)", "", true
			},
			change: func(f *datafile.Flag) {
				f.Variations[1].Key, f.Fallthrough, f.CodeDefault = "(code default)", "(code default)", true
			},
			want: []string{`100 % of subjects move from (code default) to "(code default)"`},
		},
		"a value":         {change: func(f *datafile.Flag) { f.Variations[1].Value = []byte("1") }, want: []string{`variation "on" is 1 and was true`}},
		"a targeting key": {change: func(f *datafile.Flag) { f.Overrides = map[string]string{"alice": "off"} }, want: []string{`targeting key "alice" is pinned to "off"`}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.before == nil {
				tc.before = func(*datafile.Flag) {}
			}
			change := diff.Flag(flag(tc.before), flag(tc.change), "flag")
			if change == nil {
				t.Fatal("the flag is as it was")
			}
			if delta := cmp.Diff(tc.want, change.Effects()); delta != "" {
				t.Errorf("effects (-want +got):\n%s", delta)
			}
		})
	}
}

func TestFlagThatIsAsItWas(t *testing.T) {
	document := func() *datafile.Document {
		return &datafile.Document{
			Flags: map[string]*datafile.Flag{
				"flag": {Type: datafile.Boolean, DefaultVariation: "off", Metadata: map[string]string{"a": "b"}},
			},
		}
	}
	if changes := diff.Documents(document(), document()); len(changes) > 0 {
		t.Errorf("the changes are %v", changes)
	}
}
