// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"
)

// Whoever comes from another system writes its words, and has to read ours.
func TestUnknownOperator(t *testing.T) {
	for operator, want := range map[string]string{
		"Equals": "write In;", "eq": "write In;", "==": "write In;", "one_of": "write In;", "NotEquals": "write NotIn;",
		"in": "write In", "greaterThan": "write GreaterThan", "gte": "write GreaterThanOrEqual;",
		"StartWith": "write StartsWith", "semver_equal": "write SemVerEqual", "zzzzzz": "is not an operator; the operators",
	} {
		got := unknownOperator(operator)
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q does not say %q", operator, got, want)
		}
		if !strings.Contains(got, "the operators are After, ") {
			t.Errorf("%q: %q does not list the operators", operator, got)
		}
	}
}

func TestLabel(t *testing.T) {
	for name, want := range map[string]string{
		"newCheckout": "new-checkout", "New_Checkout": "new-checkout", "new checkout": "new-checkout",
		"HTTPServer": "httpserver", "a.b/c": "a-b-c", "-x-": "x", "ünder": "nder", "___": "", "already-good": "already-good",
		strings.Repeat("aB", 60): "a-" + strings.Repeat("ba-", 20) + "b",
	} {
		if got := Label(name); got != want {
			t.Errorf("the label of %q is %q, want %q", name, got, want)
		}
	}
}
