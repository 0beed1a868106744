// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// world is what an environment was given, so that a fresh one can be given the same.
type world struct {
	flags     map[string]*v1alpha1.FeatureFlag
	audiences map[string]*v1alpha1.FlagAudience
	events    map[string]*v1alpha1.FlagEvent
	published *datafile.Contents
}

func newWorld() *world {
	return &world{
		flags:     map[string]*v1alpha1.FeatureFlag{},
		audiences: map[string]*v1alpha1.FlagAudience{},
		events:    map[string]*v1alpha1.FlagEvent{},
		published: &datafile.Contents{},
	}
}

// fresh returns an environment that was given everything at once, in an order that random chooses.
func (w *world) fresh(random *rand.Rand) *Environment {
	environment := NewEnvironment("production", w.published)
	var set []func()
	for _, name := range slices.Sorted(maps.Keys(w.flags)) {
		set = append(set, func() { environment.SetFlag(w.flags[name]) })
	}
	for _, name := range slices.Sorted(maps.Keys(w.audiences)) {
		set = append(set, func() { environment.SetAudience(w.audiences[name]) })
	}
	for _, name := range slices.Sorted(maps.Keys(w.events)) {
		set = append(set, func() { environment.SetEvent(w.events[name]) })
	}
	random.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
	for _, do := range set {
		do()
	}
	environment.Compile()
	return environment
}

// view is everything that an environment says, in a form that can be compared.
type view struct {
	Document string
	Flagd    string
	Digest   string
	Summary  Summary
	Outcomes map[string]outcomeView
}

type outcomeView struct {
	Outcome Outcome
	Flagd   string
}

func viewOf(environment *Environment, w *world) view {
	v := view{
		Document: string(environment.Contents().Encode(datafile.Header{})),
		Flagd:    string(environment.Flagd().AppendJSON(nil)),
		Digest:   environment.Contents().Digest(environment.Flagd()),
		Summary:  environment.Summary(),
		Outcomes: map[string]outcomeView{},
	}
	for name := range w.flags {
		outcome, _ := environment.Outcome(name)
		seen := outcomeView{Outcome: outcome}
		if outcome.FlagdError != nil {
			seen.Flagd = outcome.FlagdError.Error()
			seen.Outcome.FlagdError = nil
		}
		v.Outcomes[name] = seen
	}
	return v
}

// generator makes objects of few names, so that they meet often.
type generator struct {
	random *rand.Rand
	time   int
}

func (g *generator) chance(percent int) bool { return g.random.IntN(100) < percent }

func (g *generator) pick(prefix string, n int) string {
	return fmt.Sprintf("%s%d", prefix, g.random.IntN(n))
}

const (
	someFlags     = 7
	someAudiences = 4
	someEvents    = 3
)

func (g *generator) flag() *v1alpha1.FeatureFlag {
	name := g.pick("f", someFlags)
	builder := builders.MakeFlag(name, "shop").Boolean().Created(time.Unix(int64(g.random.IntN(3)), 0), g.pick("uid", 3))
	if g.chance(15) {
		builder.Key(g.pick("f", someFlags)) // Perhaps another flag's.
	}
	if g.chance(10) {
		builder.Archived()
	}
	if g.chance(85) {
		builder.Environment("production")
		if g.chance(10) {
			builder.Disabled()
		}
		for _, n := range g.random.Perm(someFlags)[:g.random.IntN(3)] {
			builder.Prerequisite(fmt.Sprintf("f%d", n), "on")
		}
		for i := range g.random.IntN(3) {
			rule := builders.MakeRule(fmt.Sprintf("r%d", i)).Serve("on")
			var audiences []string
			for _, n := range g.random.Perm(someAudiences)[:g.random.IntN(3)] {
				audiences = append(audiences, fmt.Sprintf("a%d", n))
			}
			rule.Audiences(audiences...)
			if g.chance(10) {
				rule.Condition("ip", v1alpha1.OperatorInCIDR, "10.0.0.0/8") // Which flagd cannot say.
			}
			if g.chance(20) {
				rule.ABTest(g.pick("e", someEvents)).Traffic("50%")
			}
			builder.Rule(rule)
		}
		if g.chance(30) {
			builder.Override(g.pick("u", 3), "on")
		}
	}
	if g.chance(12) {
		builder.DefaultVariation("gone") // Invalid.
	}
	g.time++
	flag := builder.Obj()
	flag.Generation = int64(g.time)
	return flag
}

func (g *generator) audience() *v1alpha1.FlagAudience {
	builder := builders.MakeAudience(g.pick("a", someAudiences), "shop").Members(g.pick("u", 5))
	if g.chance(30) {
		builder.Group(builders.MakeCondition("plan", v1alpha1.OperatorIn, g.pick("p", 3)))
	}
	if g.chance(15) {
		builder.Group() // Invalid.
	}
	return builder.Obj()
}

func (g *generator) event() *v1alpha1.FlagEvent {
	builder := builders.MakeEvent(
		g.pick("e", someEvents),
		"shop",
	).Created(
		time.Unix(int64(g.random.IntN(2)), 0),
		g.pick("uid", 2),
	)
	if g.chance(30) {
		builder.Key(g.pick("e", someEvents))
	}
	if g.chance(40) {
		builder.Numeric(g.pick("unit", 3))
	}
	event := builder.Obj()
	if g.chance(15) {
		event.Spec.Type = "Other" // Invalid.
	}
	return event
}

// set sets or removes one random object. It returns what it did.
func (g *generator) set(environment *Environment, w *world) string {
	switch n := g.random.IntN(70); {
	case n < 35:
		flag := g.flag()
		w.flags[flag.Name] = flag
		environment.SetFlag(flag)
		return fmt.Sprintf(
			"SetFlag %s: key %q archived %t default %s %+v",
			flag.Name,
			flag.Key(),
			flag.Spec.Archived,
			flag.Spec.DefaultVariation,
			flag.Spec.Environments,
		)
	case n < 45:
		name := g.pick("f", someFlags)
		delete(w.flags, name)
		environment.RemoveFlag(name)
		return "RemoveFlag " + name
	case n < 55:
		audience := g.audience()
		w.audiences[audience.Name] = audience
		environment.SetAudience(audience)
		return fmt.Sprintf("SetAudience %s: %+v", audience.Name, audience.Spec)
	case n < 62:
		name := g.pick("a", someAudiences)
		delete(w.audiences, name)
		environment.RemoveAudience(name)
		return "RemoveAudience " + name
	case n < 67:
		event := g.event()
		w.events[event.Name] = event
		environment.SetEvent(event)
		return fmt.Sprintf("SetEvent %s: %+v", event.Name, event.Spec)
	default:
		name := g.pick("e", someEvents)
		delete(w.events, name)
		environment.RemoveEvent(name)
		return "RemoveEvent " + name
	}
}

// step does one random thing to the environment and notes it in the world. It returns what it did.
func (g *generator) step(environment *Environment, w *world, older *[]*datafile.Contents) string {
	switch n := g.random.IntN(100); {
	case n < 70:
		return g.set(environment, w)
	case n < 85:
		environment.Compile()
		return "Compile"
	case n < 97:
		environment.Compile()
		w.published = environment.Contents().Clone()
		*older = append(*older, w.published)
		environment.SetPublished(w.published)
		return "Compile, publish"
	case n < 99 && len(*older) > 0:
		w.published = (*older)[g.random.IntN(len(*older))] // Somebody rolls back.
		environment.SetPublished(w.published)
		return "roll back"
	default:
		w.published = &datafile.Contents{} // Everything published is lost.
		environment.SetPublished(nil)
		return "lose what was published"
	}
}

// TestHistoryDoesNotMatter is the property that everything else rests on: what is compiled depends on the objects and
// on what is published, never on the way there. The operator may restart at any time.
func TestHistoryDoesNotMatter(t *testing.T) {
	sequences := uint64(200)
	if testing.Short() {
		sequences = 50
	}
	for seed := range sequences {
		if !runSequence(t, seed, 60) {
			return
		}
	}
}

func runSequence(t *testing.T, seed uint64, steps int) bool {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	g := &generator{random: random}
	w := newWorld()
	environment := NewEnvironment("production", nil)
	var log []string
	var older []*datafile.Contents
	for range steps {
		log = append(log, g.step(environment, w, &older))
		if !g.chance(50) {
			continue
		}
		before := environment.Contents().Digest(environment.Flagd())
		changes := environment.Compile()
		log = append(log, "Compile and compare")
		got, want := viewOf(environment, w), viewOf(w.fresh(random), w)
		diff := cmp.Diff(want, got, cmpopts.EquateEmpty())
		document, err := environment.Contents().Document()
		if err == nil {
			diff += cmp.Diff(
				&datafile.Document{Flags: document.Flags, Audiences: document.Audiences},
				environment.Document(),
				cmpopts.EquateEmpty(),
			)
			_, err = evaluate.New(document)
		}
		if diff == "" && err == nil && (changes.Contents || before == got.Digest) {
			continue
		}
		for _, line := range log {
			t.Log(line)
		}
		if err != nil {
			t.Errorf("seed %d: no reader takes what is compiled: %v", seed, err)
		}
		if !changes.Contents && before != got.Digest {
			t.Errorf("seed %d: the contents changed and Compile does not say so, so nobody publishes them", seed)
		}
		t.Errorf("seed %d: an operator that restarts now would publish something else (-fresh +incremental):\n%s", seed, diff)
		return false
	}
	return true
}

// TestChangesNamesEveryChange holds the status of every flag together with what Compile says has changed.
func TestChangesNamesEveryChange(t *testing.T) {
	for seed := range uint64(100) {
		g := &generator{random: rand.New(rand.NewPCG(seed, 1))}
		w := newWorld()
		environment := NewEnvironment("production", nil)
		known := map[string]outcomeView{}
		parts := map[string]datafile.Part{}
		for range 40 {
			if g.chance(20) {
				w.published = environment.Contents().Clone()
				environment.SetPublished(w.published)
			} else {
				g.set(environment, w)
			}
			changed := map[string]bool{}
			for _, key := range environment.Compile().Keys {
				changed[key] = true
			}
			for name, outcome := range viewOf(environment, w).Outcomes {
				if !changed[outcome.Outcome.Key] && !cmp.Equal(known[name], outcome) {
					t.Fatalf(
						"seed %d: the status of flag %q would be out of date, for Compile does not name its key: %s",
						seed,
						name,
						cmp.Diff(known[name], outcome),
					)
				}
				known[name] = outcome
			}
			for n := range someFlags {
				key := fmt.Sprintf("f%d", n)
				part, _ := environment.Contents().Flags.Get(key)
				if !changed[key] && part.Digest != parts[key].Digest {
					t.Fatalf("seed %d: the part of flag %q changed, and Compile does not name its key", seed, key)
				}
				parts[key] = part
			}
		}
	}
}

// TestCompileChangesNoInput guards the cache that the objects come from, which is shared.
func TestCompileChangesNoInput(t *testing.T) {
	for seed := range uint64(50) {
		g := &generator{random: rand.New(rand.NewPCG(seed, 3))}
		w := newWorld()
		environment := NewEnvironment("production", nil)
		var older []*datafile.Contents
		flags := map[*v1alpha1.FeatureFlag]*v1alpha1.FeatureFlag{}
		audiences := map[*v1alpha1.FlagAudience]*v1alpha1.FlagAudience{}
		events := map[*v1alpha1.FlagEvent]*v1alpha1.FlagEvent{}
		published := map[*datafile.Contents][]byte{}
		for range 40 {
			g.step(environment, w, &older)
			for _, flag := range w.flags {
				if flags[flag] == nil {
					flags[flag] = flag.DeepCopy()
				}
			}
			for _, audience := range w.audiences {
				if audiences[audience] == nil {
					audiences[audience] = audience.DeepCopy()
				}
			}
			for _, event := range w.events {
				if events[event] == nil {
					events[event] = event.DeepCopy()
				}
			}
			if published[w.published] == nil {
				published[w.published] = w.published.Encode(datafile.Header{})
			}
		}
		environment.Compile()
		for flag, copied := range flags {
			if diff := cmp.Diff(copied, flag); diff != "" {
				t.Fatalf("seed %d: compiling changed a flag in the cache (-before +after):\n%s", seed, diff)
			}
		}
		for audience, copied := range audiences {
			if diff := cmp.Diff(copied, audience); diff != "" {
				t.Fatalf("seed %d: compiling changed an audience in the cache (-before +after):\n%s", seed, diff)
			}
		}
		for event, copied := range events {
			if diff := cmp.Diff(copied, event); diff != "" {
				t.Fatalf("seed %d: compiling changed an event in the cache (-before +after):\n%s", seed, diff)
			}
		}
		for contents, before := range published {
			if !bytes.Equal(before, contents.Encode(datafile.Header{})) {
				t.Fatalf("seed %d: compiling changed what is published", seed)
			}
		}
	}
}
