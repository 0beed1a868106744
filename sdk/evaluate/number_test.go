// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Account numbers and snowflakes are integers that no float64 holds: a rule for one must not serve its neighbour.
func TestLargeIntegersCompareExactly(t *testing.T) {
	rule := func(operator, values string) string {
		return flag(
			`"rules":[{"name":"r","variation":"on","conditions":[{"attribute":"n","operator":"` + operator + `","values":[` + values + `]}]}]`,
		)
	}
	const id = `"1234567890123456789"`
	for name, tc := range map[string]struct {
		operator, values string
		attribute        any
		want             bool
	}{
		"the integer":                          {"In", id, json.Number("1234567890123456789"), true},
		"its neighbour":                        {"In", id, json.Number("1234567890123456788"), false},
		"an int64":                             {"In", id, int64(1234567890123456789), true},
		"an int64 beside it":                   {"In", id, int64(1234567890123456788), false},
		"an int":                               {"In", id, int(1234567890123456789), true},
		"a uint64":                             {"In", `"18446744073709551615"`, uint64(18446744073709551615), true},
		"a uint64 beside it":                   {"In", `"18446744073709551615"`, uint64(18446744073709551614), false},
		"a negative one":                       {"In", `"-1234567890123456789"`, int64(-1234567890123456789), true},
		"a negative one beside it":             {"In", `"-1234567890123456789"`, int64(-1234567890123456788), false},
		"beyond every Go integer":              {"In", `"100000000000000000000000001"`, json.Number("100000000000000000000000001"), true},
		"beside it":                            {"In", `"100000000000000000000000001"`, json.Number("100000000000000000000000000"), false},
		"the first that rounds":                {"In", `"9007199254740992"`, json.Number("9007199254740993"), false},
		"in a list":                            {"In", id, []any{1.0, json.Number("1234567890123456789")}, true},
		"beside it in a list":                  {"In", id, []any{json.Number("1234567890123456788")}, false},
		"one of two with one nearest float":    {"In", id + `,"1234567890123456788"`, json.Number("1234567890123456788"), true},
		"none of":                              {"NotIn", id, json.Number("1234567890123456788"), true},
		"text":                                 {"In", id, "1234567890123456789", true},
		"a float64 counts as JSON writes it":   {"In", `"1234567890123456800"`, 1234567890123456789.0, true},
		"a value with an exponent rounds":      {"In", `"1e21"`, json.Number("1000000000000000000001"), true},
		"an attribute with an exponent":        {"In", `"1000000000000000000000"`, json.Number("1e21"), true},
		"a small integer as json.Number":       {"In", `"5"`, json.Number("5"), true},
		"greater":                              {"GreaterThan", id, json.Number("1234567890123456790"), true},
		"not greater":                          {"GreaterThan", id, int64(1234567890123456789), false},
		"not greater beside it":                {"GreaterThan", id, json.Number("1234567890123456788"), false},
		"greater or equal":                     {"GreaterThanOrEqual", id, int64(1234567890123456789), true},
		"less":                                 {"LessThan", id, int64(1234567890123456788), true},
		"not less":                             {"LessThan", id, int64(1234567890123456789), false},
		"less, negative":                       {"LessThan", `"-1234567890123456788"`, int64(-1234567890123456789), true},
		"less or equal, beside it":             {"LessThanOrEqual", id, json.Number("1234567890123456790"), false},
		"a float64 below":                      {"LessThan", id, 5.0, true},
		"a number that is no integer of JSON":  {"In", id, json.Number("01234567890123456789"), true},
		"a json.Number without number":         {"In", id, json.Number("x"), false},
		"an attribute with very many digits":   {"LessThan", id, json.Number("1234567890123456788." + fmt.Sprintf("%0500d", 0)), false},
		"equal numbers with many more numbers": {"In", `"1","2","3","4","5","6","7","8","9","10",` + id, int64(1234567890123456789), true},
	} {
		t.Run(name, func(t *testing.T) {
			prepared := engine(t, `{"f":`+rule(tc.operator, tc.values)+`}`, "")
			context := map[string]any{"n": tc.attribute}
			if got := prepared.Evaluate("f", context, noon).Variation.Key == "on"; got != tc.want {
				t.Errorf("%s [%s] holds for %v: %t", tc.operator, tc.values, tc.attribute, got)
			}
			if n := testing.AllocsPerRun(
				10,
				func() { result = prepared.Evaluate("f", context, noon) },
			); n != 0 &&
				name != "a json.Number without number" {
				t.Errorf("allocates %v times", n)
			}
		})
	}
}

// A context that is decoded from JSON keeps what a float64 would round, and is quick to compare everywhere else.
func TestDecodeContext(t *testing.T) {
	var context evaluate.Context
	data := `{"small":9007199254740991,"large":9007199254740993,"negative":-9007199254740993,"fraction":0.1,"exponent":1e21,` +
		`"list":[1,12345678901234567890],"inner":{"id":12345678901234567890},"text":"1","none":null}`
	if err := json.Unmarshal([]byte(data), &context); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"small": 9007199254740991.0, "large": json.Number("9007199254740993"), "negative": json.Number("-9007199254740993"),
		"fraction": 0.1, "exponent": 1e21, "list": []any{1.0, json.Number("12345678901234567890")},
		"inner": map[string]any{"id": json.Number("12345678901234567890")}, "text": "1", "none": nil,
	}
	if got := fmt.Sprintf("%#v", map[string]any(context)); got != fmt.Sprintf("%#v", want) {
		t.Errorf("got %s", got)
	}
	for _, wrong := range []string{`[]`, `1`, `{"n":1e999}`, `{} {}`, `{`} {
		if err := context.UnmarshalJSON([]byte(wrong)); err == nil {
			t.Errorf("%s is decoded", wrong)
		}
	}
}
