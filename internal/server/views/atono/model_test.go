// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package atono

import (
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// Switched on and off again, a flag that leaves the value to the code must not serve a variation.
func TestTurningOnKeepsTheDefaultOfTheCode(t *testing.T) {
	flag := builders.MakeFlag("a", "shop").Boolean().Environment("production").CodeDefault().Obj()
	if err := turnOn(flag, "production", false); err != nil {
		t.Fatal(err)
	}
	config := flag.In("production")
	if !config.Enabled || config.DefaultVariation != "on" {
		t.Errorf("it is not on: %+v", config)
	}
	server.SetEnabled(flag, "production", false)
	if !flag.In("production").CodeDefault {
		t.Error("off, it serves a variation, and left the value to the code before")
	}
}

// A flag that is off must not be disabled for good, and one that is on for anybody, that its schedule is about to switch
// on, or of which nobody knows what it serves, must be switched off.
func TestStaysOff(t *testing.T) {
	now := time.Date(2027, 1, 2, 15, 4, 5, 0, time.UTC)
	flag := func() *builders.FlagBuilder {
		return builders.MakeFlag("a", "shop").Boolean().Environment("production").Fallthrough("on")
	}
	braked, invalid := flag().Obj(), flag().Fallthrough("none").Obj()
	braked.ForceDisableIn("production", true)
	for name, tc := range map[string]struct {
		flag *v1alpha1.FeatureFlag
		want bool
	}{
		"on":                    {flag().Obj(), false},
		"mixed":                 {flag().Fallthrough("").Override("alice", "on").Obj(), false},
		"on until later":        {flag().Schedule(time.Time{}, now.Add(time.Hour)).Obj(), false},
		"not valid":             {invalid, false},
		"serves its default":    {flag().Fallthrough("").Obj(), true},
		"serves the code's":     {flag().Fallthrough("").CodeDefault().Obj(), true},
		"disabled":              {flag().Disabled().Obj(), true},
		"no part":               {builders.MakeFlag("a", "shop").Boolean().Obj(), true},
		"scheduled":             {flag().Schedule(now.Add(time.Hour), time.Time{}).Obj(), false},
		"scheduled, disabled":   {flag().Schedule(now.Add(time.Hour), time.Time{}).Disabled().Obj(), true},
		"expired":               {flag().Schedule(time.Time{}, now.Add(-time.Hour)).Obj(), true},
		"braked":                {braked, true},
		"archived":              {flag().Archived().Obj(), true},
		"not valid but off":     {flag().Fallthrough("none").Disabled().Obj(), true},
		"default, code default": {flag().Fallthrough("off").CodeDefault().Obj(), false},
	} {
		if is := staysOff(tc.flag, "production", now); is != tc.want {
			t.Errorf("%s: %t, and it is shown %s", name, is, configuration(tc.flag, "production", now))
		}
	}
}
