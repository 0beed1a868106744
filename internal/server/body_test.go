// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"strings"
	"testing"
)

// Of two members with one name JSON's readers take the last, and whoever reviews a request reads the first.
func TestTwiceAt(t *testing.T) {
	for body, want := range map[string]string{
		`{"a": 1, "b": 2}`:                              "",
		`{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}`:    "",
		`{"a": "\"a\": 1, \"a\": 2", "A": {}, "b": []}`: "",
		`[[], {}, null, "a", "a"]`:                      "",
		`{"a": 1, "a": 1}`:                              ".a",
		`{"a": 1, "\u0061": 2}`:                         ".a",
		`{"a": {}, "b": [], "a": null}`:                 ".a",
		`{"a": {"b": [0, {"c": 1, "d": {}, "c": 2}]}}`:  ".a.b[1].c",
		`[{"a": 1}, {"a": 1, "a": 2}]`:                  "[1].a",
		`"text"`:                                        "",
		``:                                              "",
	} {
		if got := twiceAt(json.NewDecoder(strings.NewReader(body))); got != want {
			t.Errorf("in %s the member %q is there twice, want %q", body, got, want)
		}
	}
}
