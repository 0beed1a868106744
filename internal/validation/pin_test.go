// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever asks for a pinned revision anew by a wrong number believed that what brakes had switched off was served again.
func TestAPinAnewOfWhatIsNotServedIsRefused(t *testing.T) {
	const path = `metadata.annotations[flags.jackstaff.dev/pin-again]: Invalid value: `
	environment := func(asked string, pinned, served int64) *v1alpha1.FlagEnvironment {
		environment := builders.MakeEnvironment("production", "shop").Annotation(v1alpha1.PinAgainAnnotation, asked).Obj()
		if pinned > 0 {
			environment.Spec.Publish.Revision = &pinned
		}
		environment.Status.PublishedRevision = served
		return environment
	}
	for name, tc := range map[string]struct {
		before, asked  string
		pinned, served int64
		want           string
	}{
		"the one that is served": {"", "8", 3, 8, ""},
		"once more":              {"6", "8", 3, 8, ""},
		"the one that is pinned": {
			"", "3", 3, 8, path + `"3": revision 8 is served, and no other one can be replaced; write "8", or run jackstaff ` +
				`rollback production --to 3`,
		},
		"one that was served before": {
			"", "7", 3, 8, path + `"7": revision 8 is served, and no other one can be replaced; write "8", or run jackstaff ` +
				`rollback production --to 3`,
		},
		"no pin": {
			"", "8", 0, 8, path + `"8": no revision is pinned that could be served anew; set spec.publish.revision in the same ` +
				`change, or leave the annotation out`,
		},
		"a pin that is served as it is": {
			"", "3", 3, 3, path + `"3": revision 3 is pinned and served as it is, so that there is nothing to serve anew; leave ` +
				`the annotation out`,
		},
		"nothing is served": {
			"", "8", 3, 0, path + `"8": nothing is published yet that could be replaced; leave the annotation out`,
		},
		"what was asked for before":            {"7", "7", 3, 8, ""},
		"it is taken back":                     {"7", "", 3, 8, ""},
		"what is no number is refused already": {"", "latest", 3, 8, ""},
	} {
		t.Run(name, func(t *testing.T) {
			old := environment(tc.before, 0, tc.served)
			got := ""
			if err := NewPinAgain(old, environment(tc.asked, tc.pinned, 0)).ToAggregate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	for asked, pinned := range map[string]int64{
		"05": 3, "+5": 3, "-3": 3, "0": 3, "5.0": 3, "latest": 3, "-4": 0,
		" 5": 3, //nolint:gocritic // The space is what is tested.
	} {
		old, environment := environment("", 3, 5), environment(asked, pinned, 5)
		want := path + `"` + asked + `": must be the number of the revision that is served, in digits alone; write "5", or ` +
			`leave the annotation out`
		mistakes := append(FlagEnvironmentUpdate(old, environment), NewPinAgain(old, environment)...)
		mistakes = slices.DeleteFunc(mistakes, func(m *field.Error) bool { return !strings.Contains(m.Field, "pin-again") })
		if err := mistakes.ToAggregate(); err == nil || err.Error() != want {
			t.Errorf("%q: got  %v\nwant %s", asked, err, want)
		}
		if got := PinAgain(environment); got != 0 {
			t.Errorf("%q asks for revision %d", asked, got)
		}
	}
	if mistakes := NewPinAgain(nil, environment("7", 3, 0)); len(mistakes) > 0 {
		t.Errorf("a backup cannot be restored: %v", mistakes)
	}
}
