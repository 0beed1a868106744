// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/murmur3"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// benchmarkDocument holds the five flags of the speed goals, among others.
func benchmarkDocument() *datafile.Document {
	flag := func(rules ...datafile.Rule) *datafile.Flag {
		return &datafile.Flag{
			Type: datafile.Boolean, Enabled: true, DefaultVariation: "off", Rules: rules,
			Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
		}
	}
	in := func(attribute string, values ...string) datafile.Condition {
		return datafile.Condition{Attribute: attribute, Operator: datafile.In, Values: values}
	}
	where := func(name string, conditions ...datafile.Condition) datafile.Rule {
		return datafile.Rule{Name: name, Conditions: conditions, Variation: "on"}
	}
	compare := func(attribute string, operator datafile.Operator, values ...string) datafile.Condition {
		return datafile.Condition{Attribute: attribute, Operator: operator, Values: values}
	}
	var members []string
	for i := range 1000 {
		members = append(members, fmt.Sprintf("user-%d", i))
	}
	document := &datafile.Document{
		Flags: map[string]*datafile.Flag{
			"static": flag(),
			"rule":   flag(where("de", in("country", "de", "at", "ch"))),
			"split": flag(datafile.Rule{Name: "half", Salt: "split/half/", Split: []datafile.Weight{
				{Variation: "on", Weight: 50}, {Variation: "off", Weight: 50},
			}}),
			"ten": flag(
				where("1", in("country", "fr")),
				where("2", compare("email", datafile.EndsWith, "@example.org")),
				where("3", compare("age", datafile.LessThan, "18")),
				where("4", compare("email", datafile.StartsWith, "admin")),
				where("5", compare("version", datafile.SemVerLessThan, "1.0.0")),
				where("6", in("plan", "enterprise", "beta")),
				where("7", compare("age", datafile.GreaterThan, "65")),
				where("8", compare("email", datafile.Contains, "+test")),
				where(
					"9",
					in("country", "us", "ca"),
				),
				where("10", compare("age", datafile.GreaterThanOrEqual, "18"), in("plan", "free")),
			),
			"list":     flag(where("listed", in("targetingKey", members...))),
			"audience": flag(datafile.Rule{Name: "members", Audiences: []string{"thousand"}, Variation: "on"}),
		},
		Audiences: map[string]*datafile.Audience{"thousand": {Members: members}},
	}
	for i := range 100 {
		document.Flags[fmt.Sprintf("other-%d", i)] = flag()
	}
	return document
}

var benchmarkContext = map[string]any{
	"targetingKey": "user-500",
	"country":      "de",
	"email":        "user500@example.com",
	"age":          33.0,
	"version":      "2.1.0",
	"plan":         "free",
	"beta":         true,
}

var result evaluate.Result

func BenchmarkEvaluate(b *testing.B) {
	engine, err := evaluate.New(benchmarkDocument())
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for _, key := range []string{"static", "rule", "split", "ten", "list", "audience"} {
		b.Run(key, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				result = engine.Evaluate(key, benchmarkContext, now)
			}
		})
	}
}

// BenchmarkFloor is the same flags written by hand, which is what the engine is measured against.
func BenchmarkFloor(b *testing.B) {
	type answer struct {
		value                   any
		variation, reason, rule string
	}
	flags := map[string]func(map[string]any) answer{}
	on := func(reason, rule string) answer { return answer{true, "on", reason, rule} }
	off := func(reason string) answer { return answer{false, "off", reason, ""} }
	members := map[string]struct{}{}
	for i := range 1000 {
		members[fmt.Sprintf("user-%d", i)] = struct{}{}
	}
	for i := range 100 {
		flags[fmt.Sprintf("other-%d", i)] = func(map[string]any) answer { return off("STATIC") }
	}
	flags["static"] = func(map[string]any) answer { return off("STATIC") }
	flags["rule"] = func(context map[string]any) answer {
		switch country, _ := context["country"].(string); country {
		case "de", "at", "ch":
			return on("TARGETING_MATCH", "de")
		}
		return off("DEFAULT")
	}
	flags["split"] = func(context map[string]any) answer {
		key, _ := context["targetingKey"].(string)
		if uint64(murmur3.StringSum32("split/half/"+key))*100>>32 < 50 {
			return on("SPLIT", "half")
		}
		return answer{false, "off", "SPLIT", "half"}
	}
	flags["list"] = func(context map[string]any) answer {
		key, _ := context["targetingKey"].(string)
		if _, found := members[key]; found {
			return on("TARGETING_MATCH", "listed")
		}
		return off("DEFAULT")
	}
	var sink answer
	for _, key := range []string{"static", "rule", "split", "list"} {
		b.Run(key, func(b *testing.B) {
			for b.Loop() {
				sink = flags[key](benchmarkContext)
			}
		})
	}
	_ = sink
}
