// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A brake must mean the same wherever it is set: in a frozen environment it is set on what is served, elsewhere on what the
// flag says.
func TestABrakeMeansTheSameOnWhatIsServed(t *testing.T) {
	for name, flag := range map[string]*builders.FlagBuilder{
		"a rule": builders.MakeFlag("a", "shop").Boolean().Environment("production").Fallthrough("on"),
		"the code's default": builders.MakeFlag("a", "shop").Boolean().DefaultVariation("on").
			Environment("production").CodeDefault(),
		"the code's default, decided": builders.MakeFlag("a", "shop").Boolean().DefaultVariation("on").
			Environment("production").Fallthrough("on").CodeDefault(),
		"PostHog's hash": builders.MakeFlag("a", "shop").Boolean().Environment("production").
			Spec(func(spec *v1alpha1.FeatureFlagSpec) { spec.Bucketing = v1alpha1.BucketingPostHogSHA1 }),
		"a prerequisite": builders.MakeFlag("a", "shop").Boolean().Environment("production").Prerequisite("b", "on"),
	} {
		t.Run(name, func(t *testing.T) {
			served, err := Flag(flag.Obj(), "production")
			if err != nil {
				t.Fatal(err)
			}
			if !served.Enabled {
				t.Fatal("the flag is off before the brake")
			}
			want, err := Flag(flag.Annotation(v1alpha1.ForceDisabledAnnotation, "production").Obj(), "production")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, Off(served)); diff != "" {
				t.Errorf("the brake on what is served means something else than the one on the flag (-flag +served):\n%s", diff)
			}
		})
	}
}
