// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// setNeverEnabledIn keeps the environments in which the flag was never enabled. Admission leaves drafts to editors by
// it, so an environment that is left out by mistake costs a permission, and one too many would give it away: a flag
// that was enabled anywhere gains no environment any more.
func setNeverEnabledIn(s *scope, to *v1alpha1.FeatureFlagStatus) {
	names := to.NeverEnabledIn
	if to.FirstEnabledTime == nil {
		names = nil
		for i := range s.environments[:min(len(s.environments), maxEnvironments)] {
			names = append(names, s.environments[i].Name)
		}
	}
	records, err := history.Decode(s.flag.Annotations[v1alpha1.ChangesAnnotation])
	if err != nil {
		names = nil
	}
	to.NeverEnabledIn = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		config := s.flag.In(name)
		return config != nil && config.Enabled ||
			slices.ContainsFunc(records, func(record history.Record) bool { return record.EnablesIn(name) }) ||
			slices.ContainsFunc(s.environments, func(e environment) bool { return e.Name == name && e.entry.WasEnabled })
	})
}
