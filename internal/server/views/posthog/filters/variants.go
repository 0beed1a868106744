// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

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

// NewFlag makes the variations of a flag that has none: true and false, or the variants and what is served to everybody
// else.
func NewFlag(flag *v1alpha1.FeatureFlag, filters *Filters) {
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

func (w *Writer) isBoolean() bool { return w.Flag.Spec.Type == v1alpha1.FlagTypeBoolean }

func (w *Writer) variation(key string) *v1alpha1.Variation {
	for i := range w.Flag.Spec.Variations {
		if w.Flag.Spec.Variations[i].Key == key {
			return &w.Flag.Spec.Variations[i]
		}
	}
	return nil
}

// booleanVariation is the key of the variation of a Boolean flag with that value.
func (w *Writer) booleanVariation(value bool) string {
	for i := range w.Flag.Spec.Variations {
		if isTrue(w.Flag.Spec.Variations[i].Value.Raw) == value {
			return w.Flag.Spec.Variations[i].Key
		}
	}
	return ""
}

// variants adds those that are new and removes those that are gone.
func (w *Writer) variants() {
	multivariate := w.Filters.Multivariate
	if w.isBoolean() {
		if multivariate != nil && len(multivariate.Variants) > 0 {
			w.Refuse("filters.multivariate", "a flag without variants cannot get any; create another flag")
		}
		return
	}
	if multivariate == nil || len(multivariate.Variants) == 0 {
		w.Refuse("filters.multivariate", "a flag with variants keeps at least one")
		return
	}
	named := map[string]bool{}
	for i, variant := range multivariate.Variants {
		field := fmt.Sprintf("filters.multivariate.variants[%d].", i)
		existing := w.variation(variant.Key)
		switch {
		case named[variant.Key]:
			w.Refuse(field+"key", "there is another variant %q", variant.Key)
		case existing == nil && w.Flag.Spec.Type != v1alpha1.FlagTypeString:
			w.Refuse(field+"key", "a variant of a flag of type %s needs a value, which cannot be given here", w.Flag.Spec.Type)
		case existing == nil:
			value, _ := json.Marshal(variant.Key) // Every string has a JSON form.
			w.Flag.Spec.Variations = append(w.Flag.Spec.Variations, v1alpha1.Variation{
				Key: variant.Key, DisplayName: variant.Name, Value: v1alpha1.JSON{Raw: value},
			})
		case variant.Name != "":
			existing.DisplayName = variant.Name
		}
		named[variant.Key] = true
	}
	w.Flag.Spec.Variations = slices.DeleteFunc(w.Flag.Spec.Variations, func(variation v1alpha1.Variation) bool {
		return !named[variation.Key] && variation.Key != w.Flag.Spec.DefaultVariation
	})
}

// payloads replaces those that filters show.
func (w *Writer) payloads() {
	if w.Filters.Payloads == nil {
		return
	}
	for _, key := range sortedKeys(w.Filters.Payloads) {
		field, text := "filters.payloads."+key, string(w.Filters.Payloads[key])
		variation := w.payloadVariation(key)
		switch {
		case variation == nil:
			w.Refuse(field, "there is no variant %q", key)
		case text == Redacted && variation.PayloadFrom == nil:
			w.Refuse(field, "stands for a payload from a Secret, which this variant has not")
		case text == Redacted:
		case !json.Valid([]byte(text)):
			w.Refuse(field, "is not JSON; a text is written with quotes, as \"\\\"text\\\"\"")
		default:
			variation.PayloadFrom = nil
			variation.Payload = &v1alpha1.JSON{Raw: []byte(text)}
		}
	}
	for i := range w.Flag.Spec.Variations {
		variation := &w.Flag.Spec.Variations[i]
		key := variation.Key
		if w.isBoolean() {
			key = payloadTrue
		}
		_, stays := w.Filters.Payloads[key]
		if w.payloadVariation(key) == variation && !stays {
			variation.Payload, variation.PayloadFrom = nil, nil
		}
	}
}

// payloadVariation is the variation that a payload belongs to.
func (w *Writer) payloadVariation(key string) *v1alpha1.Variation {
	if !w.isBoolean() {
		return w.variation(key)
	}
	if key != payloadTrue {
		return nil
	}
	return w.variation(w.booleanVariation(true))
}
