// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/internal/metrics"
)

// answered are the series of requests that were answered, by their labels.
func answered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "jackstaff_api_requests_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			series[strings.Join(labels, " ")] = metric.GetCounter().GetValue()
		}
	}
	return series
}

// Whoever asks for whatever path makes no series of it: Prometheus' memory is everybody's.
func TestAnswersAreCountedByWhatTheServerHas(t *testing.T) {
	registry := prometheus.NewRegistry()
	if err := metrics.RegisterCounters(registry); err != nil {
		t.Fatal(err)
	}
	s := &Server{
		mux: http.NewServeMux(), routes: map[string][]route{}, prefixes: map[string]http.Handler{}, inFlight: newInFlight(),
	}
	s.options.Clock = clocktesting.NewFakePassiveClock(time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC))
	views := http.NewServeMux()
	views.HandleFunc("GET /api/counted/{flag}", func(http.ResponseWriter, *http.Request) {})
	views.HandleFunc("GET /api/counted/broken", func(http.ResponseWriter, *http.Request) {
		panic("broken")
	})
	s.mount(route{view: "counted", pattern: "/api/counted/", handler: views})
	s.HandlePrefix("/counted-prefix/", http.NotFoundHandler())
	handler := s.observe(http.HandlerFunc(s.route))
	before := answered(t, registry)
	for _, path := range []string{
		"/api/counted/a", "/api/counted/b", "/api/counted/broken", "/counted-prefix/x", "/counted-prefix/y", "/secret", "/x",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		handler.ServeHTTP(httptest.NewRecorder(), request)
	}
	got := answered(t, registry)
	for series, count := range before {
		if got[series] -= count; got[series] == 0 {
			delete(got, series)
		}
	}
	want := map[string]float64{ // By code, route and view.
		"200 GET /api/counted/{flag} counted": 2, "500 GET /api/counted/broken counted": 1,
		"404 /counted-prefix/ none": 2, "404 other none": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answers that are counted differ (-want +got):\n%s", diff)
	}
}
