// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"errors"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// TestFlagdCompatible fails where an author is not warned that a flag leaves the flagd file, or is warned for nothing.
func TestFlagdCompatible(t *testing.T) {
	flag := func() *builders.FlagBuilder {
		return builders.MakeFlag("checkout", "shop").Boolean().Environment("production")
	}
	network := func() *builders.RuleBuilder {
		return builders.MakeRule("office").Condition("ip", v1alpha1.OperatorInCIDR, "10.0.0.0/8").Serve("on")
	}
	for name, tc := range map[string]struct {
		flag *builders.FlagBuilder
		want bool
	}{
		"plain":                               {flag(), true},
		"audience":                            {flag().Rule(builders.MakeRule("beta").Audiences("testers").Serve("on")), true},
		"prerequisite":                        {flag().Prerequisite("payments", "on").Fallthrough("on"), true},
		"network":                             {flag().Rule(network()), false},
		"network within an audience":          {flag().Rule(network().Audiences("testers")), false},
		"network behind a prerequisite":       {flag().Prerequisite("payments", "on").Rule(network()), false},
		"network in a flag that is disabled":  {flag().Disabled().Rule(network()), true},
		"network behind a rule for everybody": {flag().Rule(builders.MakeRule("all").Serve("off"), network()), true},
	} {
		err := compile.FlagdCompatible(tc.flag.Obj())
		var notExpressible *flagd.NotExpressibleError
		if (err == nil) != tc.want || err != nil && !errors.As(err, &notExpressible) {
			t.Errorf("%s: %v, want compatible: %t", name, err, tc.want)
		}
	}
}
