// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// TestOperators checks every operator with attributes that it holds for and, of the right type or not, that it does not
// hold for. The negative operators hold exactly where the positive ones do not.
func TestOperators(t *testing.T) {
	noon := time.Date(2027, 3, 15, 12, 0, 0, 0, time.UTC)
	wrong := []any{nil, []any{}, map[string]any{}, struct{}{}, []int{1}, math.NaN(), math.Inf(1)}
	anyOf := func(values ...any) []any { return values }
	for name, tc := range map[string]struct {
		operator datafile.Operator
		values   []string
		holds    []any
		fails    []any
	}{
		"In": {
			datafile.In, []string{"beta", "5", "true", "2.50", "1e3", "-0"},
			anyOf("beta", "5", "true", "2.50", true, 5, int8(5), uint64(5), 5.0, float32(2.5), json.Number("5.0"), 2.5, 1000, 0, math.Copysign(0, -1),
				[]any{"x", "beta"}, []any{5}, []string{"x", "beta"}, []any{nil, true}),
			anyOf("Beta", "beta ", "", "2.5", "1000", false, 6, 1, []any{"x"}, []any{[]any{"beta"}}, []string{}, map[string]any{"beta": true}),
		},
		"In does not take other notations for numbers": {
			datafile.In, []string{"0x10", "1_0", "+5", "05", "5.", ".5", "Infinity", "NaN", " 5"}, anyOf("0x10", "NaN"), anyOf(16, 10, 5, 0.5, 0),
		},
		"In of many": {
			datafile.In, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "false", "7"}, anyOf("i", false, 7, []any{7}), anyOf("j", true, 8, ""),
		},
		"In compares float32 as its decimal number": {datafile.In, []string{"0.1"}, anyOf(float32(0.1), 0.1), anyOf(0.10000000149011612)},
		"In compares times as RFC 3339":             {datafile.In, []string{"2027-03-15T12:00:00Z"}, anyOf(noon, []any{noon}), anyOf(noon.Add(1))},
		"In of nothing":                             {datafile.In, nil, nil, anyOf("", "x", 0, false)},
		"Exists":                                    {datafile.Exists, nil, anyOf("", 0, false, []any{}, map[string]any{}, struct{}{}), anyOf()},
		"GreaterThan":                               {datafile.GreaterThan, []string{"18"}, anyOf(19, 18.5, json.Number("1e2"), uint8(200)), anyOf(18, 17.9, "19", true, "x", json.Number("x"))},
		"GreaterThanOrEqual":                        {datafile.GreaterThanOrEqual, []string{"-1.5"}, anyOf(-1.5, 0, int64(7)), anyOf(-2, "0", false)},
		"LessThan":                                  {datafile.LessThan, []string{"1e3"}, anyOf(999, -5, float32(1)), anyOf(1000, "5", false)},
		"LessThanOrEqual":                           {datafile.LessThanOrEqual, []string{"+05"}, anyOf(5, 4.9), anyOf(6, "4")},
		"StartsWith":                                {datafile.StartsWith, []string{"ab", "é"}, anyOf("ab", "abc", "été"), anyOf("ba", "AB", "", 5, []any{"ab"})},
		"StartsWith nothing":                        {datafile.StartsWith, []string{""}, anyOf("", "x"), anyOf(5, false)},
		"EndsWith":                                  {datafile.EndsWith, []string{"@a.example", "@b.example"}, anyOf("x@a.example", "@b.example"), anyOf("x@a.example.org", "X@A.EXAMPLE", 1)},
		"EndsWith nothing":                          {datafile.EndsWith, []string{"x", ""}, anyOf("", "x", "y"), anyOf(5, false)},
		"Contains":                                  {datafile.Contains, []string{"bc", "yz"}, anyOf("abcd", "bc", "xyz"), anyOf("b c", "", "BC", []any{"bc"}, 7)},
		"SemVerEqual": {
			datafile.SemVerEqual, []string{"v1.2.0"}, anyOf("1.2.0", "v1.2", "V1.2", "1.2.0+build"),
			anyOf("1.2.1", "1", "1.2.0-rc.1", "01.2.0", "1.02", "vv1.2.0", " 1.2.0", "1.2.0 ", "1.2.0.0", "1.2-rc", "1.2+b", "1.2.0-", "1.2.0+", "1.2.", "", "v", 1.2, "=1.2.0"),
		},
		"SemVerGreaterThan": {
			datafile.SemVerGreaterThan, []string{"1.2.3-beta.2"},
			anyOf("1.2.3", "1.2.3-beta.11", "1.2.3-beta.2.0", "1.2.3-rc", "1.2.3-beta.x", "1.10.0", "99999999999999999999999.0.0"),
			anyOf("1.2.3-beta.2", "1.2.3-beta.1", "1.2.3-beta", "1.2.3-alpha.9", "1.2.3-2", "1.2.3-BETA.3", "1.2.2", "1.2.3-beta.02", "x"),
		},
		"SemVerGreaterThanOrEqual": {datafile.SemVerGreaterThanOrEqual, []string{"2.0.0"}, anyOf("2", "2.0.0", "3.1"), anyOf("2.0.0-rc.1", "1.9.9", 2)},
		"SemVerLessThan":           {datafile.SemVerLessThan, []string{"2.0.0"}, anyOf("1.9.9", "2.0.0-rc.1", "0"), anyOf("2", "2.0.0+x", "", "x", 1)},
		"SemVerLessThan 10":        {datafile.SemVerLessThan, []string{"10.0.0"}, anyOf("9.9.9", "2", "v3", "V0.1"), anyOf("10.0.0", "11", "v100")},
		"SemVerLessThanOrEqual":    {datafile.SemVerLessThanOrEqual, []string{"2.0.0"}, anyOf("2.0.0", "1"), anyOf("2.0.1", true)},
		"SemVerTilde":              {datafile.SemVerTilde, []string{"1.2.3"}, anyOf("1.2.0", "1.2.9", "1.2", "1.2.3-rc"), anyOf("1.3.0", "1", "2.2.3")},
		"SemVerCaret":              {datafile.SemVerCaret, []string{"1.2.3"}, anyOf("1", "1.0.0", "1.9"), anyOf("2.0.0", "0.1", "x")},
		"Before":                   {datafile.Before, []string{"2027-03-15T12:00:00Z"}, anyOf(noon.Add(-1), "2027-03-15T11:59:59.9Z", "2027-03-15T12:59:59+01:00"), anyOf(noon, "2027-03-15T12:00:00Z", "2027-03-15", noon.Unix()-5)},
		"After":                    {datafile.After, []string{"2027-03-15T13:00:00+01:00"}, anyOf(noon.Add(1), "2027-03-15T12:00:01Z"), anyOf(noon, "x", noon.Unix()+5)},
		"BeforeUnix":               {datafile.BeforeUnix, []string{"2027-03-15T12:00:00Z"}, anyOf(noon.Unix()-1, float64(noon.Unix())-0.5, 0), anyOf(noon.Unix(), "0", noon.Add(-1))},
		"AfterUnix":                {datafile.AfterUnix, []string{"2027-03-15T12:00:00.5Z"}, anyOf(noon.Unix() + 1), anyOf(noon.Unix(), float64(noon.Unix())+0.5, "9999999999")},
		"Matches":                  {datafile.Matches, []string{`b+c$`}, anyOf("abbc", "bc"), anyOf("bcd", "", 5, []any{"bc"})},
		"InCIDR": {
			datafile.InCIDR, []string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "::ffff:198.51.100.0/120"},
			anyOf("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.7", "198.51.100.9"), anyOf("11.0.0.1", "192.0.2.8", "10.1.2", "2001:db9::1", "x", 10, ""),
		},
		"EqualFold":            {datafile.EqualFold, []string{"Straße", "K"}, anyOf("STRAßE", "straße", "k", "\u212a"), anyOf("strasse", "", "kk", 5)},
		"ContainsFold":         {datafile.ContainsFold, []string{"ÄB", "k"}, anyOf("xäbx", "Äb", "K", "\u212a"), anyOf("ab", "", 5, []any{"äb"}, "\xff\xfe")},
		"ContainsFold nothing": {datafile.ContainsFold, []string{""}, anyOf("", "x"), anyOf(5)},
		"ContainsFold of much": {datafile.ContainsFold, []string{"NEEDLE"}, anyOf(string(make([]byte, 5000)) + "needle"), anyOf(string(make([]byte, 5000)))},
	} {
		t.Run(name, func(t *testing.T) {
			conditions, err := newConditions([]datafile.Condition{
				{
					Attribute: "a",
					Operator:  tc.operator,
					Values:    tc.values,
				},
				{Attribute: "b.c", Operator: tc.operator, Values: tc.values},
			})
			if err != nil {
				t.Fatal(err)
			}
			holds := func(c *condition, context map[string]any) bool {
				return (&evaluation{context: context}).allHold([]condition{*c})
			}
			for negation, positive := range negations {
				if positive == tc.operator {
					negative, err := newConditions([]datafile.Condition{{Attribute: "a", Operator: negation, Values: tc.values}})
					if err != nil {
						t.Fatal(err)
					}
					for _, value := range append(append(tc.holds, tc.fails...), wrong...) {
						if context := map[string]any{"a": value}; holds(&negative[0], context) == holds(&conditions[0], context) {
							t.Errorf("%s and %s agree about %#v", tc.operator, negation, value)
						}
					}
				}
			}
			check := func(value any, want bool) {
				if got := holds(&conditions[0], map[string]any{"a": value}); got != want {
					t.Errorf("%s %q holds for %#v: %t, want %t", tc.operator, tc.values, value, got, want)
				}
				if got := holds(&conditions[1], map[string]any{"b": map[string]any{"c": value}}); got != want {
					t.Errorf("%s %q holds for the nested %#v: %t, want %t", tc.operator, tc.values, value, got, want)
				}
			}
			for _, value := range tc.holds {
				check(value, true)
			}
			for _, value := range tc.fails {
				check(value, false)
			}
			for _, value := range wrong {
				check(value, tc.operator == datafile.Exists && value != nil)
			}
			if holds(&conditions[0], nil) {
				t.Errorf("%s holds without a context", tc.operator)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	object := map[string]any{"city": "x", "0": nil, "": "empty", "é": "ü"}
	e := evaluation{context: map[string]any{
		"user":      object,
		"user.city": "not reached",
		"list":      []any{map[string]any{"city": "x"}},
		"text":      "x",
		"indexed":   map[string]any{"0": "x", "city": "x"},
		"deep":      map[string]any{"user": object},
	}}
	for path, want := range map[string]any{
		"user.city": "x", "deep.user.city": "x", "text": "x", "user.": "empty", "user.é": "ü",
		"list.city": nil, "list.0": nil, "list.length": nil, "text.0": nil, "text.length": nil, "indexed.city": nil, "indexed.0": nil, "gone": nil, "gone.city": nil,
		"user.gone": nil, "user.city.gone": nil, "": nil, ".": nil,
	} {
		if p := newPath(path); e.find(&p) != want {
			t.Errorf("%q leads to %#v, want %#v", path, e.find(&p), want)
		}
	}
}
