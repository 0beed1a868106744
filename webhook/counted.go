// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/internal/metrics"
)

// counted counts the decisions of a handler of one Kind.
type counted struct {
	kind string
	admission.Handler
	// first is true for the mutating webhook, which the other one follows where it allows a write: each write counts once.
	first bool
}

// Handle judges a request and counts the decision.
func (c counted) Handle(ctx context.Context, request admission.Request) admission.Response {
	response := c.Handler.Handle(ctx, request)
	if decision := decisionOf(&response); !c.first || decision != metrics.Allowed {
		metrics.Admitted(c.kind, decision)
	}
	return response
}

// decisionOf is a decision as metrics say it.
func decisionOf(response *admission.Response) string {
	switch {
	case response.Allowed:
		return metrics.Allowed
	case response.Result != nil && response.Result.Code >= http.StatusInternalServerError:
		return metrics.Errored
	default:
		return metrics.Denied
	}
}
