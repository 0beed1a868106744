// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// urgencyOf says how soon the status of a flag has to say what an edit of the flag brought. The first status is written
// at once, since admission tells drafts by it, and so is all that concerns a brake. Whether the flag is enabled anywhere,
// as wanted or as served, is what a person looks for.
func urgencyOf(before, after *v1alpha1.FeatureFlagStatus) status.Urgency {
	urgency := status.UrgencyOf(before.Conditions, after.Conditions)
	for i := range after.Environments {
		is := &after.Environments[i]
		was := v1alpha1.EnvironmentState{}
		if j := slices.IndexFunc(before.Environments, func(state v1alpha1.EnvironmentState) bool {
			return state.Name == is.Name
		}); j >= 0 {
			was = before.Environments[j]
		}
		servedDiffers := isServedOn(&was) != isServedOn(is)
		switch isBraked := is.Wanted.ForceDisabled; {
		case isBraked != was.Wanted.ForceDisabled, isBraked && servedDiffers:
			return status.Immediate
		case servedDiffers, is.Wanted.Enabled != was.Wanted.Enabled:
			urgency = max(urgency, status.Soon)
		}
	}
	return urgency
}

func isServedOn(state *v1alpha1.EnvironmentState) bool {
	return state.Served != nil && state.Served.Enabled
}
