// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
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

// What decides is what the history holds: a pin anew that is refused for another reason leaves a flag off that somebody
// has switched on, and one that is let through for nothing makes revisions without end.
func TestAdmissionReadsWhatAPinAnewMakes(t *testing.T) {
	revision := func(environment *v1alpha1.FlagEnvironment, number int64, enabled bool) *corev1.ConfigMap {
		part, err := datafile.NewPart("payments", &datafile.Flag{
			Type: datafile.Boolean, Enabled: enabled, DefaultVariation: "off",
			Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		contents := &datafile.Contents{}
		contents.Flags.Put(part)
		configMap := &corev1.ConfigMap{}
		configMap.Namespace, configMap.Name = environment.Namespace, environment.HistoryName(number)
		configMap.Data = map[string]string{datafile.FileName: string(contents.Encode(
			datafile.Header{Project: "shop", Environment: environment.Name, Revision: number},
		))}
		return configMap
	}
	old := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	old.Spec.Publish.Revision = new(int64(3))
	old.Status.PublishedRevision, old.Status.PinnedRevision = 8, 3
	for name, tc := range map[string]struct {
		brake  string
		served bool  // Whether the flag is on in revision 8.
		lost   int64 // The revision that the history does not hold.
		change func(*v1alpha1.FlagEnvironment)
		want   string
	}{
		"a brake that was lifted": {},
		"a brake that is there still": {
			brake: "production", want: "revision 8 is what the pinned revision 3 makes under the brakes",
		},
		"a brake of another environment":   {brake: "staging"},
		"no brake at all":                  {served: true, want: "nothing to serve anew"},
		"the pinned revision is gone":      {brake: "production", lost: 3},
		"the served revision is gone":      {brake: "production", lost: 8},
		"another revision is to be pinned": {brake: "production", change: func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Revision = new(int64(2)) }},
		"nothing is asked for anew": {brake: "production", change: func(e *v1alpha1.FlagEnvironment) {
			e.Annotations = nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("payments", "shop").Boolean().Annotation(v1alpha1.ForceDisabledAnnotation, tc.brake).Obj()
			stored := []client.Object{flag}
			for number, enabled := range map[int64]bool{3: true, 8: tc.served} {
				if number != tc.lost {
					stored = append(stored, revision(old, number, enabled))
				}
			}
			cluster := storing(t, stored...)
			rules := &flagEnvironments{objects{cached: cluster, live: cluster}}
			environment := old.DeepCopy()
			environment.Annotations = map[string]string{v1alpha1.PinAgainAnnotation: "8"}
			if tc.change != nil {
				tc.change(environment)
			}
			mistakes, err := rules.pinAgainMistakes(t.Context(), old, environment)
			if err != nil || (len(mistakes) > 0) != (tc.want != "") {
				t.Fatalf("the mistakes are %v (error %v), want %q", mistakes, err, tc.want)
			}
			if tc.want != "" && !strings.Contains(mistakes.ToAggregate().Error(), tc.want) {
				t.Errorf("it says %v, want %q", mistakes, tc.want)
			}
		})
	}
	rules := &flagEnvironments{}
	if mistakes, err := rules.pinAgainMistakes(t.Context(), nil, old); err != nil || len(mistakes) > 0 {
		t.Errorf("a backup cannot be restored: %v, %v", mistakes, err)
	}
}
