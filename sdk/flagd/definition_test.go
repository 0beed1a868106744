// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

var update = flag.Bool("update", false, "write the .out.yaml files anew")

// source is the flags and audiences of a .in.yaml file.
type source struct {
	Flags     map[string]*datafile.Flag     `json:"flags"`
	Audiences map[string]*datafile.Audience `json:"audiences"`
}

func (s source) Flag(key string) (*datafile.Flag, bool) {
	flag, found := s.Flags[key]
	return flag, found
}

func (s source) Audience(name string) (*datafile.Audience, bool) {
	audience, found := s.Audiences[name]
	return audience, found
}

// TestGolden compares the definitions, or why there is none, of the flags in testdata.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no input: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			data, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			var flags source
			if err := unmarshal(data, &flags); err != nil {
				t.Fatal(err)
			}
			results := map[string]any{}
			for key, flag := range flags.Flags {
				for i, variation := range flag.Variations {
					if flag.Variations[i].Value, err = datafile.Canonical(variation.Value); err != nil {
						t.Fatal(err)
					}
				}
				results[key] = define(t, flags, key)
			}
			output := strings.TrimSuffix(input, ".in.yaml") + ".out.yaml"
			if *update {
				text, err := yaml.Marshal(results)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(output, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			data, err = os.ReadFile(output)
			if err != nil {
				t.Fatalf("%v; write it with -update", err)
			}
			var want map[string]any
			if err := unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if diff := diff.Diff(want, results); diff != "" {
				t.Errorf("what is published changes: %s", diff)
			}
		})
	}
}

// unmarshal reads YAML into a value whose fields have JSON names, and refuses fields that it does not have.
func unmarshal(data []byte, into any) error {
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		return err
	}
	document, err := json.Marshal(value)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// define returns the definition, or the error's text.
func define(t *testing.T, flags source, key string) any {
	t.Helper()
	definition, err := flagd.Definition(flags, key)
	if err != nil {
		return "error: " + err.Error()
	}
	again, err := flagd.Definition(flags, key)
	if err != nil || !bytes.Equal(definition, again) {
		t.Errorf("%s: the same flag gives other bytes: %s and %s, %v", key, definition, again, err)
	}
	canonical, err := datafile.Canonical(definition)
	if strings.Count(string(definition), "{") < 30 && (err != nil || !bytes.Equal(definition, canonical)) {
		t.Errorf("%s: not canonical: %s, want %s, %v", key, definition, canonical, err)
	}
	var value any
	if err := json.Unmarshal(definition, &value); err != nil {
		t.Errorf("%s: not JSON: %v", key, err)
	}
	return value
}

func boolean(prerequisites ...string) *datafile.Flag {
	f := &datafile.Flag{
		Type: datafile.Boolean, Enabled: true, DefaultVariation: "off", Fallthrough: "on",
		Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
	}
	for _, prerequisite := range prerequisites {
		f.Prerequisites = append(f.Prerequisites, datafile.Prerequisite{Flag: prerequisite, Variations: []string{"on"}})
	}
	return f
}

// TestBounds fails where prerequisites or lists make a definition, or the time to write it, grow without end.
func TestBounds(t *testing.T) {
	undecided := boolean()
	undecided.Rules = []datafile.Rule{
		{Name: "a", Variation: "off", Conditions: []datafile.Condition{{Attribute: "plan", Operator: datafile.Exists}}},
	}
	wide := source{Flags: map[string]*datafile.Flag{"flag-0": undecided}}
	for i := range 30 {
		previous := fmt.Sprintf("flag-%d", i)
		wide.Flags[fmt.Sprintf("flag-%d", i+1)] = boolean(previous, previous, previous, previous)
	}
	deep := source{Flags: map[string]*datafile.Flag{"flag-0": undecided}}
	for i := range 10_000 {
		deep.Flags[fmt.Sprintf("flag-%d", i+1)] = boolean(fmt.Sprintf("flag-%d", i))
	}
	cycle := source{
		Flags: map[string]*datafile.Flag{"a": boolean("b"), "b": boolean("c"), "c": boolean("a"), "self": boolean("self")},
	}
	long := source{
		Flags:     map[string]*datafile.Flag{"flag": boolean()},
		Audiences: map[string]*datafile.Audience{"many": {}},
	}
	for i := range 20_000 {
		long.Audiences["many"].Members = append(
			long.Audiences["many"].Members,
			fmt.Sprintf("subject-with-a-long-targeting-key-%08d", i),
		)
	}
	long.Flags["flag"].Rules = []datafile.Rule{{Name: "a", Variation: "off", Audiences: []string{"many"}}}
	for name, tc := range map[string]struct {
		flags source
		key   string
		want  string // Empty where it can be said.
	}{
		"few ways":        {wide, "flag-5", ""},
		"many ways":       {wide, "flag-30", "768 KiB"},
		"short chain":     {deep, "flag-31", ""},
		"long chain":      {deep, "flag-32", "more than 32 prerequisites"},
		"very long chain": {deep, "flag-10000", "more than 32 prerequisites"},
		"cycle":           {cycle, "a", `prerequisite "b", prerequisite "c", prerequisite "a", a prerequisite that leads back`},
		"requires itself": {cycle, "self", "leads back"},
		"many members":    {long, "flag", "768 KiB"},
	} {
		definition, err := flagd.Definition(tc.flags, tc.key)
		if tc.want == "" {
			if err != nil || len(definition) > flagd.MaxDefinitionSize {
				t.Errorf("%s: %d bytes, %v", name, len(definition), err)
			}
			continue
		}
		notExpressible := new(flagd.NotExpressibleError)
		if !errors.As(err, &notExpressible) || !strings.Contains(notExpressible.Construct, tc.want) {
			t.Errorf("%s: %v, want %q not to be expressible", name, err, tc.want)
		}
	}
}

func TestEncode(t *testing.T) {
	definitions := &datafile.Section{}
	for _, key := range slices.Sorted(maps.Keys(map[string]bool{"b": true, `a"`: true})) {
		definitions.Put(datafile.RawPart(key, []byte(`{"state":"ENABLED"}`)))
	}
	got := flagd.Encode(datafile.Header{Environment: "prod", Project: "<shop>", Revision: 42}, definitions)
	const want = `{"flags":{"a\"":{"state":"ENABLED"},"b":{"state":"ENABLED"}},"metadata":{"environment":"prod","flagSetId":"<shop>.prod","project":"<shop>","revision":42,"version":"42"}}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := flagd.Encode(
		datafile.Header{},
		&datafile.Section{},
	); string(
		got,
	) != `{"flags":{},"metadata":{"environment":"","flagSetId":".","project":"","revision":0,"version":"0"}}` {
		t.Errorf("an empty file is %s", got)
	}
}

func TestDefinitionOfWhatIsNotServed(t *testing.T) {
	retained := boolean()
	retained.Retained = true
	for _, key := range []string{"gone", "retained"} {
		_, err := flagd.Definition(source{Flags: map[string]*datafile.Flag{"retained": retained}}, key)
		if notExpressible := new(flagd.NotExpressibleError); err == nil || errors.As(err, &notExpressible) {
			t.Errorf("%s: %v, want an error that says that the flag is not served", key, err)
		}
	}
}

// FuzzDefinition fails where a flag, whatever it is, makes the file unreadable, for that would take all other flags
// with it.
func FuzzDefinition(f *testing.F) {
	f.Add(
		[]byte(
			`{"type":"Boolean","enabled":true,"defaultVariation":"off","variations":[{"key":"on","value":true},{"key":"off","value":false}],"overrides":{"\u0000":"on"},
		"rules":[{"name":"r","variation":"on","traffic":5,"salt":"\"","audiences":["a"],"conditions":[{"attribute":"a.b","operator":"In","values":["\ud800","1e999","-0"]}]}]}`,
		),
	)
	f.Add(
		[]byte(
			`{"enabled":true,"prerequisites":[{"flag":"flag","variations":["on"]}],"schedule":{"enableAt":"0000-01-01T00:00:00Z"}}`,
		),
	)
	f.Add(
		[]byte(
			`{"enabled":true,"variations":[{"key":"","value":1}],"rules":[{"split":[{"variation":"","weight":-5},{"variation":"x","weight":3}],"hashAttribute":"."}]}`,
		),
	)
	f.Add([]byte(`{"enabled":true,"variations":[{"key":"","value":1}],"rules":[{"split":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		flag := &datafile.Flag{}
		if json.Unmarshal(data, flag) != nil {
			return
		}
		flags := source{
			Flags: map[string]*datafile.Flag{"flag": flag},
			Audiences: map[string]*datafile.Audience{
				"a": {Members: []string{"x"}, Groups: []datafile.Group{{Conditions: []datafile.Condition{{}}}}},
			},
		}
		if definition, err := flagd.Definition(
			flags,
			"flag",
		); err == nil &&
			(!json.Valid(definition) || len(definition) > flagd.MaxDefinitionSize) {
			t.Errorf("the definition of %s is not JSON or too large: %s", data, definition)
		}
	})
}
