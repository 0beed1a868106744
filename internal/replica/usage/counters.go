// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// The counter of evaluations and its labels. Those that OpenTelemetry has a name for have that name, with underscores
// (https://opentelemetry.io/docs/specs/semconv/feature-flags/).
const (
	CounterName      = "jackstaff_flag_evaluations_total"
	ProjectLabel     = "project"
	EnvironmentLabel = "environment"
	FlagLabel        = "feature_flag_key"
	VariationLabel   = "feature_flag_result_variant"
	ReasonLabel      = "feature_flag_result_reason"
)

// The counter of the events that PostHog's clients send, and the label that tells events from recordings.
const (
	CapturedName = "jackstaff_captured_events_total"
	KindLabel    = "kind"
)

const (
	// Unknown is the flag of evaluations of keys that the environment does not serve: anybody can ask for any key. Their
	// reason, error, tells them from those of a flag of that key.
	Unknown = "unknown"

	// Other is the value of the labels flag, variation and reason of evaluations that are over MaxSeries.
	Other = "other"

	// MaxSeries is how many combinations of flag, variation and reason are counted apart on one replica, over all
	// environments.
	MaxSeries = 20_000
)

// errorReason is OpenTelemetry's word for an evaluation without an answer.
const errorReason = "error"

// counters are the series. Recorder.mu guards all of it but the counting itself.
type counters struct {
	vector *prometheus.CounterVec
	// captured counts what clients sent that was not kept.
	captured *prometheus.CounterVec
	series   int
}

func newCounters() *counters {
	return &counters{
		vector: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: CounterName, Help: "Evaluations of flags on this replica, by what was answered.",
		}, []string{ProjectLabel, EnvironmentLabel, FlagLabel, VariationLabel, ReasonLabel}),
		captured: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: CapturedName, Help: "Events that PostHog's clients sent to this replica, which keeps none of them.",
		}, []string{ProjectLabel, EnvironmentLabel, KindLabel}),
	}
}

// unknown is the counter of keys that an environment does not serve.
func (c *counters) unknown(environment *store.Environment) prometheus.Counter {
	return c.vector.WithLabelValues(environment.Project, environment.Name, Unknown, "", errorReason)
}

// answer makes the counter of an answer.
func (c *counters) answer(environment *store.Environment, result *evaluate.Result) answer {
	// What is held must not hold the revision that it came from.
	made := answer{variation: strings.Clone(variationOf(result)), reason: result.Reason}
	if c.series >= MaxSeries {
		made.counter = c.vector.WithLabelValues(environment.Project, environment.Name, Other, Other, Other)
		return made
	}
	c.series++
	made.counted = true
	made.counter = c.vector.WithLabelValues(
		environment.Project,
		environment.Name,
		strings.Clone(result.Flag.Key),
		made.variation,
		reasonLabel(made.reason),
	)
	return made
}

// drop ends the series of a flag.
func (c *counters) drop(environment *store.Environment, flag string, answers []answer) {
	for i := range answers {
		if answers[i].counted {
			c.vector.DeleteLabelValues(
				environment.Project,
				environment.Name,
				flag,
				answers[i].variation,
				reasonLabel(answers[i].reason),
			)
			c.series--
		}
	}
}

// dropEnvironment ends those that are of no flag.
func (c *counters) dropEnvironment(environment *store.Environment) {
	c.vector.DeleteLabelValues(environment.Project, environment.Name, Unknown, "", errorReason)
	c.vector.DeleteLabelValues(environment.Project, environment.Name, Other, Other, Other)
	c.captured.DeletePartialMatch(
		prometheus.Labels{ProjectLabel: environment.Project, EnvironmentLabel: environment.Name},
	)
}

// reasonLabel is a reason as OpenTelemetry writes it.
func reasonLabel(reason evaluate.Reason) string { return strings.ToLower(string(reason)) }

// Describe describes the counter of evaluations.
func (r *Recorder) Describe(to chan<- *prometheus.Desc) {
	r.counters.vector.Describe(to)
	r.counters.captured.Describe(to)
}

// Collect collects the series of the environments and flags that are served now.
func (r *Recorder) Collect(to chan<- prometheus.Metric) {
	r.mu.Lock()
	r.forget()
	r.environments.Range(func(_, value any) bool {
		if in, ok := value.(*recorded); ok {
			r.follow(in)
		}
		return true
	})
	r.mu.Unlock()
	r.counters.vector.Collect(to)
	r.counters.captured.Collect(to)
}
