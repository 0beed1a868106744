// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"encoding/json"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// deviceIdentifier is the bucketing identifier of a flag that hashes the device.
const deviceIdentifier = "device_id"

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
	// ByDevice are the environments in which the flag hashes the device, where no rule says so.
	ByDevice map[string]bool `json:"byDevice,omitempty"`
}

// Identifier is what a flag hashes in an environment.
func (k *Kept) Identifier(config *v1alpha1.EnvironmentConfig, environment string) string {
	if k.ByDevice[environment] {
		return deviceIdentifier
	}
	return BucketingIdentifier(config)
}

// KeepIdentifier keeps what a flag hashes in an environment, unless a rule says it.
func (k *Kept) KeepIdentifier(config *v1alpha1.EnvironmentConfig, environment, identifier string) {
	delete(k.ByDevice, environment)
	if identifier != deviceIdentifier || BucketingIdentifier(config) == identifier {
		return
	}
	if k.ByDevice == nil {
		k.ByDevice = map[string]bool{}
	}
	k.ByDevice[environment] = true
}

// IsEmpty reports whether there is nothing to hold.
func (k *Kept) IsEmpty() bool { return Canonical(k) == "{}" }
