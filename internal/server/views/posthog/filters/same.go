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

// isForSame reports whether two groups are for the same people, or for shares of them.
func isForSame(a, b *Group) bool { return slices.EqualFunc(a.Properties, b.Properties, isSameProperty) }

func isSameProperty(a, b Property) bool {
	if cmp.Or(a.Type, TypePerson) != cmp.Or(b.Type, TypePerson) || a.Key != b.Key {
		return false
	}
	if a.Operator == b.Operator && isSameValue(a.Value, b.Value) {
		return true
	}
	return cmp.Or(a.Type, TypePerson) == TypePerson && isSameTest(&a, &b)
}

// isSameTest reports whether two properties of a person are one test, however it is written: exact takes "x" and ["x"],
// and a date may have no time.
func isSameTest(a, b *Property) bool {
	x, _, errX := condition(a)
	y, _, errY := condition(b)
	if errX != nil || errY != nil || x.Operator != y.Operator {
		return false
	}
	if len(x.Values) == 1 && len(y.Values) == 1 && ordered[a.Operator] == x.Operator {
		return x.Values[0] == y.Values[0] || server.IsSameNumber(x.Values[0], y.Values[0])
	}
	return slices.Equal(x.Values, y.Values)
}

// recognise gives groups without a sort key that of the rule which they show: programs that write filters leave it out.
// So the rule keeps its name, by which its hash deals, its metrics and its type. Groups are taken first for rules of
// which they say all, and then for those that are for the same people. A rule of several groups is known by its key
// alone.
func (w *Writer) recognise() {
	shown, times := w.Shown.Filters.Groups, map[string]int{}
	for i := range shown {
		times[shown[i].SortKey]++
	}
	given := *w.Filters
	given.Groups = slices.Clone(given.Groups)
	w.Filters = &given
	for i := range given.Groups {
		times[given.Groups[i].SortKey]++ // It is taken.
	}
	for _, says := range []func(a, b *Group) bool{isSame, isForSame} {
		for i := range given.Groups {
			group := &given.Groups[i]
			for j := range shown {
				key := shown[j].SortKey
				isFree := times[key] == 1 && !strings.Contains(key, ":")
				if group.SortKey == "" && isFree && says(&shown[j], group) {
					group.SortKey = key
					times[key]++
				}
			}
		}
	}
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
