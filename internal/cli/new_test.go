// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody begins with must be valid as it is, warn of nothing, and switch nothing on.
func TestNewIsValid(t *testing.T) {
	for line, want := range map[string][]string{
		"flag new_checkout":                 {"name: new-checkout", "key: new_checkout", "/v1.2.3/docs/schemas/featureflag."},
		"flag plain -e staging -e preview":  {"name: plain\n", "- name: staging", "- name: preview"},
		"flag on":                           {`name: "on"`},
		"flag 10%":                          {`name: "10"`, "key: 10%"},
		"flag a --type String":              {"type: String", "defaultVariation: before"},
		"flag a --type Number -n shop":      {"type: Number", "namespace: shop"},
		"flag a --type JSON --owner on":     {"type: JSON", `owner: "on"`},
		"flag a --description x:\u00a0y\t#": {"description: "},
		"event a --description x\nspec:":    {`description: "x\nspec:"`},
		"flag Ünï --name uni":               {"name: uni\n", "key: Ünï"},
		"event order_value --name value":    {"name: value\n", "key: order_value"},
		"flag b --name new-b":               {"name: new-b\n", "key: b\n"},
		"flag same --name same":             {"name: same\nspec:\n  # description"},
		"rollout a":                         {"traffic: 1%", "name: gradual"},
		"rollout a --traffic 12.5%":         {"traffic: 12.5%"},
		"environment production":            {"production: true", "deletionPolicy: Retain", "flagenvironment.schema.json"},
		"environment eu-live":               {"production: true"},
		"environment dev":                   {"production: false", "deletionPolicy: Delete"},
		"environment eu --production":       {"production: true"},
		"audience beta --description true":  {`displayName: "true"`, "flagaudience.schema.json"},
		"event order_value":                 {"name: order-value", "key: order_value", "type: Conversion"},
		"event revenue --type Numeric":      {"type: Numeric", "flagevent.schema.json"},
	} {
		t.Run(line, func(t *testing.T) {
			made := jackstaff(t.Context(), "", append([]string{"new"}, strings.Split(line, " ")...)...)
			if made.code != 0 || !strings.HasPrefix(made.out, "# yaml-language-server: $schema=https://") {
				t.Fatalf("it ends with %d: %s%s", made.code, made.out, made.err)
			}
			for _, part := range want {
				if !strings.Contains(made.out, part) {
					t.Errorf("%q is not in\n%s", part, made.out)
				}
			}
			if checked := jackstaff(t.Context(), made.out, "validate", "--strict", "-"); checked.code != 0 {
				t.Errorf("it is not valid: %s\n%s", checked.out, made.out)
			}
			if strings.Contains(made.out, "enabled: true") {
				t.Errorf("to apply it switches something on:\n%s", made.out)
			}
		})
	}
}

// A pipeline must not go on where a subcommand is misspelt.
func TestUnknownSubcommands(t *testing.T) {
	for _, group := range []string{"new", "break-glass"} {
		if made := jackstaff(t.Context(), "", group, "bogus"); made.code != 2 || !strings.Contains(made.err, "bogus") {
			t.Errorf("%s bogus ends with %d and says %s", group, made.code, made.err)
		}
		if made := jackstaff(t.Context(), "", group); made.code != 0 || !strings.Contains(made.out, "Available Commands") {
			t.Errorf("%s ends with %d and says %s", group, made.code, made.out)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"flag":                     "accepts 1 arg",
		"flag a --type Strin":      `spec.type: Unsupported value: "Strin"`,
		"flag Ünï":                 `"Ünï" has letters that a name in Kubernetes cannot have`,
		"rollout naïve":            "give a name of lowercase letters, digits and hyphens with --name",
		"event größe":              "spec.key",
		"flag a --name A_b":        "write --name a-b",
		"flag a -e Prod":           "write --environment prod",
		"flag a -e x -e x":         "Duplicate value",
		"flag a -n Shop":           "write --namespace shop",
		"flag ---":                 "bad flag syntax",
		"flag -- %%":               "has no letter or digit",
		"rollout a --traffic 200%": "spec.environments[0].rules[0].traffic",
		"rollout a --traffic 1\n2": "traffic",
		"environment My_Env":       "write the name my-env",
		"audience Big_Name":        "write the name big-name",
		"event a --type Count":     `spec.type: Unsupported value: "Count"`,
		"nothing":                  `unknown command "nothing"`,
	} {
		t.Run(line, func(t *testing.T) {
			made := jackstaff(t.Context(), "", append([]string{"new"}, strings.Split(line, " ")...)...)
			if made.code != 2 || made.out != "" || !strings.Contains(made.err, want) {
				t.Errorf("it ends with %d and says %s%s, want %q", made.code, made.out, made.err, want)
			}
		})
	}
}

// A name that is refused is refused once, at its field.
func TestNewNamesAMistakeOnce(t *testing.T) {
	made := jackstaff(t.Context(), "", "new", "environment", "r1-r2")
	if made.code != 2 || strings.Count(made.err, "Invalid value") != 1 || strings.Contains(made.err, "<nil>") ||
		!strings.Contains(made.err, `FlagEnvironment r1-r2: metadata.name: Invalid value: "r1-r2"`) {
		t.Errorf("it ends with %d and says %s", made.code, made.err)
	}
}

// A file that somebody has filled in must not be lost.
func TestNewWritesNewFilesOnly(t *testing.T) {
	directory := t.TempDir()
	for _, line := range []string{"flag new_checkout", "environment production", "audience beta"} {
		arguments := append([]string{"new"}, strings.Split(line, " ")...)
		made := jackstaff(t.Context(), "", append(arguments, "--filename", directory)...)
		if made.code != 0 || made.out != "" {
			t.Errorf("%s ends with %d: %s%s", line, made.code, made.out, made.err)
		}
	}
	path := filepath.Join(directory, "new-checkout.yaml")
	second := jackstaff(t.Context(), "", "new", "rollout", "second", "-e", "staging", "--filename", directory)
	if first := "-f " + filepath.Join(directory, "staging.yaml") + " -f "; !strings.Contains(second.err, first) ||
		os.Remove(filepath.Join(directory, "second.yaml")) != nil {
		t.Errorf("nobody is told to apply environments before flags, but %s", second.err)
	}
	if checked := jackstaff(t.Context(), "", "validate", "--strict", directory); checked.code != 0 ||
		!strings.Contains(checked.out, "3 objects checked") {
		t.Errorf("together they are not valid: %s", checked.out)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := jackstaff(t.Context(), "", "new", "flag", "new_checkout", "--filename", path)
	if kept := read(t, directory, "new-checkout.yaml"); again.code != 1 || string(kept) != "mine" ||
		!strings.Contains(again.err, "is there already") {
		t.Errorf("it ends with %d, says %s, and the file holds %s", again.code, again.err, kept)
	}
	missing := jackstaff(t.Context(), "", "new", "flag", "a", "--filename", filepath.Join(directory, "no", "a.yaml"))
	if missing.code != 1 || !strings.Contains(missing.err, "no such file") {
		t.Errorf("it ends with %d: %s", missing.code, missing.err)
	}
}
