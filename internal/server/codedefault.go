// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// DefaultIn is the key of the variation that a flag serves in an environment while it is on and nothing decides. It is
// nil where the environment leaves the value to the code.
func DefaultIn(flag *v1alpha1.FeatureFlag, environment string) *string {
	config := flag.In(environment)
	switch {
	case config == nil:
		return new(flag.Spec.DefaultVariation)
	case config.DefaultVariation == "" && config.CodeDefault:
		return nil
	default:
		return new(cmp.Or(config.DefaultVariation, flag.Spec.DefaultVariation))
	}
}

// CodeDefaultIn reports whether an environment leaves the value to the code while the flag is off.
func CodeDefaultIn(flag *v1alpha1.FeatureFlag, environment string) bool {
	config := flag.In(environment)
	return config != nil && config.CodeDefault
}

// LeaveDefault makes a flag serve no variation of the environment's own where nothing decides, as a request asks with
// null. It fails with an *Error of status 422 for the field where the flag would then not leave the value to the code.
func LeaveDefault(flag *v1alpha1.FeatureFlag, environment, field string) error {
	if !CodeDefaultIn(flag, environment) {
		return InvalidField(
			field, "name a variation: that the code's own default is served here can be said only in the flag's manifest",
		)
	}
	flag.In(environment).DefaultVariation = ""
	return nil
}
