// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "testing"

// A flag that is braked is off for every reader of the Kind, whatever its spec says.
func TestFeatureFlagEnabledIn(t *testing.T) {
	flag := &FeatureFlag{Spec: FeatureFlagSpec{Environments: []EnvironmentConfig{
		{Name: "production", Enabled: true}, {Name: "staging", Enabled: true}, {Name: "preview"},
	}}}
	flag.Annotations = map[string]string{ForceDisabledAnnotation: " staging ,, gone"}
	for name, tc := range map[string]struct{ enabled, forced, named bool }{
		"production": {enabled: true, named: true},
		"staging":    {forced: true, named: true},
		"preview":    {named: true},
		"gone":       {forced: true},
		"":           {},
	} {
		if got := flag.EnabledIn(name); got != tc.enabled {
			t.Errorf("in %q the flag is on: %t, want %t", name, got, tc.enabled)
		}
		if got := flag.ForceDisabledIn(name); got != tc.forced {
			t.Errorf("in %q the flag is braked: %t, want %t", name, got, tc.forced)
		}
		if got := flag.In(name) != nil; got != tc.named {
			t.Errorf("in %q the flag has an entry: %t, want %t", name, got, tc.named)
		}
	}
}

func TestFeatureFlagForceDisableIn(t *testing.T) {
	flag := &FeatureFlag{}
	flag.Annotations = map[string]string{ForceDisabledAnnotation: "staging, production"}
	flag.ForceDisableIn("production", true)
	flag.ForceDisableIn("preview", true)
	if got, want := flag.Annotations[ForceDisabledAnnotation], "preview,production,staging"; got != want {
		t.Errorf("the annotation is %q, want %q", got, want)
	}
	for _, name := range []string{"preview", "production", "staging"} {
		flag.ForceDisableIn(name, false)
	}
	if got, has := flag.Annotations[ForceDisabledAnnotation]; got != "" || !has {
		t.Errorf("the annotation is %q, and nothing is braked", got)
	}
}
