// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	_ "time/tzdata" // A machine without a tz database must judge time zones as every other does.

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func (v *flagValidator) variationList(path *field.Path) {
	variations := v.flag.Spec.Variations
	if len(variations) == 0 {
		v.add(field.Required(path, "a flag has at least one variation"))
	}
	v.count(path, len(variations), maxVariations)
	keys, booleans := seen{}, seen{}
	for i := range variations {
		variation, path := &variations[i], path.Index(i)
		if variation.Key == "" {
			v.add(field.Required(path.Child("key"), ""))
		} else {
			v.key(path.Child("key"), variation.Key, variationKeyPattern, variationKeyForm)
		}
		keys.check(&v.mistakes, variation.Key, path.Child("key"))
		v.characters(path.Child("displayName"), variation.DisplayName, maxDisplayNameLength)
		if value := v.value(
			path.Child("value"),
			variation.Value,
		); value != "" &&
			v.flag.Spec.Type == v1alpha1.FlagTypeBoolean {
			booleans.check(&v.mistakes, value, path.Child("value"))
		}
		if variation.Payload != nil && !variation.Payload.IsZero() {
			v.canonical(path.Child("payload"), *variation.Payload)
			if variation.PayloadFrom != nil {
				v.add(field.Forbidden(path.Child("payloadFrom"), "payload and payloadFrom exclude each other"))
			}
		}
		if from := variation.PayloadFrom; from != nil {
			v.name(path.Child("payloadFrom", "secretKeyRef", "name"), from.SecretKeyRef.Name, maxSecretNameLength)
			v.name(path.Child("payloadFrom", "secretKeyRef", "key"), from.SecretKeyRef.Key, maxSecretNameLength)
		}
	}
	if v.flag.Spec.Type == v1alpha1.FlagTypeBoolean && len(variations) != 2 {
		v.add(field.Invalid(path, len(variations), "a Boolean flag has exactly two variations, true and false"))
	}
}

// value returns the canonical form of a variation's value, or nothing where the value is not of the flag's type.
func (v *flagValidator) value(path *field.Path, value v1alpha1.JSON) string {
	if value.IsZero() {
		v.add(field.Required(path, "null is not a value"))
		return ""
	}
	canonical := v.canonical(path, value)
	if canonical == "" {
		return ""
	}
	var fits bool
	var want string
	switch v.flag.Spec.Type {
	case v1alpha1.FlagTypeBoolean:
		fits, want = canonical == "true" || canonical == "false", "true or false, without quotes"
	case v1alpha1.FlagTypeString:
		fits, want = canonical[0] == '"', "a string"
	case v1alpha1.FlagTypeNumber:
		fits, want = canonical[0] == '-' || canonical[0] >= '0' && canonical[0] <= '9', "a number, without quotes"
	case v1alpha1.FlagTypeJSON:
		fits, want = canonical[0] == '{' || canonical[0] == '[', "an object or an array"
	default:
		return canonical // The type itself was refused.
	}
	if !fits {
		v.add(
			field.Invalid(
				path,
				field.OmitValueType{},
				fmt.Sprintf("%s is not of the flag's type %s, which takes %s", shown(canonical), v.flag.Spec.Type, want),
			),
		)
		return ""
	}
	return canonical
}

// canonical returns the canonical form of value, or nothing where it has none.
func (v *flagValidator) canonical(path *field.Path, value v1alpha1.JSON) string {
	canonical, err := datafile.Canonical(value.Raw)
	if err != nil {
		v.invalid(path, string(value.Raw), err.Error())
	}
	return string(canonical)
}

func (v *flagValidator) variationKeys() []string {
	keys := make([]string, 0, len(v.flag.Spec.Variations))
	for i := range v.flag.Spec.Variations {
		keys = append(keys, shown(v.flag.Spec.Variations[i].Key))
	}
	return keys
}
