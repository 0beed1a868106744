// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/murmur3"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/importer"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

var update = flag.Bool("update", false, "write the golden file")

func readInput(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/flags.in.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func importFlags(t *testing.T, data []byte) *importer.Result {
	t.Helper()
	result, err := importer.Flagd(data, "shop", "production")
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestGolden(t *testing.T) {
	got, err := yaml.Marshal(importFlags(t, readInput(t)))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/flags.out.yaml"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if delta := cmp.Diff(string(want), string(got)); delta != "" {
		t.Errorf("manifests (-want +got):\n%s", delta)
	}
}

// TestResourceHoldsTheSame wraps the file into the resource of the OpenFeature operator.
func TestResourceHoldsTheSame(t *testing.T) {
	data := readInput(t)
	resource := `{"apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag", "spec": {"flagSpec": ` + string(
		data,
	) + `}}`
	if delta := cmp.Diff(importFlags(t, data), importFlags(t, []byte(resource))); delta != "" {
		t.Errorf("the resource holds something else:\n%s", delta)
	}
}

func TestWrongDocuments(t *testing.T) {
	for name, tc := range map[string]struct{ data, want string }{
		"no flags":         {`{}`, "has no flags"},
		"another Kind":     {`{"apiVersion": "v1", "kind": "ConfigMap"}`, "ConfigMap of v1"},
		"not even a file":  {`[`, "read flag definitions"},
		"our own resource": {`{"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FeatureFlag"}`, "no FeatureFlag of core.openfeature.dev, but FeatureFlag of flags.jackstaff.dev/v1alpha1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := importer.Flagd(
				[]byte(tc.data),
				"shop",
				"production",
			); err == nil ||
				!strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want %q", err, tc.want)
			}
		})
	}
}

// TestFilesAsTheyAre imports what real repositories and clusters hold.
func TestFilesAsTheyAre(t *testing.T) {
	const flag = `{"variants": {"on": true, "off": false}, "defaultVariant": "off"}`
	resource := func(namespace, key string) string {
		return `{"apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag", "metadata": {"name": "x", "namespace": "` +
			namespace + `"}, "spec": {"flagSpec": {"flags": {"` + key + `": ` + flag + `}}}}`
	}
	for name, tc := range map[string]struct {
		namespace string
		files     []string
		// want are namespace/key=description state metadata of each flag, lost the keys that were left out.
		want, lost []string
		skipped    map[string]int
	}{
		"several documents, other Kinds among them": {
			files: []string{resource("shop", "a") + "\n---\n{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"}\n---\n\n---\n" +
				resource("pay", "b")},
			want:    []string{"shop/a", "pay/b"},
			skipped: map[string]int{"ConfigMap of v1": 1},
		},
		"a List": {
			files: []string{`{"apiVersion": "v1", "kind": "List", "items": [` + resource("shop", "a") + `,` + resource("shop", "b") + `]}`},
			want:  []string{"shop/a", "shop/b"},
		},
		"several files": {
			files: []string{`{"flags": {"a": ` + flag + `}}`, resource("shop", "a")},
			want:  []string{"default/a", "shop/a"},
		},
		"a namespace that is asked for": {
			namespace: "team",
			files:     []string{resource("shop", "a")},
			want:      []string{"team/a"},
		},
		"one wrong type loses one flag": {
			files: []string{`{"flags": {"a": ` + flag + `, "b": {"variants": ["on"]}, "c": 3, "d": {"state": 1}}}`},
			want:  []string{"default/a"},
			lost: []string{
				"b: the flag is left out: variants is of type array; it must be of type object",
				"c: the flag is left out: the definition is of type number; it must be of type object",
				"d: the flag is left out: state is of type number; it must be of type string",
			},
		},
		"what flagd has no place for": {
			files: []string{
				`{"$schema": "x", "owner": "me", "flags": {"a": {"variants": {"on": true, "off": false}, "defaultVariant": "off", "rollout": 5}}}`,
				`{"apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag", "metadata": {"labels": {"team": "x"}}, "spec": {"syncs": 1, "flagSpec": {"flags": {"b": ` + flag + `}, "x": 1}}}`,
				`{"apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag", "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, "spec": {"flagSpec": {"flags": {"c": ` + flag + `}}}}`,
			},
			want: []string{"default/a", "default/b", "default/c"},
			lost: []string{
				`: "owner" is unknown to flagd, and left out`,
				`a: "rollout" is unknown to flagd, and left out`,
				`: labels and annotations of resources are left out; flags have their own`,
				`: spec."syncs" is unknown to flagd, and left out`,
				`: spec.flagSpec."x" is unknown to flagd, and left out`,
			},
		},
		"YAML as flagd reads it": {
			files: []string{"flags:\n  a:\n    description: Off again\n    state: disabled\n    variants: {on: true, off: false}\n" +
				"    defaultVariant: on\n    metadata: {id: 12345678901234567890, rate: 1.50, text: \"7\"}\n"},
			want: []string{"default/a=Off again disabled [id=12345678901234567890 rate=1.50 text=7]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			imported := importer.New(importer.Options{Namespace: tc.namespace, Environment: "production"})
			for _, file := range tc.files {
				if err := imported.Add([]byte(file)); err != nil {
					t.Fatal(err)
				}
			}
			result, err := imported.Result()
			if err != nil {
				t.Fatal(err)
			}
			var got, lost []string
			for _, flag := range result.Flags {
				got = append(got, flag.Namespace+"/"+flag.Spec.Key+told(flag))
			}
			for _, loss := range result.Losses {
				lost = append(lost, loss.Flag+": "+loss.Reason)
			}
			if delta := cmp.Diff(tc.want, got); delta != "" {
				t.Errorf("flags (-want +got):\n%s", delta)
			}
			if delta := cmp.Diff(tc.lost, lost); delta != "" {
				t.Errorf("losses (-want +got):\n%s", delta)
			}
			if delta := cmp.Diff(tc.skipped, result.Skipped, cmpopts.EquateEmpty()); delta != "" {
				t.Errorf("skipped (-want +got):\n%s", delta)
			}
		})
	}
}

// told is what else a flag says of itself.
func told(flag *v1alpha1.FeatureFlag) string {
	if flag.Spec.Description == "" {
		return ""
	}
	state := "enabled"
	if !flag.Spec.Environments[0].Enabled {
		state = "disabled"
	}
	var metadata []string
	for _, key := range slices.Sorted(maps.Keys(flag.Spec.Metadata)) {
		metadata = append(metadata, key+"="+flag.Spec.Metadata[key])
	}
	return fmt.Sprintf("=%s %s %v", flag.Spec.Description, state, metadata)
}

// TestAliases fails where a small file with aliases of aliases takes the memory of a large one.
func TestAliases(t *testing.T) {
	var text strings.Builder
	text.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&text, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	if _, err := importer.Flagd(
		[]byte(text.String()),
		"",
		"production",
	); err == nil ||
		!strings.Contains(err.Error(), "values") {
		t.Errorf("the error is %v", err)
	}
}

// TestImportedFlagsServeTheSame evaluates imported flags for contexts whose answer in flagd is known.
func TestImportedFlagsServeTheSame(t *testing.T) {
	result := importFlags(t, readInput(t))
	compiled := compile.NewEnvironment("production", nil)
	for _, flag := range result.Flags {
		flag.Default()
		compiled.SetFlag(flag)
	}
	for _, audience := range result.Audiences {
		compiled.SetAudience(audience)
	}
	compiled.Compile()
	document, err := compiled.Contents().Document()
	if err != nil {
		t.Fatal(err)
	}
	document.Header = datafile.Header{Project: "shop", Environment: "production"}
	engine, err := evaluate.New(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ flag, context, want string }{
		{"newCheckout", `{}`, "off"},
		{"newCheckout", `{"email": "a@example.com"}`, "on"},
		{"newCheckout", `{"email": "a@example.com", "country": "NL"}`, "off"},
		{"newCheckout", `{"plan": "gold", "country": "DE"}`, "on"},
		{"newCheckout", `{"app": {"version": "2.4.1"}, "age": 20}`, "off"}, // There is nothing to hash.
		{"newCheckout", `{"age": 20}`, "on"},
		{"newCheckout", `{"age": 30}`, "off"},
		{"newCheckout", `{"targetingKey": "alice"}`, "on"},
		{"newCheckout", `{"targetingKey": "bob"}`, "off"},
		{" by itself", `{}`, ""},
		{"by-email", `{"email": "a@example.com"}`, ""}, // It is disabled: code gets its own default.
		{"timed", `{}`, "off"},
		{"truthy", `{"staff": true}`, "true"},
		{"truthy", `{"name": "xy"}`, "false"},
		{"opposite", `{"age": 3}`, "on"},
		{"opposite", `{"age": 30}`, "off"},
		{"opposite", `{}`, "on"}, // A missing number counts as 0.
		{"colour", `{}`, "blue"}, // The hash of "colour:" alone.
		// The assignments of the hash are those of flagd's documentation of "fractional": MurmurHash3 of the flag's key and
		// the targeting key.
		{"newCheckout", `{"targetingKey": "k1", "app": {"version": "2.4.1"}}`, bucketOf("newCheckoutk1", 10)},
		{"newCheckout", `{"targetingKey": "k2", "app": {"version": "2.4.1"}}`, bucketOf("newCheckoutk2", 10)},
	} {
		context := map[string]any{}
		if err := json.Unmarshal([]byte(tc.context), &context); err != nil {
			t.Fatal(err)
		}
		got := ""
		if result := engine.Evaluate(tc.flag, context, time.Time{}); result.Variation != nil {
			got = result.Variation.Key
		}
		if got != tc.want {
			t.Errorf("%s of %s is %q, want %q", tc.flag, tc.context, got, tc.want)
		}
	}
}

// bucketOf is "on" where a key is among the first percent of the hash's values, else "off".
func bucketOf(key string, percent uint64) string {
	if uint64(murmur3.StringSum32(key))*100>>32 < percent {
		return "on"
	}
	return "off"
}
