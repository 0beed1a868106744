// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
)

// A replica whose watch is refused serves what is old and says nothing of it.
func TestWatchesThatAreNotAlive(t *testing.T) {
	flags := schema.GroupResource{Group: "flags.jackstaff.dev", Resource: "featureflags"}
	refused := apierrors.NewForbidden(flags, "", errors.New("no role"))
	for name, tc := range map[string]struct {
		err error
		// failures are after how many seconds each it fails, and asked after how many seconds more somebody looks.
		failures []int
		asked    int
		want     bool
	}{
		"refused for a minute":             {err: refused, failures: []int{0, 1, 2, 4, 8, 16, 30}, asked: 10, want: true},
		"refused once":                     {err: refused, failures: []int{0}, asked: 80},
		"refused for a while":              {err: refused, failures: []int{0, 10, 20}, asked: 10},
		"alive again":                      {err: refused, failures: []int{0, 30, 31}, asked: 100},
		"refused now and then":             {err: refused, failures: []int{0, 100, 100, 100}, asked: 1},
		"what cannot be decoded":           {err: errors.New("json: cannot unmarshal"), failures: []int{0, 30, 31}, want: true},
		"the API server is away":           {err: io.ErrUnexpectedEOF, failures: []int{0, 30, 31}},
		"the API server is busy":           {err: apierrors.NewTooManyRequests("later", 1), failures: []int{0, 30, 31}},
		"the Kind is gone, which is known": {err: apierrors.NewNotFound(flags, ""), failures: []int{0, 30, 31}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC))
			w := newWatches(clock)
			for _, after := range tc.failures {
				clock.Step(time.Duration(after) * time.Second)
				w.record("*v1alpha1.FeatureFlag", tc.err)
			}
			clock.Step(time.Duration(tc.asked) * time.Second)
			err := w.ready(nil)
			if (err != nil) != tc.want ||
				err != nil && !strings.Contains(err.Error(), "FeatureFlag since 2027-01-01T09:00:00Z") {
				t.Errorf("readiness says %v, want a problem: %t", err, tc.want)
			}
		})
	}
}
