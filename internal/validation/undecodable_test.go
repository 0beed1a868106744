// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

func markLost[P v1alpha1.Object](object P, path string) P {
	object.SetAnnotations(map[string]string{v1alpha1.UndecodableAnnotation: path + "\n" + path + " is of another form"})
	return object
}

// What an object has lost must not be published as if its author had left it out.
func TestWhatDoesNotFitIsNotValid(t *testing.T) {
	for _, object := range []v1alpha1.Object{
		markLost(builders.MakeFlag("checkout", "shop").Boolean().Defaulted().Obj(), "spec.rules"),
		markLost(builders.MakeEnvironment("production", "shop").Defaulted().Obj(), "spec.publish"),
		markLost(builders.MakeAudience("staff", "shop").Members("a").Obj(), "spec.members"),
		markLost(builders.MakeEvent("purchase", "shop").Obj(), "spec.type"),
	} {
		mistakes := Object(nil, object)
		if len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), "is of another form") {
			t.Errorf("of %T is said: %v", object, mistakes)
		}
	}
}

// Whoever mends a flag may choose a key only where that was lost, for others ask for it by the key.
func TestMendingKeepsTheKey(t *testing.T) {
	flag := func(key string) *v1alpha1.FeatureFlag {
		return builders.MakeFlag("checkout", "shop").Boolean().Key(key).Defaulted().Obj()
	}
	for name, tc := range map[string]struct {
		old         *v1alpha1.FeatureFlag
		key         string
		wantRefused bool
	}{
		"the same key":        {old: markLost(flag("pay"), "spec.variations"), key: "pay"},
		"another key":         {old: markLost(flag("pay"), "spec.variations"), key: "buy", wantRefused: true},
		"a key that was lost": {old: markLost(flag("pay"), "spec.key"), key: "buy"},
		"all was lost":        {old: markLost(flag("pay"), "spec"), key: "buy"},
	} {
		t.Run(name, func(t *testing.T) {
			if mistakes := FeatureFlagUpdate(tc.old, flag(tc.key)); (len(mistakes) > 0) != tc.wantRefused {
				t.Errorf("mending it is answered with %v", mistakes)
			}
		})
	}
}
