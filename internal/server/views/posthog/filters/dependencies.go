// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// prerequisites are the properties that every group has where the flag requires others.
func (d *describer) prerequisites() []Property {
	var required []Property
	for i := range d.form.Prerequisites {
		prerequisite := &d.form.Prerequisites[i]
		value, says := d.required(prerequisite)
		if !says {
			d.lose("the prerequisite %q is met by more than one answer", prerequisite.Flag)
			continue
		}
		required = append(required, Property{
			Key:             prerequisite.Flag,
			Type:            TypeFlag,
			Value:           value,
			Operator:        FlagEvaluatesTo,
			DependencyChain: d.chain(prerequisite.Flag),
		})
	}
	if off := (step{variation: d.form.DefaultVariation, undecided: true}); len(required) > 0 && !d.form.CodeDefault &&
		!d.isFalse(&off) {
		d.remote("the flag serves something else than false where a prerequisite is not met")
	}
	return required
}

// required is the one answer of another flag that meets a prerequisite, and whether there is exactly one.
func (d *describer) required(prerequisite *datafile.Prerequisite) (value any, says bool) {
	other := d.Flag(prerequisite.Flag)
	if other == nil {
		d.remote("the prerequisite %q does not exist", prerequisite.Flag)
		return prerequisite.Variations[0], len(prerequisite.Variations) == 1
	}
	if len(prerequisite.Variations) != 1 {
		return nil, false
	}
	key := prerequisite.Variations[0]
	if other.Type == datafile.Boolean {
		return isTrue(valueOf(other, key)), true
	}
	if key == other.DefaultVariation {
		d.remote("the prerequisite %q is met by a default", prerequisite.Flag)
	}
	return key, true
}

// chain is the flags that another one depends on, each after those that it depends on itself, and then that flag.
func (d *describer) chain(key string) []string {
	var order []string
	var visit func(key string)
	seen := map[string]bool{}
	visit = func(key string) {
		if seen[key] {
			return
		}
		seen[key] = true
		if other := d.Flag(key); other != nil {
			for i := range other.Prerequisites {
				visit(other.Prerequisites[i].Flag)
			}
		}
		order = append(order, key)
	}
	visit(key)
	return order
}

// flagProperties are the dependencies of a group.
func flagProperties(group *Group) []Property {
	var found []Property
	for _, property := range group.Properties {
		if property.Type == TypeFlag {
			found = append(found, property)
		}
	}
	return found
}

func (w *Writer) hasOtherPrerequisites(i int) bool {
	return !slices.EqualFunc(flagProperties(&w.Filters.Groups[0]), flagProperties(&w.Filters.Groups[i]), isSameProperty)
}

// prerequisites makes those of the environment of the properties of a group.
func (w *Writer) prerequisites(i int) {
	for j := range w.Filters.Groups[i].Properties {
		property := &w.Filters.Groups[i].Properties[j]
		if property.Type != TypeFlag {
			continue
		}
		field := fmt.Sprintf("%s.properties[%d].", groupField(i), j)
		if property.Operator != FlagEvaluatesTo {
			w.Refuse(field+"operator", "a property of type flag has the operator %s", FlagEvaluatesTo)
			continue
		}
		other := w.References.Flag(property.Key)
		if other == nil {
			w.Refuse(field+"key", "there is no flag %q", property.Key)
			continue
		}
		variations := variationsOf(other, property.Value)
		if len(variations) == 0 {
			w.Refuse(field+"value", "flag %q never evaluates to that", other.Key())
			continue
		}
		w.Config.Prerequisites = append(
			w.Config.Prerequisites,
			v1alpha1.Prerequisite{Flag: other.Key(), Variations: variations},
		)
	}
}

// variationsOf are the variations of a flag that clients see as that value.
func variationsOf(flag *v1alpha1.FeatureFlag, value any) []string {
	var found []string
	for i := range flag.Spec.Variations {
		variation := &flag.Spec.Variations[i]
		isDefault := variation.Key == flag.Spec.DefaultVariation
		matches := false
		if flag.Spec.Type == v1alpha1.FlagTypeBoolean {
			matches = value == isTrue(variation.Value.Raw)
		} else if text, isText := value.(string); isText {
			matches = variation.Key == text
		} else if flag.Spec.Bucketing == v1alpha1.BucketingPostHogSHA1 {
			matches = value == !isDefault
		} else {
			matches = value == true
		}
		if matches {
			found = append(found, variation.Key)
		}
	}
	return found
}
