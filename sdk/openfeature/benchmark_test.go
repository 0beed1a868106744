// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// benchmarkFlags are the five flags of the speed goals, and n further ones like what shops have.
func benchmarkFlags(n int) map[string]*datafile.Flag {
	flag := func(rules ...datafile.Rule) *datafile.Flag {
		return &datafile.Flag{
			Type:             datafile.Boolean,
			Enabled:          true,
			DefaultVariation: "off",
			Rules:            rules,
			Variations: []datafile.Variation{
				{Key: "on", Value: json.RawMessage("true")},
				{Key: "off", Value: json.RawMessage("false")},
			},
		}
	}
	where := func(name, attribute string, operator datafile.Operator, values ...string) datafile.Rule {
		return datafile.Rule{
			Name:       name,
			Variation:  "on",
			Conditions: []datafile.Condition{{Attribute: attribute, Operator: operator, Values: values}},
		}
	}
	var members []string
	for i := range 1000 {
		members = append(members, fmt.Sprintf("user-%d", i))
	}
	flags := map[string]*datafile.Flag{
		"static": flag(),
		"rule":   flag(where("de", "country", datafile.In, "de", "at", "ch")),
		"split": flag(datafile.Rule{Name: "half", Salt: "split/half/", Split: []datafile.Weight{
			{Variation: "on", Weight: 50}, {Variation: "off", Weight: 50},
		}}),
		"ten": flag(
			where("1", "country", datafile.In, "fr"), where("2", "email", datafile.EndsWith, "@example.org"),
			where("3", "age", datafile.LessThan, "18"), where("4", "email", datafile.StartsWith, "admin"),
			where("5", "version", datafile.SemVerLessThan, "1.0.0"), where("6", "plan", datafile.In, "enterprise", "beta"),
			where("7", "age", datafile.GreaterThan, "65"), where("8", "email", datafile.Contains, "+test"),
			where("9", "country", datafile.In, "us", "ca"), where("10", "age", datafile.GreaterThanOrEqual, "18")),
		"list": flag(where("listed", "targetingKey", datafile.In, members...)),
	}
	for i := range n {
		key := fmt.Sprintf("flag-%d", i)
		flags[key] = flag(where("insiders", "email", datafile.EndsWith, "@example.com"), datafile.Rule{
			Name: "rollout", Salt: key + "/rollout/", Traffic: new(int32(12500)), Variation: "on",
			Conditions: []datafile.Condition{{Attribute: "country", Operator: datafile.In, Values: []string{"de", "at"}}},
		})
		flags[key].Metadata = map[string]string{"team": "checkout"}
	}
	return flags
}

// BenchmarkEvaluation evaluates through the SDK. The SDK's own provider, which does nothing, is what the goal is
// measured against: at most 1.15 times its time.
func BenchmarkEvaluation(b *testing.B) {
	m := newMount(b)
	m.swap(plain(b, document(1, benchmarkFlags(100))))
	client := func(options ...Option) *openfeature.Client {
		provider, err := NewProvider(m.dir, options...)
		if err != nil {
			b.Fatal(err)
		}
		client, err := bind(b, provider)
		if err != nil {
			b.Fatal(err)
		}
		return client
	}
	ours, described := client(), client(WithAnswerMetadata())
	noop, err := bind(b, openfeature.NoopProvider{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	attributes := openfeature.NewEvaluationContext("user-500", map[string]any{
		"country": "de", "email": "user500@example.com", "age": 33.0, "version": "2.1.0", "plan": "free", "beta": true,
	})
	run := func(name string, client *openfeature.Client, key string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.BooleanValueDetails(ctx, key, false, attributes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("noop", noop, "static")
	for _, key := range []string{"static", "rule", "split", "ten", "list"} {
		run(key, ours, key)
	}
	// The SDK copies metadata, which no provider can make cheaper.
	run("rule with answer metadata", described, "rule")
}

// BenchmarkSwap takes the time from kubelet's rename to the first answer that differs. The goals are 10 ms with 100
// flags and 250 ms with 10,000.
func BenchmarkSwap(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		for _, form := range []struct {
			name string
			make func(testing.TB, *datafile.Document) map[string][]byte
		}{{"plain", plain}, {"compressed", compressed}} {
			b.Run(fmt.Sprintf("%d/%s", n, form.name), func(b *testing.B) {
				m := newMount(b)
				flags := benchmarkFlags(n)
				revision := int64(0)
				prepare := func() func() {
					revision++
					flags["revision"] = constant(datafile.Number, strconv.FormatInt(revision, 10))
					return m.prepare(form.make(b, document(revision, flags)))
				}
				prepare()()
				provider, err := NewProvider(m.dir)
				if err != nil {
					b.Fatal(err)
				}
				client, err := bind(b, provider)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					b.StopTimer()
					commit := prepare()
					b.StartTimer()
					commit()
					for client.Int(b.Context(), "revision", 0, openfeature.EvaluationContext{}) != revision {
						// Nothing tells when an answer has changed before the answer does.
					}
				}
			})
		}
	}
}
