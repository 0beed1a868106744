// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// AsOn is a flag as its environment would serve it if it were on. It is nil where the flag cannot be compiled.
func AsOn(flag *v1alpha1.FeatureFlag, environment string) *datafile.Flag {
	on := flag.DeepCopy()
	server.SetEnabled(on, environment, true)
	form, err := compile.Flag(on, environment)
	if err != nil {
		return nil
	}
	return form
}

// DescribeFlag is a flag in an environment in PostHog's form, whether it is on or off. Why the server is asked is said of
// the form that clients get.
func (s *Surroundings) DescribeFlag(flag *v1alpha1.FeatureFlag, environment string) *Description {
	form := AsOn(flag, environment)
	if form == nil {
		broken := &Description{Filters: Filters{Groups: []Group{}, Payloads: map[string]Payload{}}}
		broken.lose("the flag breaks a rule of the Kind; its status says which")
		return broken
	}
	d := s.Describe(flag.Key(), form)
	if !s.Local {
		local := *s
		local.Local = true
		d.Remote = local.Describe(flag.Key(), form).Remote
	}
	if config := flag.In(environment); config != nil {
		for i := range d.Filters.Groups {
			if rule := ruleOf(config, d.Filters.Groups[i].SortKey); rule != nil {
				d.Filters.Groups[i].Description = rule.DisplayName
			}
		}
	}
	shares := server.ViewFields[Kept](flag, ViewName).Shares[environment]
	for i := range flag.Spec.Variations {
		variation := &flag.Spec.Variations[i]
		d.nameVariant(variation, shares)
		if variation.PayloadFrom == nil {
			continue
		}
		switch {
		case flag.Spec.Type != v1alpha1.FlagTypeBoolean:
			d.Filters.Payloads[variation.Key] = Redacted
		case isTrue(variation.Value.Raw):
			d.Filters.Payloads[payloadTrue] = Redacted
		}
	}
	return d
}

// nameVariant adds to a variant what is not published: its name, and its share where no rule splits.
func (d *Description) nameVariant(variation *v1alpha1.Variation, shares map[string]float64) {
	if d.Filters.Multivariate == nil {
		return
	}
	splits := slices.ContainsFunc(d.Filters.Groups, func(group Group) bool { return group.Variant == nil })
	variants := d.Filters.Multivariate.Variants
	for i := range variants {
		if variants[i].Key != variation.Key {
			continue
		}
		variants[i].Name = variation.DisplayName
		if !splits {
			variants[i].RolloutPercentage = shares[variation.Key]
		}
	}
}

// IsRemoteConfiguration reports whether a flag that is on serves one variation with a payload.
func IsRemoteConfiguration(flag *v1alpha1.FeatureFlag, environment string) bool {
	only, is := compile.OnlyVariation(AsOn(flag, environment))
	if !is {
		return false
	}
	for i := range flag.Spec.Variations {
		if variation := &flag.Spec.Variations[i]; variation.Key == only {
			return variation.PayloadFrom != nil || variation.Payload != nil && !variation.Payload.IsZero()
		}
	}
	return false
}

// BucketingIdentifier is what the rules of an environment hash.
func BucketingIdentifier(config *v1alpha1.EnvironmentConfig) string {
	if config != nil &&
		slices.ContainsFunc(config.Rules, func(rule v1alpha1.Rule) bool { return rule.HashAttribute == DeviceID }) {
		return deviceIdentifier
	}
	return DistinctID
}

// Runtimes are the words for who receives a flag.
var Runtimes = map[v1alpha1.Runtime]string{
	v1alpha1.RuntimeAll: "all", v1alpha1.RuntimeServer: "server", v1alpha1.RuntimeClient: "client", "": "all",
}

// RuntimeOf is the inverse of runtimes.
func RuntimeOf(word string) v1alpha1.Runtime {
	switch word {
	case "server":
		return v1alpha1.RuntimeServer
	case "client":
		return v1alpha1.RuntimeClient
	default:
		return v1alpha1.RuntimeAll
	}
}
