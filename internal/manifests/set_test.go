// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
)

func load(t testing.TB, files ...manifests.File) *manifests.Set {
	t.Helper()
	set, err := manifests.Load(t.Context(), files, "default")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// places are the line, rule and field of problems.
func places(set *manifests.Set) []string {
	var found []string
	for _, problem := range set.Problems {
		found = append(
			found,
			strings.TrimRight(fmt.Sprintf("%d %s %s %s", problem.Line, problem.Severity, problem.Rule, problem.Field), " "),
		)
	}
	return found
}

func TestMistakesHaveTheirPlace(t *testing.T) {
	data, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set := load(t, manifests.File{Name: "mistakes.yaml", Data: data})
	want := []string{
		"6 error UnknownField metadata.colour",
		"12 error FieldValueInvalid spec.defaultVariation",
		"14 warning NotFound spec.environments[0].name",
		"17 error FieldValueForbidden spec.environments[0].rules[0]",
		"18 error UnknownField spec.environments[0].rules[0].bogus",
		"19 error FieldValueInvalid spec.environments[0].rules[0].traffic",
		"29 error FieldValueTypeInvalid spec.variations[0].key",
		"37 error Syntax",
		"40 error UnknownKind kind",
		"43 error UnknownKind kind",
		"45 error Syntax",
		"53 error FieldValueInvalid metadata.name",
		"55 error FieldValueNotSupported spec.deletionPolicy",
		"56 error FieldValueInvalid spec.order",
	}
	if delta := cmp.Diff(want, places(set)); delta != "" {
		t.Errorf("problems (-want +got):\n%s", delta)
	}
	if set.Skipped != 1 {
		t.Errorf("%d documents are skipped, want the ConfigMap", set.Skipped)
	}
}

// What an anchor has for several environments may differ in one of them, as kubectl takes it.
func TestAMergedFieldMayBeOverridden(t *testing.T) {
	const environments = `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: checkout, namespace: shop}
spec:
  type: Boolean
  defaultVariation: "off"
  environments:
  - &usual
    name: production
    enabled: true
    rules: [{name: beta, conditions: [{attribute: plan, operator: In, values: [beta]}], variation: "on"}]
  - <<: *usual
    name: staging
`
	set := load(t, manifests.File{Name: "flag.yaml", Data: []byte(environments)})
	flags := set.Flags
	if len(flags) != 1 || len(flags[0].Spec.Environments) != 2 {
		t.Fatalf("the flag is not read: %v", places(set))
	}
	if staging := flags[0].Spec.Environments[1]; staging.Name != "staging" || !staging.Enabled || len(staging.Rules) != 1 {
		t.Errorf("staging is %+v", staging)
	}
	set = load(
		t,
		manifests.File{Name: "flag.yaml", Data: []byte(environments + "    enabled: true\n    enabled: false\n")},
	)
	if delta := cmp.Diff([]string{"13 error Syntax"}, places(set)); delta != "" {
		t.Errorf("a field is there twice (-want +got):\n%s", delta)
	}
}

// A share that cannot be read is not a weight of 0, and nobody who reads of one finds the mistake.
func TestWhatCannotBeReadIsNotWarnedOf(t *testing.T) {
	const manifest = `apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: a}
spec:
  type: Boolean
  environments:
  - name: production
    enabled: true
    rules:
    - name: half
      split:
      - {variation: "on", weight: 0.5}
      - {variation: "off", weight: 0}
`
	want := []string{
		"12 error FieldValueTypeInvalid spec.environments[0].rules[0].split[0].weight",
		"13 warning ZeroWeight spec.environments[0].rules[0].split[1].weight",
	}
	if diff := cmp.Diff(want, places(load(t, manifests.File{Name: "a.yaml", Data: []byte(manifest)}))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestFilesAreOneSet(t *testing.T) {
	flag := func(name, key, requires string) string {
		return fmt.Sprintf(`apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: %s}
spec:
  key: %s
  type: Boolean
  variations: [{key: "off", value: false}, {key: "on", value: true}]
  defaultVariation: "off"
  environments: [{name: production, prerequisites: [{flag: %s, variations: ["on"]}]}]
`, name, key, requires)
	}
	file := func(name, data string) manifests.File { return manifests.File{Name: name, Data: []byte(data)} }
	environment := file(
		"e.json",
		"{\n\t\"apiVersion\": \"flags.jackstaff.dev/v1alpha1\",\n\t\"kind\": \"FlagEnvironment\",\n\t\"metadata\": {\"name\": \"production\"}, \"spec\": {\"production\": true}\n}",
	)
	for name, tc := range map[string]struct {
		files []manifests.File
		want  []string
	}{
		"a reference into another file": {
			files: []manifests.File{environment, file("a.yaml", flag("a", "a", "b")), file("b.yaml", strings.Split(flag("b", "b", ""), "  environments")[0])},
		},
		"a reference to nothing": {
			files: []manifests.File{environment, file("a.yaml", flag("a", "a", "b"))},
			want:  []string{"9 warning NotFound spec.environments[0].prerequisites[0].flag"},
		},
		"a cycle": {
			files: []manifests.File{environment, file("a.yaml", flag("a", "a", "b")), file("b.yaml", flag("b", "b", "a"))},
			want: []string{
				"9 warning PrerequisiteCycle spec.environments[0].prerequisites",
				"9 warning PrerequisiteCycle spec.environments[0].prerequisites",
			},
		},
		"an environment that is named like production": {
			files: []manifests.File{file("e.yaml", strings.Replace(string(environment.Data), "true", "false", 1))},
			want:  []string{"4 warning NamedLikeProduction spec.production"},
		},
		"what the flagd file cannot carry": {
			files: []manifests.File{environment, file("a.yaml", strings.Split(flag("a", "a", ""), "prerequisites")[0]+
				`enabled: true, rules: [{name: r, conditions: [{attribute: email, operator: Matches, values: [x]}], variation: "on"}]}]`)},
			want: []string{"4 warning NotInFlagd spec"},
		},
		"the same key": {
			files: []manifests.File{file("a.yaml", strings.Split(flag("a", "same", ""), "  environments")[0]), file("b.yaml", strings.Split(flag("b", "same", ""), "  environments")[0])},
			want:  []string{"5 warning KeyTaken spec.key"},
		},
		"the same object": {
			files: []manifests.File{environment, file("f.json", string(environment.Data))},
			want:  []string{"4 error DuplicateObject metadata.name"},
		},
		"a list": {
			files: []manifests.File{environment, file("list.yaml", `apiVersion: v1
kind: List
items:
- apiVersion: flags.jackstaff.dev/v1alpha1
  kind: FlagEvent
  metadata: {name: purchase}
  spec:
    type: Wrong
`)},
			want: []string{"8 error FieldValueNotSupported spec.type"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if delta := cmp.Diff(tc.want, places(load(t, tc.files...))); delta != "" {
				t.Errorf("problems (-want +got):\n%s", delta)
			}
		})
	}
}

func TestDefaultsAreTheClusters(t *testing.T) {
	set := load(t, manifests.File{Name: "a.yaml", Data: []byte(`
apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: a}
spec:
  type: Boolean
  variations: [{key: "off", value: false}, {key: "on", value: true}]
  defaultVariation: "off"
  environments: [{name: production, rules: [{name: everybody, variation: "on"}]}]
status: {phase: Archived}
`)})
	if len(set.Flags) != 1 {
		t.Fatalf("there are %d flags: %v", len(set.Flags), set.Problems)
	}
	flag := set.Flags[0]
	rule := flag.Spec.Environments[0].Rules[0]
	if flag.Namespace != "default" || flag.Spec.Key != "a" || rule.Traffic != "100%" ||
		rule.Type != v1alpha1.RuleTypeTargetedDelivery ||
		flag.Status.Phase != "" {
		t.Errorf("the flag is %+v", flag)
	}
}

func TestRead(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"b.yaml", "a.yml", "c.json", "d.txt", ".hidden.yaml", ".git/e.yaml", "sub/f.yaml"} {
		name = filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := manifests.Read(
		[]string{directory, filepath.Join(directory, "d.txt"), directory, "-"},
		strings.NewReader("x"),
	)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		got = append(got, strings.TrimPrefix(filepath.ToSlash(file.Name), filepath.ToSlash(directory)+"/"))
	}
	if want := []string{"a.yml", "b.yaml", "c.json", "sub/f.yaml", "d.txt", "<stdin>"}; !cmp.Equal(want, got) {
		t.Errorf("the files are %q, want %q", got, want)
	}
	if _, err := manifests.Read([]string{t.TempDir()}, nil); !errors.Is(err, manifests.ErrNoFiles) {
		t.Errorf("of an empty directory the error is %v", err)
	}
	if _, err := manifests.Read([]string{filepath.Join(directory, "none")}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a path that is not there the error is %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "new-checkout.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	files := make([]manifests.File, 1000)
	for i := range files {
		files[i] = manifests.File{
			Name: strconv.Itoa(i),
			Data: []byte(strings.Replace(string(data), "name: new-checkout", fmt.Sprint("name: flag-", i), 1)),
		}
	}
	for b.Loop() {
		load(b, files...)
	}
}
