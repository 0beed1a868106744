// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
)

// On call who pulls a brake right after a publish of three hundred flags is told of the brake first.
func TestPriorityOfAReport(t *testing.T) {
	flag := func(brakes string, told ...v1alpha1.EnvironmentState) *v1alpha1.FeatureFlag {
		flag := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Obj()
		flag.Generation, flag.Status.ObservedGeneration, flag.Status.Environments = 2, 2, told
		if brakes != "" {
			flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: brakes}
		}
		return flag
	}
	production := func(isBraked, isOn bool) v1alpha1.EnvironmentState {
		return v1alpha1.EnvironmentState{
			Name:   "production",
			Wanted: v1alpha1.WantedState{Enabled: true, ForceDisabled: isBraked},
			Served: &v1alpha1.ServedState{Enabled: isOn},
		}
	}
	edited := flag("", production(false, true))
	edited.Generation = 3
	for name, tc := range map[string]struct {
		flag *v1alpha1.FeatureFlag
		want int
	}{
		"a flag that is gone":            {nil, 0},
		"what others bring to it":        {flag("", production(false, true)), 0},
		"an edit":                        {edited, fairqueue.EditPriority},
		"a brake":                        {flag("production", production(false, true)), fairqueue.BrakePriority},
		"a brake of another environment": {flag("staging", production(false, true)), 0},
		"a brake that is not served yet": {flag("production", production(true, true)), fairqueue.BrakePriority},
		"a brake that is told":           {flag("production", production(true, false)), 0},
		"a brake that is lifted":         {flag("", production(true, false)), fairqueue.BrakePriority},
	} {
		if got := priorityOf(tc.flag); got != tc.want {
			t.Errorf("%s: the priority is %d, want %d", name, got, tc.want)
		}
	}
}
