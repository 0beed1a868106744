// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

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
	// ByDevice says of environments whether the flag hashes the device there, where no rule says so.
	ByDevice map[string]bool `json:"byDevice,omitempty"`
}

// Identifier is what a flag hashes in an environment: that of its rules, else what was kept of it, else the device
// where that is what the flag hashes in every other environment that hashes.
func (k *Kept) Identifier(flag *v1alpha1.FeatureFlag, environment string) string {
	if own := k.Own(flag, environment); own != "" {
		return own
	}
	return k.elsewhere(flag, environment)
}

// Own is what an environment's rules hash, or was kept of it, and empty where nothing hashes there yet.
func (k *Kept) Own(flag *v1alpha1.FeatureFlag, environment string) string {
	byDevice, isKept := k.ByDevice[environment]
	config := flag.In(environment)
	switch identifier := BucketingIdentifier(config); {
	case byDevice || identifier == deviceIdentifier:
		return deviceIdentifier
	case isKept || config != nil && slices.ContainsFunc(config.Rules, decidesByHash):
		return DistinctID
	default:
		return ""
	}
}

// elsewhere is the device where every other environment that hashes does hash it, and at least one.
func (k *Kept) elsewhere(flag *v1alpha1.FeatureFlag, environment string) string {
	names := slices.Collect(maps.Keys(k.ByDevice))
	for i := range flag.Spec.Environments {
		names = append(names, flag.Spec.Environments[i].Name)
	}
	found := DistinctID
	for _, name := range names {
		if name == environment {
			continue
		}
		switch k.Own(flag, name) {
		case deviceIdentifier:
			found = deviceIdentifier
		case DistinctID:
			return DistinctID
		}
	}
	return found
}

// decidesByHash reports whether a rule shares out those who match it, or includes a part of them.
func decidesByHash(rule v1alpha1.Rule) bool {
	thousandths, err := rule.Traffic.Thousandths()
	return len(rule.Split) > 0 || err == nil && 0 < thousandths && thousandths < v1alpha1.FullTraffic
}

// KeepIdentifier keeps what a flag hashes in an environment, unless a rule says it. Before is the environment's own
// choice that a change found, as Own gives it, and chosen what the change asks for; both may be empty.
func (k *Kept) KeepIdentifier(flag *v1alpha1.FeatureFlag, environment, before, chosen string) {
	byDevice, isKept := k.ByDevice[environment]
	delete(k.ByDevice, environment)
	identifier := cmp.Or(chosen, before)
	if identifier == "" || k.Own(flag, environment) == identifier ||
		identifier == DistinctID && (byDevice || !isKept) && k.elsewhere(flag, environment) == DistinctID {
		return
	}
	if k.ByDevice == nil {
		k.ByDevice = map[string]bool{}
	}
	k.ByDevice[environment] = identifier == deviceIdentifier
}

// IsEmpty reports whether there is nothing to hold.
func (k *Kept) IsEmpty() bool { return Canonical(k) == "{}" }
