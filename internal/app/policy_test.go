// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"testing"
)

// gauge is a metric that keeps its last value.
type gauge struct{ value float64 }

func (g *gauge) Set(value float64) { g.value = value }

// An alert on the metric is how an administrator learns that somebody has taken the policy away.
func TestTheMetricSaysWhetherThePolicyIsInForce(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []bool
		fails   bool
		want    float64
	}{
		"in force":            {answers: []bool{true}, want: 1},
		"missing":             {answers: []bool{false}},
		"taken away":          {answers: []bool{true, false}},
		"installed later":     {answers: []bool{false, true}, want: 1},
		"nobody knows, as of": {answers: []bool{true}, fails: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var answer bool
			var failure error
			told := &gauge{value: -1}
			report := &policyReport{
				inForce: told, guarded: func(context.Context) (bool, error) { return answer, failure },
			}
			for _, answer = range tc.answers {
				report.check(t.Context())
			}
			if tc.fails {
				answer, failure = false, errors.New("connection refused")
				report.check(t.Context())
			}
			if told.value != tc.want {
				t.Errorf("the metric says %v, want %v", told.value, tc.want)
			}
		})
	}
}
