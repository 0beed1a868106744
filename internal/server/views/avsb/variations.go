// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// readVariations makes the variations of a flag from those of a request, and says which key each variation that stays
// had and has. What the Kind holds of a variation beside name, key and value stays with it.
func readVariations(
	flag *v1alpha1.FeatureFlag,
	asked []VariationInput,
) ([]v1alpha1.Variation, map[string]string, error) {
	if len(asked) == 0 {
		return nil, nil, server.InvalidField("variations", "must not be empty; a boolean flag has two, true and false")
	}
	variations, keys := make([]v1alpha1.Variation, 0, len(asked)), map[string]string{}
	claimed := func(key string) bool {
		return slices.ContainsFunc(asked, func(input VariationInput) bool { return input.ID == key })
	}
	var mistakes []server.FieldError
	for i, input := range asked {
		variation := v1alpha1.Variation{}
		id := input.ID
		if id == "" && !claimed(input.Key) {
			id = input.Key
		}
		at := variationAt(flag, id)
		_, taken := keys[id]
		switch {
		case input.ID != "" && at < 0:
			mistakes = append(
				mistakes,
				server.FieldError{Field: fmt.Sprintf("variations[%d].id", i), Message: fmt.Sprintf("there is no variation %q", id)},
			)
		case taken:
			mistakes = append(
				mistakes,
				server.FieldError{
					Field:   fmt.Sprintf("variations[%d].id", i),
					Message: fmt.Sprintf("variation %q is there twice", id),
				},
			)
		case at >= 0:
			variation = *flag.Spec.Variations[at].DeepCopy()
			keys[id] = input.Key
		}
		value, err := jsonText(input.Value)
		if err != nil {
			mistakes = append(mistakes, server.FieldError{Field: fmt.Sprintf("variations[%d].value", i), Message: err.Error()})
		}
		if input.Name != "" && input.Name != cmp.Or(variation.DisplayName, variation.Key) {
			variation.DisplayName = input.Name // A name that is only shown is not written.
		}
		variation.Key, variation.Value = input.Key, value
		variations = append(variations, variation)
	}
	for i := range variations {
		key := variations[i].Key
		if slices.ContainsFunc(variations[:i], func(before v1alpha1.Variation) bool { return before.Key == key }) {
			mistakes = append(mistakes, server.FieldError{
				Field: fmt.Sprintf("variations[%d].key", i), Message: fmt.Sprintf("key %q is there twice", key),
			})
		}
	}
	if len(mistakes) > 0 {
		return nil, nil, server.Invalid(mistakes...)
	}
	return variations, keys, nil
}

func (v *view) updateVariations(ctx context.Context, input *variationsInput) (*tagged[Flag], error) {
	project, flag, err := v.flag(ctx, &input.FlagPath)
	if err != nil {
		return nil, err
	}
	flag, err = v.change(ctx, flag, edit{
		ifMatch: input.IfMatch,
		part: func(flag *v1alpha1.FeatureFlag) any {
			return []any{flag.Spec.Variations, flag.Spec.DefaultVariation}
		},
		apply: func(flag *v1alpha1.FeatureFlag) error {
			return replaceVariations(flag, input.Body.Variations, input.Body.DefaultVariationKey)
		},
	})
	if err != nil {
		return nil, err
	}
	return v.answerFlag(ctx, project, flag)
}

// replaceVariations sets the variations of a flag. What used one that is renamed goes on using it.
func replaceVariations(flag *v1alpha1.FeatureFlag, asked []VariationInput, byDefault *string) error {
	variations, keys, err := readVariations(flag, asked)
	if err != nil {
		return err
	}
	if byDefault != nil {
		flag.Spec.DefaultVariation = "" // It is not used any more.
	}
	var mistakes []server.FieldError
	for i := range flag.Spec.Variations {
		key := flag.Spec.Variations[i].Key
		if _, stays := keys[key]; stays {
			continue
		}
		if users := usersOf(flag, key); len(users) > 0 {
			named := strings.Join(users[:min(len(users), maxNamed)], ", ")
			if more := len(users) - maxNamed; more > 0 {
				named += fmt.Sprintf(" and %d more", more)
			}
			mistakes = append(
				mistakes,
				server.FieldError{
					Field:   "variations",
					Message: fmt.Sprintf("variation %q cannot be removed, because it is used by %s", key, named),
				},
			)
		}
	}
	if len(mistakes) > 0 {
		return server.Invalid(mistakes...)
	}
	forEachUse(flag, func(use *string, _ func() string) {
		if key, stays := keys[*use]; stays {
			*use = key
		}
	})
	flag.Spec.Variations = variations
	set(&flag.Spec.DefaultVariation, byDefault)
	return nil
}

// usersOf names what uses a variation of a flag.
func usersOf(flag *v1alpha1.FeatureFlag, key string) []string {
	var users []string
	forEachUse(flag, func(use *string, describe func() string) {
		if *use == key {
			if user := describe(); !slices.Contains(users, user) {
				users = append(users, user)
			}
		}
	})
	return users
}

// forEachUse visits every place of a flag that names a variation of it.
func forEachUse(flag *v1alpha1.FeatureFlag, visit func(use *string, describe func() string)) {
	visit(&flag.Spec.DefaultVariation, func() string { return "the flag's default" })
	for i := range flag.Spec.Environments {
		config := &flag.Spec.Environments[i]
		visit(&config.DefaultVariation, func() string { return fmt.Sprintf("the default in environment %q", config.Name) })
		for j := range config.Overrides {
			override := &config.Overrides[j]
			visit(&override.Variation, func() string {
				return fmt.Sprintf("the override for %q in environment %q", override.TargetingKey, config.Name)
			})
		}
		for j := range config.Rules {
			rule := &config.Rules[j]
			describe := func() string { return fmt.Sprintf("rule %q in environment %q", ruleName(rule), config.Name) }
			visit(&rule.Variation, describe)
			for k := range rule.Split {
				visit(&rule.Split[k].Variation, describe)
			}
		}
	}
}
