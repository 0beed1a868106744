// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics are the operator's own metrics: what each environment serves, what was published and admitted, and
// whether the operator itself is well. docs/metrics.md names each of them.
//
// What tenants can multiply has no label, or is bounded: a namespace has at most MaxPerNamespace environments with
// series, and all have at most MaxEnvironments.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of publishes.
const (
	// Success is a revision that was written and is served.
	Success = "success"
	// Refused is one that cannot be served as things are, such as a datafile that is too large.
	Refused = "refused"
	// Failed is one whose write the API server refused. It is tried again.
	Failed = "failed"
)

// Decisions of admission.
const (
	// Allowed lets a write pass.
	Allowed = "allowed"
	// Denied refuses one that is wrong or not permitted.
	Denied = "denied"
	// Errored refuses one that could not be judged, which is no fault of whoever wrote it.
	Errored = "error"
)

var (
	publishes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jackstaff_publishes_total", Help: "Revisions that were to be published, by what came of it.",
	}, []string{"result"})
	publishDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "jackstaff_publish_duration_seconds",
		Help:    "How long it took to write a revision and serve it, from the reconcile that began with it.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	})
	admissions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jackstaff_admission_requests_total",
		Help: "Writes that admission judged on this replica, by the Kind of the object and the decision.",
	}, []string{"kind", "decision"})
	answers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jackstaff_api_requests_total",
		Help: "Requests that this replica's HTTP server answered, by the view, the pattern of the path and the status.",
	}, []string{"view", "route", "code"})
	answerDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "jackstaff_api_request_duration_seconds",
		Help:    "How long this replica's HTTP server took to answer requests, but for streams.",
		Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"view"})
)

const (
	// None is the view of requests that are of no view: OFREP, SDK paths and documents.
	None = "none"
	// Other is the route of requests that no pattern matches, whatever their path.
	Other = "other"
)

// Answered counts a request to the HTTP server that was answered with a status. Its view and route are those that the
// server has, never what a request says, and empty where it has none. Streams have no duration of their own.
func Answered(view, route string, status int, took time.Duration, isStream bool) {
	view = cmp.Or(view, None)
	answers.WithLabelValues(view, cmp.Or(route, Other), strconv.Itoa(status)).Inc()
	if !isStream {
		answerDuration.WithLabelValues(view).Observe(took.Seconds())
	}
}

// StreamClients is the gauge of streams that are open.
func StreamClients(count func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jackstaff_stream_clients", Help: "Streams of changes that clients have open to this replica.",
	}, func() float64 { return float64(count()) })
}

// Published counts a revision that was to be published, with how long that took where it was served.
func Published(result string, took time.Duration) {
	publishes.WithLabelValues(result).Inc()
	if result == Success {
		publishDuration.Observe(took.Seconds())
	}
}

// Admitted counts a write that admission judged. Kind is one of ours, never what a request says.
func Admitted(kind, decision string) { admissions.WithLabelValues(kind, decision).Inc() }

// RegisterCounters registers what is counted in this process. It may be called again.
func RegisterCounters(registerer prometheus.Registerer) error {
	for _, result := range []string{Success, Refused, Failed} {
		publishes.WithLabelValues(result)
	}
	for _, collector := range []prometheus.Collector{
		publishes, publishDuration, admissions, answers, answerDuration,
	} {
		already := prometheus.AlreadyRegisteredError{}
		if err := registerer.Register(collector); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Served serves collectors while the manager runs, as one of its runnables.
type Served struct {
	Registerer prometheus.Registerer
	Collectors []prometheus.Collector
	// LeaderOnly serves them on the replica that runs the controllers alone, so that nothing is counted twice.
	LeaderOnly bool
}

// NeedLeaderElection tells the manager when to start.
func (s *Served) NeedLeaderElection() bool { return s.LeaderOnly }

// Start registers the collectors until the context ends.
func (s *Served) Start(ctx context.Context) error {
	for _, collector := range s.Collectors {
		if err := s.Registerer.Register(collector); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
		defer s.Registerer.Unregister(collector)
	}
	<-ctx.Done()
	return nil
}

// WatchesFailing is the gauge of watches that the API server refuses.
func WatchesFailing(count func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jackstaff_watches_failing",
		Help: "Watches that the API server has refused this replica for a minute, so that it does not see changes.",
	}, func() float64 { return float64(count()) })
}

// CertificateEnd is the gauge of when the serving certificate ends. End returns the zero time where there is none.
func CertificateEnd(end func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jackstaff_certificate_expiry_timestamp_seconds",
		Help: "When the certificate ends that this replica serves webhooks with, in seconds since 1970, and 0 without one.",
	}, func() float64 {
		if at := end(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	})
}
