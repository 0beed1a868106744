// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance compares what is published with what the real clients make of it: random flags and contexts are
// evaluated by the engine, and by the evaluators that flagd's SDKs are built on. "make conformance" runs it with all of
// them; by itself it leaves out the one for JavaScript, unless its packages are installed (npm ci) and
// CONFORMANCE_NODE=node is set.
package conformance

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	schemas "github.com/open-feature/flagd-schemas/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

var (
	seed = flag.Uint64(
		"seed",
		uint64(time.Now().UnixNano()),
		"seed of the random flags and contexts; a failure prints it",
	)
	flags    = flag.Int("flags", 2000, "flags to compare")
	contexts = flag.Int("contexts", 60, "contexts to compare each flag with")
)

// now is the time of every evaluation, for all evaluators: that at which testing/synctest begins.
var now = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// evaluation is a question, and answer what an evaluator says to it.
type evaluation struct {
	Key     string            `json:"key"`
	Type    datafile.FlagType `json:"type"`
	Context json.RawMessage   `json:"context"`
}

type answer struct {
	Value   any    `json:"value"`
	Variant string `json:"variant"`
	Error   string `json:"error"`
}

// evaluator answers questions about a flagd file.
type evaluator struct {
	name     string
	evaluate func(t *testing.T, file []byte, questions []evaluation) []answer
	// limit names what the evaluator is known to do otherwise, and is empty where it does not.
	limit func(document *datafile.Document, question evaluation) string
}

// TestEveryEvaluatorAgrees fails where a flagd-compatible SDK serves a subject another variation than the engine does.
func TestEveryEvaluatorAgrees(t *testing.T) {
	fmt.Printf("seed %d (replay with -seed %d)\n", *seed, *seed)
	g := &generator{Rand: rand.New(rand.NewPCG(*seed, 0))}
	schema := compileSchema(t)
	evaluators := []evaluator{goCore()}
	node, available := javaScriptCore(t)
	if available {
		evaluators = append(evaluators, node)
	}
	counts := map[string]int{}
	compareDocument(t, g, largest(), schema, evaluators, counts)
	for counts["flags"] < *flags {
		compareDocument(t, g, g.document(), schema, evaluators, counts)
		if counts["differences"] > 10 {
			t.Fatalf("too many differences with seed %d", *seed)
		}
	}
	t.Logf("seed %d: %v", *seed, counts)
	if !available {
		fmt.Println("NOT COMPARED: @openfeature/flagd-core, because CONFORMANCE_NODE does not name a Node.js.")
	}
}

func compareDocument(
	t *testing.T,
	g *generator,
	document *datafile.Document,
	schema *jsonschema.Schema,
	evaluators []evaluator,
	counts map[string]int,
) {
	document = roundTrip(t, document)
	engine, err := evaluate.New(document)
	if err != nil {
		t.Fatalf("seed %d: prepare: %v", *seed, err)
	}
	source := documentSource{document}
	definitions := &datafile.Section{}
	var questions []evaluation
	var want []answer
	for prepared := range engine.Flags() {
		definition, err := flagd.Definition(source, prepared.Key)
		if notExpressible := new(flagd.NotExpressibleError); errors.As(err, &notExpressible) {
			counts["not expressible"]++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: flag %q: %v", *seed, prepared.Key, err)
		}
		definitions.Put(datafile.RawPart(prepared.Key, definition))
		counts["flags"]++
		for range *contexts {
			context := g.context(document, prepared.Key)
			encoded, err := json.Marshal(context)
			if err != nil {
				t.Fatalf("seed %d: context: %v", *seed, err)
			}
			result := prepared.Evaluate(context, now)
			questions = append(questions, evaluation{prepared.Key, prepared.Type, encoded})
			want = append(want, answerOf(&result))
			counts["reason "+string(result.Reason)]++
			if explained := prepared.Explain(context, now); !reflect.DeepEqual(explained.Result, result) {
				t.Errorf(
					"seed %d: flag %q: the explanation is of %+v, the result %+v",
					*seed,
					prepared.Key,
					explained.Result,
					result,
				)
			}
		}
	}
	file := flagd.Encode(document.Header, definitions)
	validate(t, schema, file)
	for _, evaluator := range evaluators {
		got := evaluator.evaluate(t, file, questions)
		for i, question := range questions {
			if limit := evaluator.limit(document, question); limit != "" {
				counts[evaluator.name+" excluded, "+limit]++
				continue
			}
			counts[evaluator.name]++
			if !got[i].equals(want[i]) {
				counts["differences"]++
				definition, _ := definitions.Get(question.Key)
				native, _ := json.Marshal(document.Flags[question.Key])
				t.Errorf("seed %d: %s differs from the engine\n  context %s\n  engine  %+v\n  %s %+v\n  flag  %s\n  flagd %s",
					*seed, evaluator.name, question.Context, want[i], evaluator.name, got[i], native, definition.JSON)
				if counts["differences"] > 10 {
					return
				}
			}
		}
	}
}

// answerOf is the answer that a result is. It has no variant where the flag leaves the value to the code.
func answerOf(result *evaluate.Result) answer {
	if result.Variation == nil {
		return answer{}
	}
	return answer{Value: result.Variation.Value, Variant: result.Variation.Key}
}

// equals reports whether an evaluator answers as the engine wants. Without a variant the SDKs use the code's default, be
// that by an error, as for a flag that is disabled, or by a value that is not given.
func (a answer) equals(want answer) bool {
	if want.Variant == "" {
		return a.Variant == ""
	}
	return a.Error == "" && a.Variant == want.Variant && reflect.DeepEqual(a.Value, want.Value)
}

// documentSource lets flagd look into a document.
type documentSource struct{ *datafile.Document }

func (s documentSource) Flag(key string) (*datafile.Flag, bool) {
	flag, found := s.Flags[key]
	return flag, found
}

func (s documentSource) Audience(name string) (*datafile.Audience, bool) {
	audience, found := s.Audiences[name]
	return audience, found
}

// roundTrip publishes a document and reads it.
func roundTrip(t *testing.T, document *datafile.Document) *datafile.Document {
	contents := &datafile.Contents{}
	put := func(section *datafile.Section, key string, value any) {
		part, err := datafile.NewPart(key, value)
		if err != nil {
			t.Fatalf("seed %d: %v", *seed, err)
		}
		section.Put(part)
	}
	for key, flag := range document.Flags {
		put(&contents.Flags, key, flag)
	}
	for name, audience := range document.Audiences {
		put(&contents.Audiences, name, audience)
	}
	read, err := datafile.Read(contents.Encode(document.Header))
	if err != nil {
		t.Fatalf("seed %d: %v", *seed, err)
	}
	return read
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	compiler := jsonschema.NewCompiler()
	for name, text := range map[string]string{
		"flagd.json": schemas.FlagdSchema, "flags.json": schemas.FlagSchema, "targeting.json": schemas.TargetingSchema,
	} {
		resource, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource("https://flagd.dev/schema/v0/"+name, resource); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("https://flagd.dev/schema/v0/flags.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, file []byte) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(file)))
	if err != nil {
		t.Fatalf("seed %d: the flagd file is not JSON: %v", *seed, err)
	}
	if err := schema.Validate(document); err != nil {
		t.Fatalf("seed %d: the flagd file does not validate against flagd's schema: %v\n%s", *seed, err, file)
	}
}
