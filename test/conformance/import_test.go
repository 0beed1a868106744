// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/importer"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// TestImportedFlagsAnswerTheSame imports random flagd files as people write them, and fails where a flag of which
// nothing is listed as lost serves a subject something else than flagd does by the file. Attributes are of the type
// that the file compares them with, or missing: JSONLogic compares other types by rules of its own, which docs/cli.md
// speaks of. The JavaScript core is not asked, because it does not agree with the Go core on what a missing attribute
// equals: there, null is equal to 0 and false.
func TestImportedFlagsAnswerTheSame(t *testing.T) {
	fmt.Printf("seed %d (replay with -seed %d)\n", *seed, *seed)
	g := &flagdGenerator{&generator{Rand: rand.New(rand.NewPCG(*seed, 1))}}
	counts := map[string]int{}
	for file := 0; counts["flags"] < *flags; file++ {
		compareImported(t, g, file, counts)
		if counts["differences"] > 10 {
			t.Fatalf("too many differences with seed %d", *seed)
		}
	}
	t.Logf("seed %d: %v", *seed, counts)
	if counts["carried over"]*2 < counts["flags"] {
		t.Errorf("seed %d: of %d flags only %d are carried over", *seed, counts["flags"], counts["carried over"])
	}
	for _, part := range []string{"rules", "splits", "audiences"} {
		if counts[part] == 0 {
			t.Errorf("seed %d: no flag that is carried over has %s", *seed, part)
		}
	}
}

// compareImported compares the flags of one random file.
func compareImported(t *testing.T, g *flagdGenerator, number int, counts map[string]int) {
	definitions := g.definitions()
	file, err := json.Marshal(definitions)
	if err != nil {
		t.Fatal(err)
	}
	imported := file
	if number%2 == 1 { // Every other file comes as a resource of the OpenFeature operator.
		imported = slices.Concat(
			[]byte(
				`{"apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag", "metadata": {"name": "x"}, "spec": {"flagSpec": `,
			),
			file,
			[]byte(`}}`),
		)
	}
	result, err := importer.Flagd(imported, "shop", "production")
	if err != nil {
		t.Fatalf("seed %d: %v\n%s", *seed, err, file)
	}
	lost := map[string]bool{}
	for _, loss := range result.Losses {
		lost[loss.Flag] = true
	}
	document := compileImported(t, result)
	engine, err := evaluate.New(document)
	if err != nil {
		t.Fatalf("seed %d: prepare: %v", *seed, err)
	}
	var questions []evaluation
	var want []answer
	prepared := map[string]bool{}
	for flag := range engine.Flags() {
		prepared[flag.Key] = true
		if lost[flag.Key] {
			continue
		}
		counts["carried over"]++
		count(document.Flags[flag.Key], counts)
		for range *contexts {
			context := g.context()
			encoded, err := json.Marshal(context)
			if err != nil {
				t.Fatal(err)
			}
			served := flag.Evaluate(context, now)
			questions = append(questions, evaluation{flag.Key, flag.Type, encoded})
			want = append(want, answerOf(&served))
		}
	}
	for key := range definitions["flags"].(object) {
		counts["flags"]++
		if !prepared[key] && !lost[key] {
			t.Errorf("seed %d: flag %q is dropped in silence", *seed, key)
		}
	}
	core := goCore()
	reported := map[string]bool{}
	for i, got := range core.evaluate(t, file, questions) {
		key := questions[i].Key
		counts[core.name]++
		if reported[key] || got.equals(want[i]) {
			continue
		}
		counts["differences"]++
		reported[key] = true
		definition, _ := json.Marshal(definitions["flags"].(object)[key])
		shared, _ := json.Marshal(definitions["$evaluators"])
		native, _ := json.Marshal(document.Flags[key])
		t.Errorf(
			"seed %d: the imported flag differs from the %s\n  context %s\n  engine  %+v\n  %s %+v\n  from  %s\n  with  %s\n  flag  %s",
			*seed,
			core.name,
			questions[i].Context,
			want[i],
			core.name,
			got,
			definition,
			shared,
			native,
		)
	}
}

// count counts what a flag that is carried over consists of.
func count(flag *datafile.Flag, counts map[string]int) {
	for i := range flag.Rules {
		counts["rules"]++
		if len(flag.Rules[i].Split) > 0 {
			counts["splits"]++
		}
		counts["audiences"] += len(flag.Rules[i].Audiences)
	}
}

// compileImported publishes what was imported.
func compileImported(t *testing.T, result *importer.Result) *datafile.Document {
	environment := compile.NewEnvironment("production", nil)
	for _, flag := range result.Flags {
		flag.Default()
		environment.SetFlag(flag)
	}
	for _, audience := range result.Audiences {
		environment.SetAudience(audience)
	}
	environment.Compile()
	document, err := environment.Contents().Document()
	if err != nil {
		t.Fatalf("seed %d: %v", *seed, err)
	}
	document.Header = datafile.Header{Environment: "production", Project: "shop", Revision: 1}
	return roundTrip(t, document)
}
