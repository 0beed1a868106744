// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"net/http"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/internal/metrics"
)

// Someone on call is to be woken by admission that cannot judge, and not by people who make mistakes.
func TestDecisionOf(t *testing.T) {
	for name, tc := range map[string]struct {
		response admission.Response
		want     string
	}{
		"allowed":         {admission.Allowed(""), metrics.Allowed},
		"denied":          {admission.Denied("no"), metrics.Denied},
		"unreadable":      {admission.Errored(http.StatusBadRequest, errors.New("no JSON")), metrics.Denied},
		"without answers": {admission.Errored(http.StatusInternalServerError, errors.New("timeout")), metrics.Errored},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decisionOf(&tc.response); got != tc.want {
				t.Errorf("it counts as %s, want %s", got, tc.want)
			}
		})
	}
}
