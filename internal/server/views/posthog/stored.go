// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import "encoding/json"

// viewName names the view, and the annotation that keeps what the Kind has no field for.
const viewName = "posthog"

// kept is what the annotation holds.
type kept struct {
	EnsureExperienceContinuity bool            `json:"ensureExperienceContinuity,omitempty"`
	RollbackConditions         json.RawMessage `json:"rollbackConditions,omitempty"`
	PerformedRollback          *bool           `json:"performedRollback,omitempty"`
	EvaluationTags             []string        `json:"evaluationTags,omitempty"`
	AnalyticsDashboards        []int64         `json:"analyticsDashboards,omitempty"`
	HasEnrichedAnalytics       *bool           `json:"hasEnrichedAnalytics,omitempty"`
	CreationContext            *string         `json:"creationContext,omitempty"`
	CreateInFolder             *string         `json:"createInFolder,omitempty"`
	// Shares are those of the variants by environment, where no rule splits and so holds them.
	Shares map[string]map[string]float64 `json:"shares,omitempty"`
}

// isEmpty reports whether there is nothing to hold.
func (k *kept) isEmpty() bool { return canonical(k) == "{}" }
