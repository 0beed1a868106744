// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// costly is a flag whose rule has the conditions, each on the attribute a.
func costly(t testing.TB, conditions ...datafile.Condition) *evaluate.Flag {
	t.Helper()
	for i := range conditions {
		conditions[i].Attribute = "a"
	}
	document := &datafile.Document{Flags: map[string]*datafile.Flag{"costly": {
		Type: datafile.Boolean, Enabled: true, DefaultVariation: "off",
		Variations: []datafile.Variation{
			{Key: "off", Value: json.RawMessage("false")}, {Key: "on", Value: json.RawMessage("true")},
		},
		Rules: []datafile.Rule{{Name: "r", Conditions: conditions, Variation: "on"}},
	}}}
	prepared, err := evaluate.New(document)
	if err != nil {
		t.Fatal(err)
	}
	flag, _ := prepared.Flag("costly")
	return flag
}

// many are distinct texts of a size that nearly match a text of the letter a.
func many(n, size int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = strings.Repeat("a", size-5) + fmt.Sprintf("%05d", i)
	}
	return texts
}

// A page's key is enough to ask for the worst flag with the worst context. Whatever it costs, it ends with its budget.
func TestBudgetEndsWhatCostsTooMuch(t *testing.T) {
	long, list := strings.Repeat("a", 16<<10), make([]any, 10_000)
	for i := range list {
		list[i] = fmt.Sprintf("a%d", i)
	}
	for name, tc := range map[string]struct {
		conditions []datafile.Condition
		attribute  any
	}{
		"expression":   {repeated(1, datafile.NotMatches, "(?:[a-c]{1,50}){18}z"), long},
		"parts":        {repeated(28, datafile.NotContains, many(1000, 100)...), long},
		"folded parts": {repeated(28, datafile.NotContainsFold, many(1000, 100)...), long},
		"few in list":  {repeated(2000, datafile.NotIn, many(8, 10)...), list},
		"many in list": {repeated(2000, datafile.NotIn, many(20, 10)...), list},
		"folded texts": {repeated(50, datafile.NotEqualFold, many(1000, 500)...), long},
	} {
		t.Run(name, func(t *testing.T) {
			budget := &evaluate.Budget{Steps: 20_000_000}
			_, err := costly(t, tc.conditions...).EvaluateWithin(map[string]any{"a": tc.attribute}, noon, budget)
			if !errors.Is(err, evaluate.ErrBudget) {
				t.Errorf("one request takes as long as it likes: %d steps are left, error %v", budget.Steps, err)
			}
		})
	}
}

func repeated(n int, operator datafile.Operator, values ...string) []datafile.Condition {
	conditions := make([]datafile.Condition, n)
	for i := range conditions {
		conditions[i] = datafile.Condition{Operator: operator, Values: values}
	}
	return conditions
}

// What people write for the attributes that they send costs a small part of a budget, and the answer is the same.
func TestBudgetIsAmpleForOrdinaryFlags(t *testing.T) {
	agent := "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	flag := costly(
		t,
		datafile.Condition{Operator: datafile.Matches, Values: []string{`(?i)(android|iphone|ipad|linux|windows phone)`}},
		datafile.Condition{Operator: datafile.Contains, Values: []string{"Chrome", "Firefox", "Safari"}},
		datafile.Condition{Operator: datafile.NotIn, Values: many(100, 20)},
		datafile.Condition{Operator: datafile.NotContainsFold, Values: []string{"bot", "crawler"}},
	)
	budget := &evaluate.Budget{Steps: 20_000_000}
	result, err := flag.EvaluateWithin(map[string]any{"a": agent}, noon, budget)
	if err != nil || result.Variation.Key != "on" {
		t.Fatalf("an ordinary context is refused: %v", err)
	}
	if spent := 20_000_000 - budget.Steps; spent > 500_000 {
		t.Errorf("it costs %d steps, so that 40 such flags spend what one may", spent)
	}
}

// Who has gone needs no answer: the evaluation ends where the check says so, and within what the check was to see.
func TestBudgetChecks(t *testing.T) {
	gone := errors.New("the client is gone")
	checks := 0
	budget := &evaluate.Budget{Steps: 1 << 40, CheckEvery: 1_000_000, Check: func() error {
		if checks++; checks == 3 {
			return gone
		}
		return nil
	}}
	flag := costly(t, repeated(100, datafile.NotContains, many(100, 100)...)...)
	_, err := flag.EvaluateWithin(map[string]any{"a": strings.Repeat("a", 16<<10)}, noon, budget)
	if !errors.Is(err, gone) || checks != 3 {
		t.Errorf("the evaluation goes on for nobody: %d checks, %v", checks, err)
	}
	if spent := int64(1<<40) - budget.Steps; spent > 20_000_000 {
		t.Errorf("it took %d steps until three checks were made, each due after a million", spent)
	}
}

// Prerequisites and audiences spend from the same budget.
func TestBudgetCoversWhatAFlagRefersTo(t *testing.T) {
	document := &datafile.Document{
		Flags:     map[string]*datafile.Flag{},
		Audiences: map[string]*datafile.Audience{},
	}
	for i := range 10 {
		audience := fmt.Sprintf("costly%d", i)
		document.Audiences[audience] = costlyAudience()
		flag := &datafile.Flag{
			Type: datafile.Boolean, Enabled: true, DefaultVariation: "off",
			Variations: []datafile.Variation{
				{Key: "off", Value: json.RawMessage("false")}, {Key: "on", Value: json.RawMessage("true")},
			},
			Rules: []datafile.Rule{{Name: "r", Audiences: []string{audience}, Variation: "on"}},
		}
		if i > 0 {
			flag.Prerequisites = []datafile.Prerequisite{{Flag: fmt.Sprintf("f%d", i-1), Variations: []string{"off"}}}
		}
		document.Flags[fmt.Sprintf("f%d", i)] = flag
	}
	prepared, err := evaluate.New(document)
	if err != nil {
		t.Fatal(err)
	}
	flag, _ := prepared.Flag("f9")
	context := map[string]any{"a": strings.Repeat("a", 1000)}
	if _, err := flag.EvaluateWithin(
		context,
		noon,
		&evaluate.Budget{Steps: 20_000_000},
	); !errors.Is(
		err,
		evaluate.ErrBudget,
	) {
		t.Errorf("ten prerequisites, each with an audience of three million steps, fit into 20 million: %v", err)
	}
}

// costlyAudience takes three million steps for a text of a thousand bytes.
func costlyAudience() *datafile.Audience {
	return &datafile.Audience{Groups: []datafile.Group{{
		Conditions: []datafile.Condition{{Attribute: "a", Operator: datafile.Contains, Values: many(1000, 100)}},
	}}}
}

// A thousand flags that name one costly audience are an ordinary project. A request for all of them must not fail, nor
// get another answer than each by itself, also where one budget is used for many contexts.
func TestAnAudienceIsChargedOnce(t *testing.T) {
	document := &datafile.Document{
		Flags: map[string]*datafile.Flag{}, Audiences: map[string]*datafile.Audience{"costly": costlyAudience()},
	}
	for i := range 1000 {
		document.Flags[fmt.Sprintf("f%d", i)] = &datafile.Flag{
			Type: datafile.Boolean, Enabled: true, DefaultVariation: "off",
			Variations: []datafile.Variation{
				{Key: "off", Value: json.RawMessage("false")}, {Key: "on", Value: json.RawMessage("true")},
			},
			Rules: []datafile.Rule{{Name: "r", Audiences: []string{"costly"}, Variation: "on"}},
		}
	}
	prepared, err := evaluate.New(document)
	if err != nil {
		t.Fatal(err)
	}
	budget := &evaluate.Budget{Steps: 20_000_000}
	for _, attribute := range []string{
		strings.Repeat("a", 1000), strings.Repeat("b", 1000) + many(8, 100)[7], strings.Repeat("c", 1000),
	} {
		context := map[string]any{"a": attribute}
		for flag := range prepared.Flags() {
			result, err := flag.EvaluateWithin(context, noon, budget)
			if err != nil {
				t.Fatalf("a request for all flags fails: %v", err)
			}
			if want := flag.Evaluate(context, noon); result.Variation != want.Variation || result.Reason != want.Reason {
				t.Fatalf("%s serves %q within a budget and %q without", flag.Key, result.Variation.Key, want.Variation.Key)
			}
		}
	}
	if budget.Steps > 20_000_000-3*2_000_000 {
		t.Errorf("%d steps are left: an audience is not charged for each context", budget.Steps)
	}
}

// BenchmarkWorst is the worst flag of each kind with the worst context, within the budget of one flag. It must take at
// most 20 ms.
func BenchmarkWorst(b *testing.B) {
	text := strings.Repeat("a", 2<<10)
	for name, flag := range map[string]*evaluate.Flag{
		"Matches":      costly(b, repeated(1, datafile.NotMatches, "(?i)(?:a{1,44}){5}z")...),
		"Contains":     costly(b, repeated(3, datafile.NotContains, many(1000, 100)...)...),
		"ContainsFold": costly(b, repeated(3, datafile.NotContainsFold, many(1000, 100)...)...),
		"EqualFold":    costly(b, repeated(3, datafile.NotEqualFold, many(1000, 500)...)...),
	} {
		b.Run(name, func(b *testing.B) {
			const steps = 1 << 40
			budget := &evaluate.Budget{Steps: steps}
			for b.Loop() {
				if _, err := flag.EvaluateWithin(map[string]any{"a": text}, noon, budget); err != nil {
					b.Fatal(err)
				}
			}
			perOp := float64(steps-budget.Steps) / float64(b.N)
			b.ReportMetric(perOp, "steps/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perOp, "ns/step")
		})
	}
}
