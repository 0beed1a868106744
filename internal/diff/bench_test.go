// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// BenchmarkFlag compares a flag of many rules, of which one serves more subjects than before: what admission does for
// an update.
func BenchmarkFlag(b *testing.B) {
	for _, rules := range []int{10, 30, 100} {
		before, after := manyRules(rules, 50), manyRules(rules, 60)
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			for b.Loop() {
				if change := diff.Flag(before, after, "flag"); len(change.Moves) == 0 {
					b.Fatal("nobody moves")
				}
			}
		})
	}
}

// manyRules is a flag whose rules have conditions, traffic and splits of their own. The last rule gives on a weight of
// its own.
func manyRules(rules int, last int32) *datafile.Document {
	f := &datafile.Flag{
		Type: datafile.Boolean, Enabled: true, DefaultVariation: "off",
		Variations: []datafile.Variation{{Key: "off", Value: []byte("false")}, {Key: "on", Value: []byte("true")}},
	}
	for i := range rules {
		weight := int32(50)
		if i == rules-1 {
			weight = last
		}
		f.Rules = append(f.Rules, datafile.Rule{
			Name: fmt.Sprintf("rule-%d", i), Salt: fmt.Sprintf("flag/rule-%d/", i), Traffic: new(int32(50_000)),
			Split: []datafile.Weight{{Variation: "on", Weight: weight}, {Variation: "off", Weight: 100 - weight}},
			Conditions: []datafile.Condition{
				{Attribute: "country", Operator: datafile.In, Values: []string{fmt.Sprintf("country-%d", i)}},
				{Attribute: "plan", Operator: datafile.In, Values: []string{"beta", "enterprise"}},
			},
		})
	}
	return &datafile.Document{Flags: map[string]*datafile.Flag{"flag": f}}
}
