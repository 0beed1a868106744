// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// kept is how many groups, from the one at i on, are those that show one thing of the flag as it is: a rule has a group
// for each of its audiences.
func (w *Writer) kept(i int) int {
	key := w.Filters.Groups[i].SortKey
	var shows []Group
	for _, group := range w.Shown.Filters.Groups {
		if key != "" && group.SortKey == key {
			shows = append(shows, group)
		}
	}
	if len(shows) == 0 || len(w.Filters.Groups)-i < len(shows) {
		return 0
	}
	if !strings.Contains(key, ":") && ruleOf(w.Config, key) != nil {
		return 0 // It was kept before.
	}
	for j := range shows {
		if !isSame(&shows[j], &w.Filters.Groups[i+j]) {
			return 0
		}
	}
	split := shows[0].Variant == nil && !w.isBoolean()
	if split && !reflect.DeepEqual(percentages(w.Shown.Filters.Multivariate), percentages(w.Filters.Multivariate)) {
		return 0
	}
	return len(shows)
}

// isSame reports whether two groups say the same.
func isSame(a, b *Group) bool {
	return share(a) == share(b) && variantKey(a) == variantKey(b) && a.Description == b.Description &&
		slices.EqualFunc(a.Properties, b.Properties, isSameProperty)
}

func isSameProperty(a, b Property) bool {
	if cmp.Or(a.Type, TypePerson) != cmp.Or(b.Type, TypePerson) || a.Key != b.Key || a.Operator != b.Operator {
		return false
	}
	return isSameValue(a.Value, b.Value)
}

// isSameValue reports whether two values are one, however a client writes its numbers.
func isSameValue(a, b any) bool {
	x, isX := a.(json.Number)
	y, isY := b.(json.Number)
	return isX && isY && server.IsSameNumber(x.String(), y.String()) || Canonical(a) == Canonical(b)
}

// Canonical is a value as JSON, so that what was read and what is shown compare.
func Canonical(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(data)
}

func share(group *Group) float64 {
	if group.RolloutPercentage == nil {
		return 100
	}
	return *group.RolloutPercentage
}

func variantKey(group *Group) string {
	if group.Variant == nil {
		return ""
	}
	return *group.Variant
}

func percentages(multivariate *Multivariate) []Variant {
	if multivariate == nil {
		return nil
	}
	shares := slices.Clone(multivariate.Variants)
	for i := range shares {
		shares[i].Name = ""
	}
	return shares
}
