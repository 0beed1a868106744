// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A view that writes a spec of which it knows a part only would lose the rest.
func TestViewsDoNotWriteWhatTheyCannotRead(t *testing.T) {
	for name, tc := range map[string]struct {
		marked      bool
		change      func(*v1alpha1.FeatureFlag)
		wantRefused bool
	}{
		"the spec of a flag that fits": {change: func(f *v1alpha1.FeatureFlag) { f.Spec.Description = "new" }},
		"the spec of a flag that does not": {
			marked: true, change: func(f *v1alpha1.FeatureFlag) { f.Spec.Description = "new" }, wantRefused: true,
		},
		"forcing it off": {marked: true, change: func(f *v1alpha1.FeatureFlag) {
			f.Annotations[v1alpha1.ForceDisabledAnnotation] = "production"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			base := builders.MakeFlag("checkout", "shop").Boolean().Annotation("team", "shop").Obj()
			if tc.marked {
				base.Annotations[v1alpha1.UndecodableAnnotation] = "spec.variations\nspec.variations is text"
			}
			changed := base.DeepCopy()
			tc.change(changed)
			if err := readable(base, changed); (err != nil) != tc.wantRefused {
				t.Errorf("the change is answered with %v", err)
			}
		})
	}
}
