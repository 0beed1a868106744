// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// world is a recorder of what a store serves.
type world struct {
	testing.TB
	*Recorder
	store    *store.Store
	registry *prometheus.Registry
	clock    *clocktesting.FakePassiveClock
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		TB:       t,
		store:    store.NewStore(),
		registry: prometheus.NewPedanticRegistry(),
		clock:    clocktesting.NewFakePassiveClock(time.Unix(1e9, 0)),
	}
	var err error
	if w.Recorder, err = New(w.clock, w.registry); err != nil {
		t.Fatal(err)
	}
	return w
}

// publish serves boolean flags that are on, and off for bob, and returns the environment.
func (w *world) publish(uid types.UID, revision int64, flags ...string) *store.Environment {
	w.Helper()
	environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	environment.UID = uid
	for i, flag := range flags {
		flags[i] = fmt.Sprintf(
			`%q:{"defaultVariation":"off","enabled":true,"fallthrough":"on","overrides":{"bob":"off"},"type":"Boolean",`+
				`"variations":[{"key":"on","value":true},{"key":"off","value":false}]}`,
			flag,
		)
	}
	native := fmt.Appendf(
		nil,
		`{"audiences":{},"environment":"production","events":{},"flags":{%s},"project":"shop","revision":%d,"schemaVersion":"1.0"}`,
		strings.Join(flags, ","),
		revision,
	)
	if err := w.store.Set(
		environment,
		&store.Document{Digest: strconv.FormatInt(revision, 10), Native: native},
	); err != nil {
		w.Fatal(err)
	}
	held, _ := w.store.Environment("shop", "production")
	return held
}

func (w *world) evaluate(environment *store.Environment, flag, subject string) {
	context := map[string]any{"targetingKey": subject}
	result := environment.Engine().Evaluate(flag, context, w.clock.Now())
	w.Evaluated(environment, &result, context, w.clock.Now())
}

// expect compares the series, written as flag, variation, reason and count.
func (w *world) expect(want ...string) {
	w.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, family := range families {
		for _, series := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels[ProjectLabel] != "shop" || labels[EnvironmentLabel] != "production" {
				w.Errorf("series of %v", labels)
			}
			if count := series.GetCounter().GetValue(); count > 0 {
				got = append(got, fmt.Sprintf("%s %s %s %v", labels[FlagLabel], labels[VariationLabel], labels[ReasonLabel], count))
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestSeries(t *testing.T) {
	w := newWorld(t)
	environment := w.publish("1", 1, "a", "b")
	w.evaluate(environment, "a", "alice")
	w.evaluate(environment, "a", "carol")
	w.evaluate(environment, "a", "bob")
	w.evaluate(environment, "b", "alice")
	w.evaluate(environment, "made up", "alice")
	w.evaluate(environment, "made up too", "alice")
	w.expect("a off targeting_match 1", "a on default 2", "b on default 1", "unknown  error 2")

	w.publish("1", 2, "a")
	w.expect("a off targeting_match 1", "a on default 2", "unknown  error 2") // Though nothing was evaluated since.
	w.evaluate(environment, "a", "alice")
	w.publish("1", 3, "a", "b")
	w.evaluate(environment, "b", "alice")
	w.expect("a off targeting_match 1", "a on default 3", "b on default 1", "unknown  error 2")

	again := w.publish("2", 4, "a")
	w.expect()
	w.evaluate(again, "a", "alice")
	w.evaluate(environment, "a", "alice") // By somebody who is late.
	w.expect("a on default 1")
	w.store.Remove(types.NamespacedName{Namespace: "shop", Name: "production"})
	w.expect()
}

func TestSeriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.counters.series = MaxSeries - 1
	environment := w.publish("1", 1, "a", "b")
	for _, flag := range []string{"a", "b", "a", "b"} {
		w.evaluate(environment, flag, "alice")
		w.evaluate(environment, flag, "bob")
	}
	w.expect("a on default 2", "other other other 6")
	w.publish("1", 2, "b")
	w.expect("other other other 6")
	w.publish("1", 3, "a")
	w.evaluate(environment, "a", "bob")
	w.expect("a off targeting_match 1", "other other other 6")
}

func TestLastEvaluated(t *testing.T) {
	w := newWorld(t)
	environment := w.publish("1", 1, "a", "b")
	expect := func(flag string, want time.Time) {
		t.Helper()
		if got, known := w.LastEvaluated(environment, flag); !got.Equal(want) || known == want.IsZero() {
			t.Errorf("flag %s was evaluated at %v (%v), want %v", flag, got, known, want)
		}
	}
	expect("a", time.Time{})
	at := w.clock.Now()
	w.evaluate(environment, "a", "alice")
	expect("a", at)
	expect("b", time.Time{})
	expect("c", time.Time{})
	w.clock.SetTime(at.Add(time.Hour))
	w.publish("1", 2, "a", "b")
	w.evaluate(environment, "b", "alice")
	expect("a", at)
	expect("b", at.Add(time.Hour))
	w.publish("1", 3)
	expect("b", time.Time{})
}

func TestSample(t *testing.T) {
	w := newWorld(t)
	environment := w.publish("1", 1, "a", "b")
	expect := func(wantContexts, low, high int) {
		t.Helper()
		contexts, subjects := w.Sample(environment)
		if len(contexts) != wantContexts || subjects < low || subjects > high {
			t.Errorf(
				"the sample has %d contexts of %d subjects, want %d of %d to %d",
				len(contexts),
				subjects,
				wantContexts,
				low,
				high,
			)
		}
	}
	expect(0, 0, 0)
	for range 3 {
		for _, subject := range []string{"alice", "bob", "carol"} {
			w.evaluate(environment, "a", subject)
			w.evaluate(environment, "b", subject)
		}
	}
	expect(3, 3, 3)
	for i := range 50_000 {
		w.evaluate(environment, "a", strconv.Itoa(i))
	}
	expect(SampleSize, 40_000, 60_000)
	w.clock.SetTime(w.clock.Now().Add(period + time.Hour))
	w.evaluate(environment, "a", "alice")
	expect(SampleSize, 40_000, 60_000)
	w.clock.SetTime(w.clock.Now().Add(period + time.Hour))
	expect(1, 1, 1)
	w.evaluate(environment, "a", strings.Repeat("x", maxContextBytes+1))
	expect(1, 1, 1)

	// A look begins a new period, too.
	for i := range 50_000 {
		w.evaluate(environment, "a", strconv.Itoa(i))
	}
	w.evaluate(environment, "a", "alice")
	w.clock.SetTime(w.clock.Now().Add(2*period + time.Hour))
	expect(0, 0, 0)
	w.evaluate(environment, "a", "alice")
	for i := range 50 {
		w.evaluate(environment, "a", "new-"+strconv.Itoa(i))
	}
	expect(51, 51, 51)
}

func TestCountingAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	environment := w.publish("1", 1, "a", "b")
	context, now := map[string]any{"targetingKey": "alice"}, w.clock.Now()
	found, missing := environment.Engine().Evaluate("a", context, now), environment.Engine().Evaluate("c", context, now)
	w.Evaluated(environment, &found, context, now)
	if allocations := testing.AllocsPerRun(100, func() {
		w.Evaluated(environment, &found, context, now)
		w.Evaluated(environment, &missing, context, now)
	}); allocations != 0 {
		t.Errorf("an evaluation that is counted allocates %v times", allocations)
	}
}

// BenchmarkEvaluated counts the evaluations of 100 flags for one subject, one after the other, and of one flag for many
// subjects.
func BenchmarkEvaluated(b *testing.B) {
	w := newWorld(b)
	now := w.clock.Now()
	flags := make([]string, 100)
	for i := range flags {
		flags[i] = fmt.Sprintf("flag-with-a-usual-name-%d", i)
	}
	environment := w.publish("1", 1, flags...)
	contexts := make([]map[string]any, 10_000)
	for i := range contexts {
		contexts[i] = map[string]any{"targetingKey": fmt.Sprintf("user-%d", i)}
	}
	var results []evaluate.Result
	for flag := range environment.Engine().Flags() {
		results = append(results, flag.Evaluate(contexts[0], w.clock.Now()))
	}
	b.Run("flags", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			w.Evaluated(environment, &results[i%len(results)], contexts[0], now)
		}
	})
	b.Run("subjects", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			w.Evaluated(environment, &results[0], contexts[i%len(contexts)], now)
		}
	})
}
