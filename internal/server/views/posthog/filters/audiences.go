// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// A rule is shown as one group for each of its audiences, which have its name as sort key. It is written from such
// groups again, so that its salt and metrics stay for the people of every audience.

// alike is how many groups, from the one at i on, are one rule: they have its sort key and differ in the audience only.
func (w *Writer) alike(i int) int {
	groups := w.Filters.Groups
	first, key := groups[i], groups[i].SortKey
	if key == "" || strings.Contains(key, ":") || !hasOneCohort(&first) {
		return 1
	}
	first.Properties = withoutCohorts(&first)
	n := 1
	for ; i+n < len(groups); n++ {
		other := groups[i+n]
		if other.SortKey != key || !hasOneCohort(&other) || other.AggregationGroupTypeIndex != nil {
			break
		}
		other.Properties = withoutCohorts(&other)
		if !isSame(&first, &other) {
			break
		}
	}
	return n
}

// refuseTorn refuses a group of a rule that another group is already, where the rule is shown as several. It would be
// another rule, with another salt and without metrics.
func (w *Writer) refuseTorn(i int) {
	key, shown := w.Filters.Groups[i].SortKey, 0
	for _, group := range w.Shown.Filters.Groups {
		if group.SortKey == key {
			shown++
		}
	}
	if shown > 1 {
		w.Refuse(
			groupField(i)+".sort_key",
			"rule %q is several groups, one for each of its audiences; keep them together and change all of them alike, "+
				"or leave sort_key out to make this group a rule of its own",
			key,
		)
	}
}

// moreAudiences adds to a rule the audience of another group of it.
func (w *Writer) moreAudiences(rule *v1alpha1.Rule, i int) {
	for j := range w.Filters.Groups[i].Properties {
		property := &w.Filters.Groups[i].Properties[j]
		w.possible(property, i, j)
		if property.Type != typeCohort {
			continue
		}
		other := v1alpha1.Rule{}
		w.cohort(&other, property, propertyField(i, j))
		for _, name := range other.Audiences {
			if !slices.Contains(rule.Audiences, name) {
				rule.Audiences = append(rule.Audiences, name)
			}
		}
	}
}

func isCohort(property Property) bool { return property.Type == typeCohort }

func hasOneCohort(group *Group) bool {
	return len(group.Properties)-len(withoutCohorts(group)) == 1
}

func withoutCohorts(group *Group) []Property {
	return slices.DeleteFunc(slices.Clone(group.Properties), isCohort)
}
