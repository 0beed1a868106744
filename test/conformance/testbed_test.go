// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gherkin "github.com/cucumber/gherkin/go/v26"
	messages "github.com/cucumber/messages/go/v21"

	"github.com/jackstaff-dev/jackstaff/internal/importer"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// testbed is the evaluator folder of flagd's testbed (github.com/open-feature/flagd-testbed), which no registry of
// modules has. Without it, the scenarios of testdata/evaluator are run, which are written in the same words.
var testbed = flag.String("testbed", "", "the folder evaluator of a checkout of github.com/open-feature/flagd-testbed")

// testbedBound is how many of the scenarios of flagd's testbed 3.9 pass at least.
const testbedBound = 110

// TestImportedTestbed imports flagd's own test flags, asks for them as OFREP does, and counts the scenarios that are
// answered as flagd answers. A team that imports its flags would else see other values than before.
func TestImportedTestbed(t *testing.T) {
	folder, bound := "testdata/evaluator", -1
	if *testbed != "" {
		folder, bound = *testbed, testbedBound
	}
	world := importTestbed(t, folder)
	passed, failed := 0, []string{}
	for _, scenario := range scenarios(t, folder) {
		if slices.ContainsFunc(scenario.Tags, func(tag *messages.PickleTag) bool { return tag.Name == formerHash }) {
			continue
		}
		if err := world.run(scenario); err != nil {
			failed = append(failed, fmt.Sprintf("%s: %s: %v", scenario.Uri, scenario.Name, err))
			continue
		}
		passed++
	}
	t.Logf("%d of %d scenarios pass; those that do not:\n%s", passed, passed+len(failed), strings.Join(failed, "\n"))
	if bound < 0 {
		bound = passed + len(failed)
		world.compare(t)
	}
	if passed < bound || passed == 0 {
		t.Errorf("%d scenarios pass, and must be at least %d", passed, max(bound, 1))
	}
}

// formerHash is the tag of scenarios for the hash that flagd had before its Go core 0.15.
const formerHash = "@fractional-v1"

// scenarios are those of the feature files, each with one row of its examples.
func scenarios(t *testing.T, folder string) (found []*messages.Pickle) {
	files, err := filepath.Glob(filepath.Join(folder, "gherkin", "*.feature"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		ids := &messages.Incrementing{}
		document, err := gherkin.ParseGherkinDocument(file, ids.NewId)
		_ = file.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found = append(found, gherkin.Pickles(*document, filepath.Base(name), ids.NewId)...)
	}
	return found
}

// testbedWorld is an engine with the imported flags, what it was asked, and the file that they are from.
type testbedWorld struct {
	engine *evaluate.Engine
	asked  []*question
	file   []byte
}

// compare asks flagd's own evaluator what was asked, and fails where that gives code another value.
func (w *testbedWorld) compare(t *testing.T) {
	var questions []evaluation
	for _, q := range w.asked {
		context, err := json.Marshal(q.context)
		if err != nil {
			t.Fatal(err)
		}
		questions = append(questions, evaluation{Key: q.key, Context: context})
	}
	for i, got := range goCore().evaluate(t, w.file, questions) {
		q, value := w.asked[i], got.Value
		if got.Variant == "" {
			value, _ = typed(q.flagType, q.fallback)
		}
		// Where an attribute names no variant flagd fails, which the import says.
		if !reflect.DeepEqual(value, q.value) && got.Error != "GENERAL" {
			t.Errorf("flag %q, context %v: the value is %v, of flagd %+v", q.key, q.context, q.value, got)
		}
	}
}

func importTestbed(t *testing.T, folder string) *testbedWorld {
	data, err := os.ReadFile(filepath.Join(folder, "flags", "testkit-flags.json"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := importer.Flagd(data, "shop", "production")
	if err != nil {
		t.Fatal(err)
	}
	for _, loss := range result.Losses {
		t.Logf("lost: %s: %s", loss.Flag, loss.Reason)
	}
	engine, err := evaluate.New(compileImported(t, result))
	if err != nil {
		t.Fatal(err)
	}
	return &testbedWorld{engine: engine, file: data}
}

// question is what the steps of a scenario have put together, and the answer.
type question struct {
	flagType, key, fallback string
	context                 map[string]any

	value    any
	answer   *ofrepAnswer
	mismatch bool
}

// ofrepAnswer is an answer of OFREP.
type ofrepAnswer struct {
	Value     any            `json:"value"`
	Reason    string         `json:"reason"`
	Metadata  map[string]any `json:"metadata"`
	ErrorCode string         `json:"errorCode"`
}

var steps = []struct {
	pattern *regexp.Regexp
	do      func(w *testbedWorld, q *question, found []string, step *messages.PickleStep) error
}{
	{regexp.MustCompile(`^an evaluator$`), func(*testbedWorld, *question, []string, *messages.PickleStep) error {
		return nil
	}},
	{
		regexp.MustCompile(`^an? (\w+)-flag with key "(.*)" and a fallback value "(.*)"$`),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) error {
			q.flagType, q.key, q.fallback = found[1], found[2], found[3]
			return nil
		},
	},
	{
		regexp.MustCompile(`^a context containing a targeting key with value "(.*)"$`),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) error {
			q.context["targetingKey"] = found[1]
			return nil
		},
	},
	{
		regexp.MustCompile(`^a context containing a key "(.*)", with type "(.*)" and with value "(.*)"$`),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) (err error) {
			q.context[found[1]], err = typed(found[2], found[3])
			return err
		},
	},
	{
		regexp.MustCompile(
			`^a context containing a nested property with outer key "(.*)" and inner key "(.*)", with value "(.*)"$`,
		),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) error {
			q.context[found[1]] = map[string]any{found[2]: found[3]}
			return nil
		},
	},
	{
		regexp.MustCompile(`^the flag was evaluated with details$`),
		func(w *testbedWorld, q *question, _ []string, _ *messages.PickleStep) error { return w.ask(q) },
	},
	{
		regexp.MustCompile(`^the resolved details value should be "(.*)"$`),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) error {
			want, err := typed(q.flagType, found[1])
			if err == nil && !reflect.DeepEqual(q.value, want) {
				return fmt.Errorf("the value is %v, want %v", q.value, want)
			}
			return err
		},
	},
	{
		regexp.MustCompile(`^the reason should be "(.*)"$`),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) error {
			if q.answer.Reason != found[1] {
				return fmt.Errorf("the reason is %q, want %q", q.answer.Reason, found[1])
			}
			return nil
		},
	},
	{
		regexp.MustCompile(`^the error-code should be "(.*)"$`),
		func(_ *testbedWorld, q *question, found []string, _ *messages.PickleStep) error {
			got := q.answer.ErrorCode
			if q.mismatch {
				got = "TYPE_MISMATCH"
			}
			if got != found[1] {
				return fmt.Errorf("the error is %q, want %q", got, found[1])
			}
			return nil
		},
	},
	{
		regexp.MustCompile(`^the resolved metadata is empty$`),
		func(_ *testbedWorld, q *question, _ []string, _ *messages.PickleStep) error {
			if len(q.answer.Metadata) > 0 {
				return fmt.Errorf("the metadata is %v", q.answer.Metadata)
			}
			return nil
		},
	},
	{
		regexp.MustCompile(`^the resolved metadata should contain$`),
		func(_ *testbedWorld, q *question, _ []string, step *messages.PickleStep) error {
			for _, row := range step.Argument.DataTable.Rows[1:] {
				name, want := row.Cells[0].Value, row.Cells[2].Value
				if got := fmt.Sprint(q.answer.Metadata[name]); got != want {
					return fmt.Errorf("the metadata %q is %q, want %q", name, got, want)
				}
			}
			return nil
		},
	},
}

// run runs one scenario.
func (w *testbedWorld) run(scenario *messages.Pickle) error {
	q := &question{context: map[string]any{}}
	for _, step := range scenario.Steps {
		known := slices.IndexFunc(steps, func(s struct {
			pattern *regexp.Regexp
			do      func(w *testbedWorld, q *question, found []string, step *messages.PickleStep) error
		},
		) bool {
			return s.pattern.MatchString(step.Text)
		})
		if known < 0 {
			return fmt.Errorf("the step %q is not known", step.Text)
		}
		if err := steps[known].do(w, q, steps[known].pattern.FindStringSubmatch(step.Text), step); err != nil {
			return fmt.Errorf("flag %q, context %v: %w", q.key, q.context, err)
		}
	}
	return nil
}

// ask asks as a client of OFREP does: without a value, or with one of another type, it takes the code's default.
func (w *testbedWorld) ask(q *question) error {
	body, err := json.Marshal(map[string]any{"context": q.context})
	if err != nil {
		return err
	}
	context, failed := wire.ReadContext(body)
	if failed != nil {
		return fmt.Errorf("the context is refused: %s", failed.Details)
	}
	answer := wire.AppendFailure(nil, q.key, &wire.Failure{Code: wire.FlagNotFound})
	if flag, found := w.engine.Flag(q.key); found {
		result := flag.Evaluate(context, now)
		answer = wire.AppendResult(nil, &result, true)
	}
	q.answer = &ofrepAnswer{}
	if err := json.Unmarshal(answer, q.answer); err != nil {
		return err
	}
	fallback, err := typed(q.flagType, q.fallback)
	if err != nil {
		return err
	}
	w.asked = append(w.asked, q)
	q.value = q.answer.Value
	q.mismatch = q.value != nil && reflect.TypeOf(q.value) != reflect.TypeOf(fallback)
	if q.value == nil || q.mismatch {
		q.value = fallback
	}
	return nil
}

// typed is the value that a text of a scenario stands for.
func typed(kind, text string) (any, error) {
	switch kind {
	case "Boolean":
		return strconv.ParseBool(text)
	case "Integer", "Float":
		return strconv.ParseFloat(text, 64)
	case "Object":
		var value map[string]any
		err := json.Unmarshal([]byte(strings.ReplaceAll(text, `\"`, `"`)), &value)
		return value, err
	default:
		return text, nil
	}
}
