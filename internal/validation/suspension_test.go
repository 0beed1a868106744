// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// A freeze whose end is past by a slip of the pen freezes nothing, and whoever set it would not know.
func TestNewSuspension(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	frozen := func(until time.Duration) *v1alpha1.FlagEnvironment {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Spec.Publish.Suspend = true
		environment.Spec.Publish.SuspendUntil = new(metav1.NewTime(now.Add(until)))
		return environment
	}
	thawed := frozen(-time.Hour)
	thawed.Spec.Publish.Suspend = false
	for name, tc := range map[string]struct {
		old, environment *v1alpha1.FlagEnvironment
		want             string
	}{
		"to come":                         {&v1alpha1.FlagEnvironment{}, frozen(time.Minute), ""},
		"past":                            {&v1alpha1.FlagEnvironment{}, frozen(-time.Minute), "is past"},
		"now":                             {&v1alpha1.FlagEnvironment{}, frozen(0), "is past"},
		"over, and something else edited": {frozen(-time.Hour), frozen(-time.Hour), ""},
		"left over from an older freeze":  {thawed, frozen(-time.Hour), "is past"},
		"not frozen":                      {&v1alpha1.FlagEnvironment{}, thawed, ""},
		"a year":                          {&v1alpha1.FlagEnvironment{}, frozen(MaxSuspension), ""},
		"the typo of a century":           {&v1alpha1.FlagEnvironment{}, frozen(MaxSuspension + time.Second), "366 days"},
		"restored from a backup":          {nil, frozen(-time.Hour), ""},
		"created for ever":                {nil, frozen(MaxSuspension + time.Second), "366 days"},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewSuspension(tc.old, tc.environment, now).ToAggregate()
			switch {
			case tc.want == "" && got != nil:
				t.Errorf("it is refused: %v", got)
			case tc.want != "" && (got == nil || !strings.Contains(got.Error(), tc.want)):
				t.Errorf("it is %v, want a refusal that says %q", got, tc.want)
			}
		})
	}
}
