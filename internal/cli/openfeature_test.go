// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/importer"
)

// declared are flags of each type, by what a flag manifest says of them. Empty is one that it has no place for.
func declared() map[*v1alpha1.FeatureFlag]string {
	flag := func(key string, of v1alpha1.FlagType, values ...string) *v1alpha1.FeatureFlag {
		b := builders.MakeFlag(strings.ToLower(key), "shop").Key(key).Type(of).DefaultVariation("a")
		for i, value := range values {
			b = b.Variation(string(rune('a'+i)), value)
		}
		made := b.Obj()
		made.Spec.Description = "about " + key
		return made
	}
	return map[*v1alpha1.FeatureFlag]string{
		flag("off", v1alpha1.FlagTypeBoolean, "false", "true"):       `"flagType":"boolean","defaultValue":false`,
		flag("on", v1alpha1.FlagTypeBoolean, "true", "false"):        `"flagType":"boolean","defaultValue":true`,
		flag("text", v1alpha1.FlagTypeString, `"x \"y\""`, `"z"`):    `"flagType":"string","defaultValue":"x \"y\""`,
		flag("integer", v1alpha1.FlagTypeNumber, "9007199254740991"): `"flagType":"integer","defaultValue":9007199254740991`,
		flag("float", v1alpha1.FlagTypeNumber, "1", "0.5"):           `"flagType":"float","defaultValue":1`,
		flag("big", v1alpha1.FlagTypeNumber, "1e3"):                  `"flagType":"float","defaultValue":1e3`,
		flag("object", v1alpha1.FlagTypeJSON, `{"a":[1]}`, `{}`):     `"flagType":"object","defaultValue":{"a":[1]}`,
		flag("array", v1alpha1.FlagTypeJSON, `{}`, `[1]`):            "",
		flag("lost", v1alpha1.FlagTypeString):                        "",
	}
}

// Code that is generated must ask for each flag by the type that it has, or a flag reads as the default in the code.
func TestDeclare(t *testing.T) {
	archived := builders.MakeFlag("archived", "shop").Boolean().Archived().Obj()
	flags := []v1alpha1.FeatureFlag{*archived}
	want := map[string]string{}
	lost := 0
	for flag, says := range declared() {
		flags = append(flags, *flag)
		if says == "" {
			lost++
			continue
		}
		want[flag.Key()] = "{" + says + `,"description":"about ` + flag.Key() + `"}`
	}
	made, losses := declare(flags)
	got := map[string]string{}
	for key := range made.Flags {
		text, err := json.Marshal(made.Flags[key])
		if err != nil {
			t.Fatal(err)
		}
		got[key] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if len(losses) != lost {
		t.Errorf("it says %q of %d flags that are left out", losses, lost)
	}
}

// What was exported comes back as flags of the same keys, types and defaults, which decide nothing yet.
func TestDeclaredFlagsComeBack(t *testing.T) {
	var flags []v1alpha1.FeatureFlag
	for flag, says := range declared() {
		if says != "" {
			flags = append(flags, *flag)
		}
	}
	made, _ := declare(flags)
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	back, err := importer.Flagd(text, "shop", "production")
	if err != nil || len(back.Losses) > 0 || len(back.Flags) != len(flags) {
		t.Fatalf("%d flags of %d come back, without %v: %v", len(back.Flags), len(flags), back.Losses, err)
	}
	for _, flag := range back.Flags {
		if flag.EnabledIn("production") || !flag.In("production").CodeDefault {
			t.Errorf("%s decides something: %+v", flag.Key(), flag.Spec.Environments)
		}
	}
	values := make([]v1alpha1.FeatureFlag, 0, len(back.Flags))
	for _, flag := range back.Flags {
		values = append(values, *flag)
	}
	again, _ := declare(values)
	// A number without a fraction in its only variation is an integer.
	float := again.Flags["float"]
	float.FlagType = "float"
	again.Flags["float"] = float
	if diff := cmp.Diff(made, again); diff != "" {
		t.Errorf("the manifest (-first +again):\n%s", diff)
	}
}

func TestDeclarationsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"flagType": "boolean", "defaultValue": "true"}`:              "not of the flagType boolean",
		`{"flagType": "integer", "defaultValue": 1.5}`:                 "not of the flagType integer",
		`{"flagType": "string", "defaultValue": 1}`:                    "not of the flagType string",
		`{"flagType": "float", "defaultValue": null}`:                  "not of the flagType float",
		`{"flagType": "object", "defaultValue": []}`:                   "not of the flagType object",
		`{"flagType": "date", "defaultValue": "x"}`:                    `flagType "date" is none of`,
		`{"flagType": "boolean"}`:                                      "defaultValue",
		`{"flagType": 1, "defaultValue": true}`:                        "flagType is of type number",
		`{"flagType": "boolean", "defaultValue": true, "bogus": true}`: `"bogus" is unknown`,
	} {
		found, err := importer.Flagd([]byte(`{"flags": {"a": `+text+`}}`), "shop", "production")
		if err != nil || len(found.Losses) != 1 || !strings.Contains(found.Losses[0].Reason, want) {
			t.Errorf("%s: %+v, %v; want %q", text, found, err, want)
		}
	}
}
