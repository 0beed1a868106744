// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// asOn is a flag as its environment would serve it if it were on. It is nil where the flag cannot be compiled.
func asOn(flag *v1alpha1.FeatureFlag, environment string) *datafile.Flag {
	on := flag.DeepCopy()
	server.SetEnabled(on, environment, true)
	form, err := compile.Flag(on, environment)
	if err != nil {
		return nil
	}
	return form
}

// describeFlag is a flag in an environment in PostHog's form, whether it is on or off.
func (s *surroundings) describeFlag(flag *v1alpha1.FeatureFlag, environment string) *description {
	form := asOn(flag, environment)
	if form == nil {
		broken := &description{Filters: Filters{Groups: []Group{}, Payloads: map[string]Payload{}}}
		broken.lose("the flag breaks a rule of the Kind; its status says which")
		return broken
	}
	d := s.describe(flag.Key(), form)
	if config := flag.In(environment); config != nil {
		for i := range d.Filters.Groups {
			if rule := ruleOf(config, d.Filters.Groups[i].SortKey); rule != nil {
				d.Filters.Groups[i].Description = rule.DisplayName
			}
		}
	}
	shares := server.ViewFields[kept](flag, viewName).Shares[environment]
	for i := range flag.Spec.Variations {
		variation := &flag.Spec.Variations[i]
		d.nameVariant(variation, shares)
		if variation.PayloadFrom == nil {
			continue
		}
		switch {
		case flag.Spec.Type != v1alpha1.FlagTypeBoolean:
			d.Filters.Payloads[variation.Key] = redacted
		case isTrue(variation.Value.Raw):
			d.Filters.Payloads[payloadTrue] = redacted
		}
	}
	return d
}

// nameVariant adds to a variant what is not published: its name, and its share where no rule splits.
func (d *description) nameVariant(variation *v1alpha1.Variation, shares map[string]float64) {
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

// isRemoteConfiguration reports whether a flag that is on serves one variation with a payload.
func isRemoteConfiguration(flag *v1alpha1.FeatureFlag, environment string) bool {
	only, is := compile.OnlyVariation(asOn(flag, environment))
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

// bucketingIdentifier is what the rules of an environment hash.
func bucketingIdentifier(config *v1alpha1.EnvironmentConfig) string {
	if config != nil &&
		slices.ContainsFunc(config.Rules, func(rule v1alpha1.Rule) bool { return rule.HashAttribute == deviceID }) {
		return "device_id"
	}
	return distinctID
}

// runtimes are the words for who receives a flag.
var runtimes = map[v1alpha1.Runtime]string{
	v1alpha1.RuntimeAll: "all", v1alpha1.RuntimeServer: "server", v1alpha1.RuntimeClient: "client", "": "all",
}

// runtimeOf is the inverse of runtimes.
func runtimeOf(word string) v1alpha1.Runtime {
	switch word {
	case "server":
		return v1alpha1.RuntimeServer
	case "client":
		return v1alpha1.RuntimeClient
	default:
		return v1alpha1.RuntimeAll
	}
}
