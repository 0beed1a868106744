// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// A write that its caller believes to be safe must not be made without the condition, nor refused though one of the
// ETags holds.
func TestConditionsAreReadWhole(t *testing.T) {
	writes := &huma.Operation{Parameters: []*huma.Param{{In: "header", Name: "If-Match"}}}
	const etag = `W/"uid-1-a"`
	for name, tc := range map[string]struct {
		lines     []string
		wantSays  string
		wantHolds bool
	}{
		"weak":               {[]string{etag}, "", true},
		"strong":             {[]string{`"uid-1-a"`}, "", true},
		"any":                {[]string{"*"}, "", true},
		"another":            {[]string{`"uid-0-a"`}, "", false},
		"one of a list":      {[]string{`"uid-0-a" , W/"uid-1-a"`}, "", true},
		"in the second line": {[]string{`"uid-0-a"`, etag}, "", true},
		"with a comma":       {[]string{`"a,"uid-1-a"`}, "in quotes", false},
		"beside a comma":     {[]string{`"a, b",` + etag}, "", true},
		"inside of another":  {[]string{`"x,W/"`, `"y"`}, "", false},
		"empty":              {[]string{""}, "is empty", false},
		"blank":              {[]string{" \t"}, "is empty", false},
		"empty lines":        {[]string{"", ","}, "is empty", false},
		"an empty line":      {[]string{"", etag}, "", true},
		"without quotes":     {[]string{"uid-1-a"}, "in quotes", false},
		"weak, no quotes":    {[]string{"W/uid-1-a"}, "in quotes", false},
		"half a quote":       {[]string{`"uid-1-a`}, "in quotes", false},
		"two without comma":  {[]string{`"x" ` + etag}, "in quotes", false},
		"then without":       {[]string{`"x"`, "uid-1-a"}, "in quotes", false},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/", nil)
			for _, condition := range []string{"If-Match", "If-None-Match"} {
				request.Header[condition] = tc.lines
			}
			err := checkIfMatch(writes, request.Header)
			if (err == nil) != (tc.wantSays == "") || err != nil && !strings.Contains(err.Error(), tc.wantSays) {
				t.Errorf("the answer is %v", err)
			}
			if err != nil && !hasStatus(err, http.StatusBadRequest) {
				t.Errorf("the answer is %v, and not 400", err)
			}
			if err := checkIfMatch(&huma.Operation{}, request.Header); err != nil {
				t.Errorf("a read is refused: %v", err)
			}
			joined := joinConditions(request)
			for _, condition := range []string{"If-Match", "If-None-Match"} {
				if got := MatchesETag(joined.Header.Get(condition), etag); got != tc.wantHolds {
					t.Errorf("%s %q holds: %t", condition, joined.Header.Get(condition), got)
				}
				if len(request.Header[condition]) != len(tc.lines) {
					t.Errorf("the request has changed")
				}
			}
		})
	}
}
