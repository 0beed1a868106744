// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// The keys of the variations of a flag that is created here: on and off of a flag without variants, and the one that is
// false of one with variants.
const (
	onKey  = "on"
	offKey = "off"
)

// newFlag makes the variations of a flag that has none: true and false, or the variants and what is served to everybody
// else.
func newFlag(flag *v1alpha1.FeatureFlag, filters *Filters) {
	spec := &flag.Spec
	spec.Bucketing = v1alpha1.BucketingPostHogSHA1
	if filters == nil || filters.Multivariate == nil || len(filters.Multivariate.Variants) == 0 {
		spec.Type, spec.DefaultVariation = v1alpha1.FlagTypeBoolean, offKey
		spec.Variations = []v1alpha1.Variation{
			{Key: offKey, Value: v1alpha1.JSON{Raw: []byte("false")}},
			{Key: onKey, Value: v1alpha1.JSON{Raw: []byte("true")}},
		}
		return
	}
	taken := func(key string) bool {
		return slices.ContainsFunc(filters.Multivariate.Variants, func(v Variant) bool { return v.Key == key })
	}
	spec.Type, spec.DefaultVariation = v1alpha1.FlagTypeString, server.Label(offKey, offKey, taken)
	spec.Variations = []v1alpha1.Variation{{Key: spec.DefaultVariation, Value: v1alpha1.JSON{Raw: []byte(`"false"`)}}}
}

func (w *writer) isBoolean() bool { return w.flag.Spec.Type == v1alpha1.FlagTypeBoolean }

func (w *writer) variation(key string) *v1alpha1.Variation {
	for i := range w.flag.Spec.Variations {
		if w.flag.Spec.Variations[i].Key == key {
			return &w.flag.Spec.Variations[i]
		}
	}
	return nil
}

// booleanVariation is the key of the variation of a Boolean flag with that value.
func (w *writer) booleanVariation(value bool) string {
	for i := range w.flag.Spec.Variations {
		if isTrue(w.flag.Spec.Variations[i].Value.Raw) == value {
			return w.flag.Spec.Variations[i].Key
		}
	}
	return ""
}

// variants adds those that are new and removes those that are gone.
func (w *writer) variants() {
	multivariate := w.filters.Multivariate
	if w.isBoolean() {
		if multivariate != nil && len(multivariate.Variants) > 0 {
			w.refuse("filters.multivariate", "a flag without variants cannot get any; create another flag")
		}
		return
	}
	if multivariate == nil || len(multivariate.Variants) == 0 {
		w.refuse("filters.multivariate", "a flag with variants keeps at least one")
		return
	}
	named := map[string]bool{}
	for i, variant := range multivariate.Variants {
		field := fmt.Sprintf("filters.multivariate.variants[%d].", i)
		existing := w.variation(variant.Key)
		switch {
		case named[variant.Key]:
			w.refuse(field+"key", "there is another variant %q", variant.Key)
		case existing == nil && w.flag.Spec.Type != v1alpha1.FlagTypeString:
			w.refuse(field+"key", "a variant of a flag of type %s needs a value, which cannot be given here", w.flag.Spec.Type)
		case existing == nil:
			value, _ := json.Marshal(variant.Key) // Every string has a JSON form.
			w.flag.Spec.Variations = append(w.flag.Spec.Variations, v1alpha1.Variation{
				Key: variant.Key, DisplayName: variant.Name, Value: v1alpha1.JSON{Raw: value},
			})
		case variant.Name != "":
			existing.DisplayName = variant.Name
		}
		named[variant.Key] = true
	}
	w.flag.Spec.Variations = slices.DeleteFunc(w.flag.Spec.Variations, func(variation v1alpha1.Variation) bool {
		return !named[variation.Key] && variation.Key != w.flag.Spec.DefaultVariation
	})
}

// payloads replaces those that filters show.
func (w *writer) payloads() {
	if w.filters.Payloads == nil {
		return
	}
	for _, key := range sortedKeys(w.filters.Payloads) {
		field, text := "filters.payloads."+key, string(w.filters.Payloads[key])
		variation := w.payloadVariation(key)
		switch {
		case variation == nil:
			w.refuse(field, "there is no variant %q", key)
		case text == redacted && variation.PayloadFrom == nil:
			w.refuse(field, "stands for a payload from a Secret, which this variant has not")
		case text == redacted:
		case !json.Valid([]byte(text)):
			w.refuse(field, "is not JSON; a text is written with quotes, as \"\\\"text\\\"\"")
		default:
			variation.PayloadFrom = nil
			variation.Payload = &v1alpha1.JSON{Raw: []byte(text)}
		}
	}
	for i := range w.flag.Spec.Variations {
		variation := &w.flag.Spec.Variations[i]
		key := variation.Key
		if w.isBoolean() {
			key = payloadTrue
		}
		_, stays := w.filters.Payloads[key]
		if w.payloadVariation(key) == variation && !stays {
			variation.Payload, variation.PayloadFrom = nil, nil
		}
	}
}

// payloadVariation is the variation that a payload belongs to.
func (w *writer) payloadVariation(key string) *v1alpha1.Variation {
	if !w.isBoolean() {
		return w.variation(key)
	}
	if key != payloadTrue {
		return nil
	}
	return w.variation(w.booleanVariation(true))
}
