// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import "encoding/json"

// ViewName names the view, and the annotation that keeps what the Kind has no field for.
const ViewName = "posthog"

// Kept is what the annotation holds.
type Kept struct {
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

// IsEmpty reports whether there is nothing to hold.
func (k *Kept) IsEmpty() bool { return Canonical(k) == "{}" }
