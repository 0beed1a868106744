// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"strconv"
	"testing"
)

func TestWants(t *testing.T) {
	for name, tc := range map[string]struct {
		body EvaluateBody
		tags []string
		want bool
	}{
		"everything":                      {EvaluateBody{}, []string{"web"}, true},
		"the flag":                        {EvaluateBody{FlagKeys: []string{"other", "flag"}}, nil, true},
		"others":                          {EvaluateBody{FlagKeys: []string{"other"}}, nil, false},
		"no flag":                         {EvaluateBody{FlagKeys: []string{}}, nil, false},
		"a context of the flag":           {EvaluateBody{Contexts: []string{"web", "app"}}, []string{"docs", "app"}, true},
		"another context":                 {EvaluateBody{Contexts: []string{"web"}}, []string{"docs"}, false},
		"a context, of a flag of all":     {EvaluateBody{Contexts: []string{"web"}}, nil, true},
		"by the former name":              {EvaluateBody{Environments: []string{"web"}}, []string{"docs"}, false},
		"by both names":                   {EvaluateBody{Contexts: []string{"docs"}, Environments: []string{"web"}}, []string{"docs"}, true},
		"the flag, but another context":   {EvaluateBody{FlagKeys: []string{"flag"}, Contexts: []string{"web"}}, []string{"docs"}, false},
		"another flag of the context too": {EvaluateBody{FlagKeys: []string{"other"}, Contexts: []string{"docs"}}, []string{"docs"}, false},
	} {
		if got := tc.body.wants()("flag", func() []string { return tc.tags }); got != tc.want {
			t.Errorf("a request for %s: %t, want %t", name, got, tc.want)
		}
	}
}

// Sizes multiply: 10,000 keys and 10,000 flags would be compared for seconds, were each list read for each flag.
func TestWantsReadsListsOnce(t *testing.T) {
	body := EvaluateBody{FlagKeys: make([]string, 10_000)}
	for i := range body.FlagKeys {
		body.FlagKeys[i] = "flag-" + strconv.Itoa(i)
	}
	wants := body.wants()
	clear(body.FlagKeys)
	for i := range body.FlagKeys {
		if !wants("flag-"+strconv.Itoa(i), nil) {
			t.Fatal("the list is read for each flag")
		}
	}
}
