// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage remembers what is evaluated on this replica: counters for Prometheus, when each flag was evaluated
// last, and of each environment a sample of the contexts and how many subjects there are.
//
// Everything is bounded, whoever asks for whatever, and nothing of it is written anywhere: contexts may be personal.
package usage

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Recorder remembers evaluations. It is safe for concurrent use.
type Recorder struct {
	clock    clock.PassiveClock
	counters *counters

	environments sync.Map // Of *recorded by *store.Environment.
	// recent is the one of them that was used last.
	recent atomic.Pointer[recorded]
	// mu guards the making and the end of what is remembered.
	mu sync.Mutex
}

// recorded is what is remembered of an environment.
type recorded struct {
	environment *store.Environment
	sampler     *sampler
	// unknown counts what no flag answered.
	unknown prometheus.Counter
	flags   atomic.Pointer[flags]
}

// flags are those of one revision, of which nothing else is held, so that its memory can go when another takes its
// place.
type flags struct {
	number int64
	digest string
	// byKey has the same *flag from revision to revision as long as the environment serves the key.
	byKey map[string]*flag
}

func (f *flags) areOf(revision *store.Revision) bool {
	return f.number == revision.Number && f.digest == revision.Digest
}

// flag is what is remembered of a flag.
type flag struct {
	// last is when it was evaluated last, in nanoseconds since 1970, and 0 where it was not.
	last atomic.Int64
	// answers are the counters of what it answered so far, of which there are few.
	answers atomic.Pointer[[]answer]
}

// answer is a counter, found without its labels, because looking those up takes longer than evaluating.
type answer struct {
	variation string
	reason    evaluate.Reason
	counter   prometheus.Counter
	// counted is false where it is the counter of everything over MaxSeries.
	counted bool
}

// New returns a Recorder whose counters are registered. It fails where they are registered already.
func New(passive clock.PassiveClock, registerer prometheus.Registerer) (*Recorder, error) {
	r := &Recorder{clock: passive, counters: newCounters()}
	if err := registerer.Register(r); err != nil {
		return nil, fmt.Errorf("register the counter of evaluations: %w", err)
	}
	return r, nil
}

// Evaluated remembers the answer that a context got in an environment at a time. The context is not changed, and is
// copied where it is kept. It takes about as long as the evaluation itself, and allocates nothing for an answer that
// the flag gave before to a subject that is not new to the sample.
func (r *Recorder) Evaluated(
	environment *store.Environment,
	result *evaluate.Result,
	context map[string]any,
	now time.Time,
) {
	in := r.of(environment)
	if in == nil {
		return
	}
	if result.Flag == nil {
		in.unknown.Inc()
		return
	}
	answered, known := r.flagsOf(in).byKey[result.Flag.Key]
	if !known {
		return // The flag left the environment while it was evaluated.
	}
	answered.last.Store(now.UnixNano())
	if found := find(*answered.answers.Load(), result); found != nil {
		found.Inc()
	} else {
		r.countFirst(in, answered, result)
	}
	if subject, _ := context["targetingKey"].(string); subject != "" && len(subject) <= maxContextBytes {
		in.sampler.add(subject, context, now)
	}
}

// Captured counts what clients sent to an environment, of a kind such as event.
func (r *Recorder) Captured(environment *store.Environment, kind string, count int) {
	if r.of(environment) == nil {
		return
	}
	r.counters.captured.WithLabelValues(environment.Project, environment.Name, kind).Add(float64(count))
}

// of is what is remembered of an environment, and nil where that was deleted.
func (r *Recorder) of(environment *store.Environment) *recorded {
	if recent := r.recent.Load(); recent != nil && recent.environment == environment {
		return recent
	}
	if found, known := r.environments.Load(environment); known {
		in, _ := found.(*recorded)
		r.recent.Store(in)
		return in
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// An environment that was deleted and made again has the same labels.
	r.forget()
	if environment.Gone() {
		return nil
	}
	in := &recorded{environment: environment, sampler: newSampler(), unknown: r.counters.unknown(environment)}
	in.flags.Store(&flags{})
	found, _ := r.environments.LoadOrStore(environment, in)
	in, _ = found.(*recorded)
	return in
}

// flagsOf are the flags that an environment serves now.
func (r *Recorder) flagsOf(in *recorded) *flags {
	if current := in.flags.Load(); current.areOf(in.environment.Revision()) {
		return current
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.follow(in)
}

// follow takes over the flags of the revision that is served now, and drops the series of those that are gone.
func (r *Recorder) follow(in *recorded) *flags {
	before, revision := in.flags.Load(), in.environment.Revision()
	if before.areOf(revision) {
		return before
	}
	engine := revision.Engine()
	next := &flags{number: revision.Number, digest: revision.Digest, byKey: make(map[string]*flag, engine.Len())}
	for served := range engine.Flags() {
		kept := before.byKey[served.Key]
		if kept == nil {
			kept = &flag{}
			kept.answers.Store(&[]answer{})
		}
		next.byKey[served.Key] = kept
	}
	for key, gone := range before.byKey {
		if next.byKey[key] == nil {
			r.counters.drop(in.environment, key, *gone.answers.Load())
		}
	}
	in.flags.Store(next)
	return next
}

// countFirst counts an answer that the flag did not give before.
func (r *Recorder) countFirst(in *recorded, of *flag, result *evaluate.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.environments.Load(in.environment); !known || in.flags.Load().byKey[result.Flag.Key] != of {
		return // The flag is not served any more, and nobody would drop a series that is made now.
	}
	answers := *of.answers.Load()
	found := find(answers, result)
	if found == nil {
		added := r.counters.answer(in.environment, result)
		// Readers have the old slice, which stays as it is.
		answers = append(slices.Clip(answers), added)
		of.answers.Store(&answers)
		found = added.counter
	}
	found.Inc()
}

// variationOf is the key of the variation of a result, and empty where the flag leaves the value to the code.
func variationOf(result *evaluate.Result) string {
	if result.Variation == nil {
		return ""
	}
	return result.Variation.Key
}

func find(answers []answer, result *evaluate.Result) prometheus.Counter {
	for i := range answers {
		if answers[i].variation == variationOf(result) && answers[i].reason == result.Reason {
			return answers[i].counter
		}
	}
	return nil
}

// forget drops what is remembered of environments that were deleted.
func (r *Recorder) forget() {
	r.environments.Range(func(key, value any) bool {
		if in, ok := value.(*recorded); ok && in.environment.Gone() {
			r.environments.Delete(key)
			r.recent.CompareAndSwap(in, nil)
			for key, gone := range in.flags.Load().byKey {
				r.counters.drop(in.environment, key, *gone.answers.Load())
			}
			r.counters.dropEnvironment(in.environment)
		}
		return true
	})
}

// LastEvaluated is when this replica evaluated a flag last, and false where it did not since it started, or since the
// environment began to serve the flag.
func (r *Recorder) LastEvaluated(environment *store.Environment, flag string) (time.Time, bool) {
	if found, known := r.environments.Load(environment); known {
		in, _ := found.(*recorded)
		if evaluated, known := r.flagsOf(in).byKey[flag]; known {
			if last := evaluated.last.Load(); last != 0 {
				return time.Unix(0, last), true
			}
		}
	}
	return time.Time{}, false
}

// Sample returns contexts that were evaluated in an environment within the last one to two days: at most SampleSize,
// each of another subject, each subject as likely as any other, with an estimate of how many subjects there were. The
// contexts must not be changed.
func (r *Recorder) Sample(environment *store.Environment) (contexts []map[string]any, subjects int) {
	found, known := r.environments.Load(environment)
	if !known {
		return nil, 0
	}
	in, _ := found.(*recorded)
	return in.sampler.sample(r.clock.Now())
}
