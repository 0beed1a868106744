// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "testing"

// A client that sends back what it was shown must change nothing, though it writes numbers in its own way.
func TestNumbersOfClients(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"1.5", "1.50", true}, {"18", "18.0", true}, {"-0", "0", true}, {"0.1", "0.10", true}, {"1e3", "1e3", true},
		{"1.5", "1.51", false}, {"9007199254740993", "9007199254740992", false}, {"1e999999999", "1", false}, {"", "0", false},
		{"x", "1", false},
	} {
		if got := IsSameNumber(tc.a, tc.b); got != tc.same {
			t.Errorf("%s and %s are the same: %v", tc.a, tc.b, got)
		}
	}
	for number, want := range map[string]bool{
		"18": true, "1.50": true, "0.1": true, "-3": true, "9007199254740992": true, "9007199254740993": false,
		"1234567890123456789": false, "0.12345678901234567890123": false, "1e999": false, "x": false, "": false,
	} {
		if got := IsFloat(number); got != want {
			t.Errorf("%s comes back from a client: %v", number, got)
		}
	}
}
