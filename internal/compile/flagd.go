// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// FlagdCompatible says why the flagd format cannot carry what the flag itself says, in any of its environments, and nil
// where it can. What the audiences and prerequisites say that it names is not looked at.
func FlagdCompatible(flag *v1alpha1.FeatureFlag) error {
	for i := range flag.Spec.Environments {
		environment := flag.Spec.Environments[i].Name
		form, err := Flag(flag, environment)
		if err != nil {
			return err
		}
		if _, err := flagd.Definition(lone{key: flag.Key(), form: form}, flag.Key()); err != nil {
			return fmt.Errorf("environment %q: %w", environment, err)
		}
	}
	return nil
}

// lone is a flag without those that it names. Something stands in for each of them that the flagd format can say and
// that does not hold for everybody or nobody, because a definition leaves out what cannot decide.
type lone struct {
	key  string
	form *datafile.Flag
}

var sometimes = []datafile.Condition{{Attribute: "standIn", Operator: datafile.Exists}}

// Flag returns the flag itself, or what stands in for one that it requires.
func (l lone) Flag(key string) (*datafile.Flag, bool) {
	if key == l.key {
		return l.form, true
	}
	for _, prerequisite := range l.form.Prerequisites {
		if prerequisite.Flag == key {
			other := prerequisite.Variations[0]
			unmet := other + "-unmet" // Not among the variations, so that the prerequisite is met only sometimes.
			return &datafile.Flag{
				Type: datafile.String, Enabled: true, DefaultVariation: unmet,
				Variations: []datafile.Variation{{Key: unmet, Value: []byte(`""`)}, {Key: other, Value: []byte(`"met"`)}},
				Rules:      []datafile.Rule{{Name: "sometimes", Conditions: sometimes, Variation: other}},
			}, true
		}
	}
	return nil, false
}

// Audience returns what stands in for any audience.
func (l lone) Audience(string) (*datafile.Audience, bool) {
	return &datafile.Audience{Groups: []datafile.Group{{Conditions: sometimes}}}, true
}
