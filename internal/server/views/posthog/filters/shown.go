// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"maps"
	"slices"
)

// DropShown leaves out of filters what came back as it was shown, and reports whether they say nothing else.
func (f *Filters) DropShown(shown *ShownFilters) bool {
	if slices.EqualFunc(f.Groups, shown.Groups, isShown) {
		f.Groups = nil
	}
	if f.Multivariate != nil && shown.Multivariate != nil &&
		slices.EqualFunc(f.Multivariate.Variants, shown.Multivariate.Variants, isShownVariant) {
		f.Multivariate = nil
	}
	f.noVariants = f.noVariants && shown.Multivariate != nil
	if maps.Equal(f.Payloads, shown.Payloads) {
		f.Payloads = nil
	}
	return !f.Replaces() && !f.noVariants && f.Payloads == nil && f.AggregationGroupTypeIndex == nil &&
		isNothing(f.SuperGroups) && isNothing(f.Holdout) && isNothing(f.HoldoutGroups) &&
		isNothing(f.FeatureEnrollment) && isNothing(f.EarlyExit)
}

// Replaces reports whether filters say whom the flag is released to.
func (f *Filters) Replaces() bool { return f.Groups != nil || f.Multivariate != nil }

// isShown reports whether a group that was sent says no more than one that is shown.
func isShown(sent, shown Group) bool {
	impossible := func(p Property) bool { return !isNothing(p.Negation) || p.GroupTypeIndex != nil }
	return sent.SortKey == shown.SortKey && isSame(&sent, &shown) && sent.AggregationGroupTypeIndex == nil &&
		!slices.ContainsFunc(sent.Properties, impossible)
}

func isShownVariant(sent, shown Variant) bool {
	return sent.Key == shown.Key && sent.RolloutPercentage == shown.RolloutPercentage &&
		(sent.Name == "" || sent.Name == shown.Name)
}
