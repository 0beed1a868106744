// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// TestSchema breaks every bound of the Kinds' schemas in turn, in an object that uses every field. Where validation
// does not notice, the command line accepts a manifest that the API server refuses, and the compiler an object that was
// stored under an older schema.
func TestSchema(t *testing.T) {
	instant := time.Date(2027, 3, 15, 9, 0, 0, 0, time.UTC)
	flag := text().Bucketing(v1alpha1.BucketingMurmur3).Defaulted().Archived().Environment("production").Fallthrough("b").
		Schedule(instant, instant.Add(time.Hour)).Prerequisite("other", "on").Override("alice", "b").
		Rule(
			builders.MakeRule(
				"one",
			).ABTest(
				"purchase",
			).Audiences(
				"beta",
			).Condition(
				"plan",
				v1alpha1.OperatorIn,
				"beta",
			).Traffic(
				"1%",
			).HashBy(
				"userId",
			).Salt(
				"s",
			).Split(
				"a",
				1,
			),
			builders.MakeRule("two").Serve("b").Unsalted(),
		).
		Spec(func(s *v1alpha1.FeatureFlagSpec) {
			s.DisplayName, s.Description, s.Owner, s.Tags, s.Metadata = "d", "d", "o", []string{"t"}, map[string]string{"k": "v"}
			s.Variations[0].DisplayName, s.Variations[0].Payload = "A", &v1alpha1.JSON{Raw: []byte("1")}
			s.Variations[1].PayloadFrom = &v1alpha1.PayloadSource{SecretKeyRef: v1alpha1.SecretKeySelector{Name: "n", Key: "k"}}
			s.Environments[0].Schedule.TimeZone = "America/New_York"
			s.Environments[0].CodeDefault = true
			s.Environments[0].Rules[0].DisplayName = "One"
		}).Defaulted().Obj()
	environment := builders.MakeEnvironment(
		"production",
		"shop",
	).Defaulted().Production().Spec(
		func(s *v1alpha1.FlagEnvironmentSpec) {
			s.DisplayName, s.Order, s.Publish.Suspend, s.Publish.Revision, s.Datafile.Name = "P", 1, true, new(
				int64(1),
			), "flags-a.b"
			s.Publish.SuspendReason = "r"
			s.Publish.SuspendUntil = new(metav1.NewTime(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)))
			s.Datafile.Formats = s.Datafile.Formats[:1]
			s.Delivery = v1alpha1.Delivery{RefreshPods: true, Acknowledge: true, NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"a": "b"},
				MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: []string{"b"}},
				},
			}}
		},
	).Obj()
	audience := builders.MakeAudience(
		"beta",
		"shop",
	).Members(
		"alice",
	).Group(
		builders.MakeCondition("plan", v1alpha1.OperatorIn, "beta"),
	).Obj()
	audience.Spec.DisplayName = "Beta"
	event := builders.MakeEvent("purchase", "shop").Numeric("EUR").Defaulted().Obj()
	event.Spec.DisplayName, event.Spec.Description = "d", "d"

	t.Run("featureflags", func(t *testing.T) { breakSchema(t, "featureflags", flag, validation.FeatureFlag) })
	t.Run(
		"flagenvironments",
		func(t *testing.T) { breakSchema(t, "flagenvironments", environment, validation.FlagEnvironment) },
	)
	t.Run("flagaudiences", func(t *testing.T) { breakSchema(t, "flagaudiences", audience, validation.FlagAudience) })
	t.Run("flagevents", func(t *testing.T) { breakSchema(t, "flagevents", event, validation.FlagEvent) })
}

type document = map[string]any

func breakSchema[T any](t *testing.T, plural string, object *T, validate func(*T) field.ErrorList) {
	t.Helper()
	if list := validate(object); len(list) > 0 {
		t.Fatalf("the object is not valid to begin with: %v", list)
	}
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	breaker := &breaker{t: t, used: map[string]bool{}, refused: func(data []byte, path, bound string) bool {
		broken := new(T)
		if json.Unmarshal(data, broken) != nil {
			return true
		}
		return slices.ContainsFunc(validate(broken), func(err *field.Error) bool {
			if bound == "maxItems" { // One item many times may be refused for other reasons.
				return err.Field == path && err.Type == field.ErrorTypeTooMany
			}
			return err.Field != "spec" && (strings.HasPrefix(err.Field, path) || strings.HasPrefix(path, err.Field))
		})
	}}
	whole := document{}
	if err := json.Unmarshal(data, &whole); err != nil {
		t.Fatal(err)
	}
	breaker.walk(
		specSchema(t, plural),
		whole["spec"],
		"spec",
		"spec",
		func(value any) any { return document{"metadata": whole["metadata"], "spec": value} },
	)
	for _, path := range slices.Sorted(maps.Keys(breaker.used)) {
		if !breaker.used[path] {
			t.Errorf("the object of this test lacks %s", path)
		}
	}
	if breaker.count == 0 {
		t.Error("the schema bounds nothing")
	}
}

// specSchema reads the schema of a Kind's spec from its CustomResourceDefinition.
func specSchema(t *testing.T, plural string) document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "flags.jackstaff.dev_"+plural+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties struct {
							Spec document `json:"spec"`
						} `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &definition); err != nil {
		t.Fatal(err)
	}
	return definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Spec
}

// breaker breaks the bounds of a schema one by one.
type breaker struct {
	t       *testing.T
	refused func(data []byte, path, bound string) bool
	// used says of each field of the schema whether the object has it.
	used  map[string]bool
	count int
}

// try puts a value in the place of path, by around, and expects a mistake there.
func (b *breaker) try(value any, path, bound string, around func(any) any) {
	b.t.Helper()
	b.count++
	data, err := json.Marshal(around(value))
	if err != nil {
		b.t.Fatal(err)
	}
	if !b.refused(data, path, bound) {
		b.t.Errorf("%s breaks %s of the schema, which validation does not notice", path, bound)
	}
}

func (b *breaker) walk(schema document, value any, path, schemaPath string, around func(any) any) {
	b.t.Helper()
	number := func(name string) (int, bool) {
		bound, has := schema[name].(float64)
		return int(bound), has
	}
	if bound, has := number("maxLength"); has {
		b.try(strings.Repeat("a", bound+1), path, "maxLength", around)
	}
	if _, has := number("minLength"); has {
		b.try("", path, "minLength", around)
	}
	if schema["pattern"] != nil {
		b.try("-∅\a", path, "pattern", around)
	}
	if schema["enum"] != nil {
		b.try("Wrong", path, "enum", around)
		for _, known := range schema["enum"].([]any) {
			data, err := json.Marshal(around(known))
			if err != nil {
				b.t.Fatal(err)
			}
			if b.refused(data, path, "enum") {
				b.t.Errorf("%s may be %v, which validation does not know", path, known)
			}
		}
	}
	if bound, has := number("maximum"); has {
		b.try(bound+1, path, "maximum", around)
	}
	if bound, has := number("minimum"); has {
		b.try(bound-1, path, "minimum", around)
	}
	switch value := value.(type) {
	case []any:
		if bound, has := number("maxItems"); has {
			b.try(slices.Repeat(value[:1], bound+1), path, "maxItems", around)
		}
		if _, has := number("minItems"); has && schema["default"] == nil {
			b.try([]any{}, path, "minItems", around)
		}
		for i := range value {
			b.walk(schema["items"].(document), value[i], fmt.Sprintf("%s[%d]", path, i), schemaPath+"[]", func(item any) any {
				items := slices.Clone(value)
				items[i] = item
				return around(items)
			})
		}
	case document:
		b.fields(schema, value, path, schemaPath, around)
	}
}

func (b *breaker) fields(schema document, value document, path, schemaPath string, around func(any) any) {
	b.t.Helper()
	with := func(name string) func(any) any {
		return func(field any) any {
			fields := maps.Clone(value)
			fields[name] = field
			return around(fields)
		}
	}
	if bound, has := schema["maxProperties"].(float64); has {
		fields := document{}
		for i := range int(bound) + 1 {
			fields[fmt.Sprint("k", i)] = "v"
		}
		b.try(fields, path, "maxProperties", around)
	}
	if items, has := schema["additionalProperties"].(document); has {
		for name := range value {
			b.walk(items, value[name], path+"["+name+"]", schemaPath+"[]", with(name))
		}
	}
	properties, _ := schema["properties"].(document)
	for name := range properties {
		used := schemaPath + "." + name
		b.used[used] = b.used[used] || value[name] != nil
		if value[name] != nil {
			b.walk(properties[name].(document), value[name], path+"."+name, used, with(name))
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		fields := maps.Clone(value)
		delete(fields, name.(string))
		b.try(fields, path+"."+name.(string), "required", around)
	}
}
