// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

const (
	subjects = 100_000
	// tolerance is beyond five standard deviations of a share of that many subjects.
	tolerance = 0.008
)

// TestSharesAreThoseOfTheEngine evaluates random pairs of flags for many subjects of every group, and counts who moves.
func TestSharesAreThoseOfTheEngine(t *testing.T) {
	pairs := 15
	if testing.Short() {
		pairs = 5
	}
	random := rand.New(rand.NewPCG(7, 11))
	moved := 0
	for i := range pairs {
		before, after := randomFlag(random), randomFlag(random)
		if random.IntN(2) == 0 { // A small edit is what people make.
			after = edited(random, before)
		}
		document := func(flag *datafile.Flag) *datafile.Document {
			return &datafile.Document{Flags: map[string]*datafile.Flag{"flag": flag}}
		}
		c := &comparison{
			before: newPlan(document(before), "flag", before),
			after:  newPlan(document(after), "flag", after),
			work:   new(math.MaxInt),
		}
		c.prepareCuts()
		for _, g := range append(c.groups(), group{}) {
			found, _ := c.shares(period{onBefore: true, onNow: true}, &g)
			moved += len(found)
			want := simulate(t, document(before), document(after), contextOf(g))
			for _, move := range append(keys(found), keys(want)...) {
				var share float64
				if found[move] != nil {
					share = found[move].size
				}
				if math.Abs(share-want[move]) > tolerance {
					t.Errorf("pair %d, %s: %v to %v is %v, and of %d subjects it is %v\nbefore %s\nafter  %s",
						i, g.label, move.from, move.to, share, subjects, want[move], encode(before), encode(after))
				}
			}
		}
	}
	if moved == 0 {
		t.Error("nobody ever moved")
	}
}

func keys[T any](m map[way]T) []way {
	var found []way
	for key := range m {
		found = append(found, key)
	}
	return found
}

// contextOf returns attributes that meet the predicates of a group, and no others.
func contextOf(g group) map[string]any {
	context := map[string]any{}
	for _, met := range g.meets {
		for _, clause := range met {
			// The last value is in the wide form of a rule only.
			context[clause.condition.Attribute] = clause.condition.Values[len(clause.condition.Values)-1]
		}
	}
	return context
}

func simulate(t *testing.T, before, after *datafile.Document, context map[string]any) map[way]float64 {
	t.Helper()
	old, err := evaluate.New(before)
	if err != nil {
		t.Fatal(err)
	}
	current, err := evaluate.New(after)
	if err != nil {
		t.Fatal(err)
	}
	moves := map[way]float64{}
	for i := range subjects {
		context["targetingKey"] = "subject-" + strconv.Itoa(i)
		from, to := old.Evaluate(
			"flag",
			context,
			time.Time{},
		).Variation.Key, current.Evaluate(
			"flag",
			context,
			time.Time{},
		).Variation.Key
		if from != to {
			moves[way{from, to}] += 1.0 / subjects
		}
	}
	return moves
}

func randomFlag(random *rand.Rand) *datafile.Flag {
	flag := &datafile.Flag{Type: datafile.String, Enabled: true, DefaultVariation: "a"}
	for _, key := range []string{"a", "b", "c"} {
		flag.Variations = append(flag.Variations, datafile.Variation{Key: key, Value: []byte(strconv.Quote(key))})
	}
	if random.IntN(5) == 0 {
		flag.Bucketing = datafile.PostHogSHA1
	}
	for i := range random.IntN(4) {
		flag.Rules = append(flag.Rules, randomRule(random, fmt.Sprint("rule-", i)))
	}
	return flag
}

func randomRule(random *rand.Rand, name string) datafile.Rule {
	rule := datafile.Rule{Name: name, Salt: "salt-" + strconv.Itoa(random.IntN(3))}
	if random.IntN(3) == 0 {
		rule.Type = datafile.ABTest
	}
	if i := random.IntN(5); i < 3 {
		// Values that imply each other are what widening a rule makes.
		rule.Conditions = []datafile.Condition{
			{Attribute: fmt.Sprint("attribute", i), Operator: datafile.In, Values: []string{"1", "2"}[:1+random.IntN(2)]},
		}
	}
	if random.IntN(2) == 0 {
		rule.Traffic = new(int32(random.IntN(100_000)))
	}
	if random.IntN(2) == 0 {
		rule.Variation = []string{"a", "b", "c"}[random.IntN(3)]
		return rule
	}
	rule.Split = []datafile.Weight{
		{Variation: "a", Weight: 1 + random.Int32N(9)},
		{Variation: "b", Weight: random.Int32N(9)},
		{Variation: "c", Weight: random.Int32N(1000)},
	}
	return rule
}

func edited(random *rand.Rand, flag *datafile.Flag) *datafile.Flag {
	clone := *flag
	clone.Rules = append([]datafile.Rule{}, flag.Rules...)
	if len(clone.Rules) == 0 {
		clone.Fallthrough = "b"
		return &clone
	}
	i := random.IntN(len(clone.Rules))
	clone.Rules[i] = randomRule(random, clone.Rules[i].Name)
	clone.Rules[i].Salt = flag.Rules[i].Salt
	return &clone
}
