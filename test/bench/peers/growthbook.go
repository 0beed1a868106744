// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	growthbook "github.com/growthbook/growthbook-golang"
)

func beginGrowthBook() (engine, error) {
	flag := func(rules ...any) any { return map[string]any{"defaultValue": false, "rules": rules} }
	meets := func(condition map[string]any) any { return map[string]any{"condition": condition, "force": true} }
	where := func(attribute, operator string, value any) any {
		return meets(map[string]any{attribute: map[string]any{operator: value}})
	}
	data, err := definitions(map[string]any{
		static: flag(),
		rule:   flag(where("country", "$in", []string{"de", "at", "ch"})),
		split: flag(map[string]any{
			"key":           split,
			"hashAttribute": "id",
			"hashVersion":   2,
			"variations":    []bool{true, false},
			"weights":       []float64{0.5, 0.5},
		}),
		ten: flag(
			where("country", "$eq", "fr"),
			where("email", "$regex", `@example\.org$`),
			where("age", "$lt", 18),
			where(
				"email",
				"$regex",
				"^admin",
			),
			where("version", "$vlt", "1.0.0"),
			where("plan", "$in", []string{"enterprise", "beta"}),
			where("age", "$gt", 65),
			where("email", "$regex", `\+test`),
			where("country", "$in", []string{"us", "ca"}),
			meets(map[string]any{"age": map[string]any{"$gte": 18}, "plan": "free"}),
		),
		list: flag(where("id", "$in", members())),
	}, flag())
	if err != nil {
		return engine{}, err
	}
	ctx := context.Background()
	shared, err := growthbook.NewClient(ctx, growthbook.WithJsonFeatures(string(data)))
	if err != nil {
		return engine{}, err
	}
	ask := func(flag string, u user) question {
		attributes := growthbook.Attributes(u.attributes())
		attributes["id"] = u.key
		client, failure := shared.WithAttributes(attributes)
		if failure != nil {
			client = shared
		}
		var last *growthbook.FeatureResult
		return question{
			evaluate: func() { last = client.EvalFeature(ctx, flag) },
			answer: func() (bool, error) {
				if failure != nil {
					return false, failure
				}
				return last.On, must(last.Value == last.On && last.Source != growthbook.UnknownFeatureResultSource, last)
			},
		}
	}
	return engine{
		name:   "GrowthBook",
		module: "github.com/growthbook/growthbook-golang",
		ask:    ask,
		close:  func() { _ = shared.Close() },
	}, nil
}
