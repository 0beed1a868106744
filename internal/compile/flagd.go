// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/datafile"
	"github.com/jackstaff-dev/jackstaff/internal/flagd"
)

// FlagdCompatible says why the flagd format cannot carry what the flag itself says, in any of its environments, and nil where it
// can. What the audiences and prerequisites say that it names is not looked at.
func FlagdCompatible(flag *v1alpha1.FeatureFlag) error {
	for i := range flag.Spec.Environments {
		environment := flag.Spec.Environments[i].Name
		form, err := Flag(flag, environment)
		if err != nil {
			return err
		}
		if _, err := flagd.Definition(lone{flag.Key(): form}, flag.Key()); err != nil {
			return fmt.Errorf("environment %q: %w", environment, err)
		}
	}
	return nil
}

// lone is a flag without any other, by its key.
type lone map[string]*datafile.Flag

// Flag returns the flag.
func (l lone) Flag(key string) (*datafile.Flag, bool) {
	form, ok := l[key]
	return form, ok
}

// Audience returns nothing.
func (l lone) Audience(string) (*datafile.Audience, bool) { return nil, false }
