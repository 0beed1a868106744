// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// A pin anew of what is served already made one revision after the other of the same content, and pushed others out of
// the history.
func TestAPinAnewOfTheSameContentIsKnown(t *testing.T) {
	document := func(on ...string) *datafile.Document {
		made := &datafile.Document{Flags: map[string]*datafile.Flag{"a": {}, "b": {}, "c": {}}}
		for _, key := range on {
			made.Flags[key].Enabled = true
		}
		return made
	}
	target, other := document("a", "b"), document("a")
	delete(other.Flags, "c")
	for name, tc := range map[string]struct {
		served *datafile.Document
		braked []string
		want   bool
	}{
		"no brake was lifted":            {document("b"), []string{"a"}, true},
		"a brake was lifted":             {document("b"), nil, false},
		"one of two was lifted":          {document(), []string{"a"}, false},
		"another brake is not yet there": {document("a", "b"), []string{"a"}, false},
		"a brake of what was off":        {document("b"), []string{"a", "c"}, true},
		"as it is":                       {document("a", "b"), nil, true},
		"another set of flags":           {other, []string{"b"}, false},
	} {
		if got := isUnder(tc.served, target, tc.braked); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
}
