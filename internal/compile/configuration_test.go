// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

func TestConfiguration(t *testing.T) {
	everybody, half := builders.MakeRule("everybody").Serve("on"), builders.MakeRule("half").Traffic("50%").Serve("on")
	const on, off, mixed = v1alpha1.ConfigurationOn, v1alpha1.ConfigurationOff, v1alpha1.ConfigurationMixed
	tests := map[string]struct {
		flag     *builders.FlagBuilder
		want     v1alpha1.Configuration
		wantOnly string
	}{
		"disabled":                                {flag("a").Fallthrough("on").Disabled(), off, "off"},
		"no entry for the environment":            {builders.MakeFlag("a", "shop").Boolean(), off, "off"},
		"serving the default":                     {flag("a"), off, "off"},
		"the environment's default is the flag's": {flag("a").Fallthrough("off"), off, "off"},
		"the environment's default":               {flag("a").Fallthrough("on"), on, "on"},
		"a rule for everybody":                    {flag("a").Rule(everybody), on, "on"},
		"a rule after one for everybody": {
			flag("a").Rule(everybody, builders.MakeRule("b").Serve("off")),
			on,
			"on",
		},
		"a rule before one for everybody": {
			flag("a").Rule(builders.MakeRule("b").Audiences("x").Serve("off"), everybody),
			mixed,
			"",
		},
		"a rule for some": {
			flag("a").Rule(builders.MakeRule("b").Condition("x", v1alpha1.OperatorExists).Serve("on")),
			mixed,
			"",
		},
		"a rule for an audience": {
			flag("a").Rule(builders.MakeRule("b").Audiences("x").Serve("on")),
			mixed,
			"",
		},
		"a rule that serves what all others get": {flag("a").Fallthrough("on").Rule(half), on, "on"},
		"some traffic":                           {flag("a").Rule(half), mixed, ""},
		"no traffic": {
			flag("a").Rule(builders.MakeRule("b").Traffic("0%").Serve("on")),
			off,
			"off",
		},
		"a disabled rule": {
			flag("a").Rule(builders.MakeRule("b").Serve("on").Disabled()),
			off,
			"off",
		},
		"an experiment before a rule for everyone": {
			flag("a").Rule(everybody, builders.MakeRule("b").ABTest().Split("on", 1).Split("off", 1)),
			mixed,
			"",
		},
		"a split": {
			flag("a").Rule(builders.MakeRule("b").Split("on", 1).Split("off", 1)),
			mixed,
			"",
		},
		"a split of one, without a subject not": {
			flag("a").Rule(builders.MakeRule("b").Split("on", 1).Split("off", 0)),
			mixed,
			"",
		},
		"a split of what all others get": {
			flag("a").Fallthrough("on").Rule(builders.MakeRule("b").Split("on", 1).Split("off", 0)),
			on,
			"on",
		},
		"an override":                             {flag("a").Override("alice", "on"), mixed, ""},
		"an override of what all others get":      {flag("a").Override("alice", "off"), off, "off"},
		"an override before a rule for everybody": {flag("a").Override("alice", "off").Rule(everybody), mixed, ""},
		"a prerequisite":                          {flag("a").Fallthrough("on").Prerequisite("b", "on"), mixed, ""},
		"a prerequisite of what is off anyway":    {flag("a").Prerequisite("b", "on"), off, "off"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			form, err := Flag(tc.flag.Obj(), "production")
			if err != nil {
				t.Fatal(err)
			}
			if got := Configuration(form, goldenTime); got != tc.want {
				t.Errorf("the status shows %s for a flag that is %s", got, tc.want)
			}
			only, ok := OnlyVariation(form)
			if only != tc.wantOnly || ok != (tc.wantOnly != "") {
				t.Errorf("the flag is said to serve everybody %q (%t), want %q", only, ok, tc.wantOnly)
			}
			if _, ok := NextChange(form, goldenTime); ok {
				t.Error("a flag without a schedule is looked at again at some time")
			}
		})
	}
	t.Run("not served", func(t *testing.T) {
		if got := Configuration(nil, goldenTime); got != off {
			t.Errorf("a flag that is not served is %s", got)
		}
		if only, ok := OnlyVariation(nil); ok {
			t.Errorf("a flag that is not served serves everybody %q", only)
		}
		if _, ok := NextChange(nil, goldenTime); ok {
			t.Error("a flag that is not served will change")
		}
	})
}

func TestSchedule(t *testing.T) {
	const on, off = v1alpha1.ConfigurationOn, v1alpha1.ConfigurationOff
	at := func(hour int) time.Time { return goldenTime.Add(time.Duration(hour) * time.Hour) }
	never := time.Time{}
	tests := map[string]struct {
		enableAt, disableAt time.Time
		// The configuration an instant before 1, at 1, an instant before 2, at 2.
		want [4]v1alpha1.Configuration
		// The next change seen at 0, 1 and 2.
		wantNext [3]time.Time
	}{
		"enables": {
			at(1),
			never,
			[4]v1alpha1.Configuration{off, on, on, on},
			[3]time.Time{at(1), never, never},
		},
		"disables": {
			never,
			at(1),
			[4]v1alpha1.Configuration{on, off, off, off},
			[3]time.Time{at(1), never, never},
		},
		"enables, then disables": {
			at(1),
			at(2),
			[4]v1alpha1.Configuration{off, on, on, off},
			[3]time.Time{at(1), at(2), never},
		},
		"disables, then enables": {
			at(2),
			at(1),
			[4]v1alpha1.Configuration{on, off, off, on},
			[3]time.Time{at(1), at(2), never},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			form, err := Flag(flag("a").Fallthrough("on").Schedule(tc.enableAt, tc.disableAt).Obj(), "production")
			if err != nil {
				t.Fatal(err)
			}
			for i, now := range []time.Time{at(1).Add(-1), at(1), at(2).Add(-1), at(2)} {
				if got := Configuration(form, now); got != tc.want[i] {
					t.Errorf("at %s the status shows %s, want %s", now, got, tc.want[i])
				}
			}
			for i, want := range tc.wantNext {
				next, ok := NextChange(form, at(i))
				if !next.Equal(want) || ok != !want.IsZero() {
					t.Errorf("at %s the status would be looked at again at %s (%t), want %s", at(i), next, ok, want)
				}
			}
			if only, ok := OnlyVariation(form); ok {
				t.Errorf("a flag that changes with time is said to serve everybody %q, and so would be stale", only)
			}
		})
	}
	t.Run("empty", func(t *testing.T) {
		form, err := Flag(flag("a").Fallthrough("on").Schedule(never, never).Obj(), "production")
		if err != nil {
			t.Fatal(err)
		}
		if form.Schedule != nil || Configuration(form, goldenTime) != on {
			t.Errorf("a schedule without instants turns the flag off: %+v", form.Schedule)
		}
	})
	t.Run("zero instants are none", func(t *testing.T) {
		form, err := Flag(flag("a").Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Environments[0].Schedule = &v1alpha1.Schedule{}
			spec.Environments[0].Schedule.EnableAt = new(metav1.Time{})
		}).Obj(), "production")
		if err != nil || form.Schedule != nil {
			t.Errorf("a flag is scheduled for the year 1: %+v, error %v", form.Schedule, err)
		}
	})
}
