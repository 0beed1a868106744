// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strconv"

	"github.com/launchdarkly/go-sdk-common/v3/ldcontext"
	"github.com/launchdarkly/go-sdk-common/v3/ldvalue"
	ldevaluation "github.com/launchdarkly/go-server-sdk-evaluation/v3"
	"github.com/launchdarkly/go-server-sdk-evaluation/v3/ldmodel"
)

// alone is a data provider of LaunchDarkly for flags that name no others.
type alone struct{}

func (alone) GetFeatureFlag(string) *ldmodel.FeatureFlag { return nil }
func (alone) GetSegment(string) *ldmodel.Segment         { return nil }

func beginLaunchDarkly() (engine, error) {
	const onIndex, offIndex = 0, 1
	flag := func(rules ...[]any) map[string]any {
		form := map[string]any{
			"on": true, "version": 1, "salt": "salt", "variations": []any{true, false}, "offVariation": offIndex,
			"fallthrough": map[string]any{"variation": offIndex},
		}
		var all []any
		for i, clauses := range rules {
			all = append(all, map[string]any{"id": strconv.Itoa(i + 1), "clauses": clauses, "variation": onIndex})
		}
		form["rules"] = all
		return form
	}
	clause := func(attribute, operator string, values ...any) any {
		return map[string]any{"contextKind": "user", "attribute": attribute, "op": operator, "values": values}
	}
	where := func(attribute, operator string, values ...any) []any {
		return []any{clause(attribute, operator, values...)}
	}
	half := flag()
	half["fallthrough"] = map[string]any{"rollout": map[string]any{"variations": []any{
		map[string]any{"variation": onIndex, "weight": 50_000}, map[string]any{"variation": offIndex, "weight": 50_000},
	}}}
	var keys []any
	for _, key := range members() {
		keys = append(keys, key)
	}
	data, err := definitions(map[string]any{
		static: flag(),
		rule:   flag(where("country", "in", "de", "at", "ch")),
		split:  half,
		ten: flag(
			where("country", "in", "fr"),
			where("email", "endsWith", "@example.org"),
			where("age", "lessThan", 18),
			where(
				"email",
				"startsWith",
				"admin",
			),
			where("version", "semVerLessThan", "1.0.0"),
			where("plan", "in", "enterprise", "beta"),
			where("age", "greaterThan", 65),
			where("email", "contains", "+test"),
			where("country", "in", "us", "ca"),
			[]any{clause("age", "greaterThanOrEqual", 18), clause("plan", "in", "free")},
		),
		list: flag(where("key", "in", keys...)),
	}, flag())
	if err != nil {
		return engine{}, err
	}
	flags := map[string]*ldmodel.FeatureFlag{}
	if err := json.Unmarshal(data, &flags); err != nil {
		return engine{}, err
	}
	for key := range flags {
		flags[key].Key = key // The split hashes it.
	}
	evaluator := ldevaluation.NewEvaluator(alone{})
	ask := func(flag string, u user) question {
		builder := ldcontext.NewBuilder(u.key)
		for name, value := range u.attributes() {
			builder.SetValue(name, ldvalue.CopyArbitraryValue(value))
		}
		evaluationContext := builder.Build()
		var last ldevaluation.Result
		return question{
			evaluate: func() { last = evaluator.Evaluate(flags[flag], evaluationContext, nil) },
			answer: func() (bool, error) {
				value := last.Detail.Value
				return value.BoolValue(), must(
					value.IsBool() && (last.Detail.VariationIndex.OrElse(-1) == onIndex) == value.BoolValue(),
					last,
				)
			},
		}
	}
	return engine{name: "LaunchDarkly", module: "github.com/launchdarkly/go-server-sdk-evaluation/v3", ask: ask}, nil
}
