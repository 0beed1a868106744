// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// servedFile answers for the API server that there is a served ConfigMap, or none.
type servedFile struct {
	client.Reader

	file *corev1.ConfigMap
	gets int
}

func (r *servedFile) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	configMap, is := into.(*corev1.ConfigMap)
	if r.gets++; !is || r.file == nil || r.file.Name != key.Name || r.file.Namespace != key.Namespace {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
	}
	r.file.DeepCopyInto(configMap)
	return nil
}

// Under a freeze, whoever takes back an edit that was never served reads that it moves everybody, and a brake that takes a
// flag from everybody reads as nothing, unless what is served is what they are compared with.
func TestAChangeThatWaitsIsComparedWithWhatIsServed(t *testing.T) {
	const everybodyOn, everybodyOff = "100 % of subjects move from off to on", "100 % of subjects move from on to off"
	const on, off, braked = "on", "off", "braked"
	flagThatIs := func(state string) *v1alpha1.FeatureFlag {
		flag := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Defaulted().Obj()
		flag.Spec.Environments[0].DefaultVariation = "on"
		flag.Spec.Environments[0].Enabled = state != off
		if state == braked {
			flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "production"}
		}
		return flag
	}
	freeze := func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Suspend = true }
	for name, tc := range map[string]struct {
		change              func(*v1alpha1.FlagEnvironment)
		served, before, now string
		want                []string
	}{
		"automatic":                  {func(*v1alpha1.FlagEnvironment) {}, on, off, on, []string{"the flag is switched on", everybodyOn}},
		"off and back":               {freeze, on, off, on, []string{servedStays}},
		"off":                        {freeze, on, on, off, []string{"the flag is switched off", everybodyOff}},
		"off again":                  {freeze, on, off, off, nil},
		"a brake over a waiting off": {freeze, on, off, braked, []string{"the flag is switched off", everybodyOff}},
		"a brake of what is off":     {freeze, off, on, braked, nil},
		"the end of a brake":         {freeze, off, braked, on, []string{"the flag is switched on", everybodyOn}},
		"a pin": {
			func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Revision = new(int64(3)) }, on, off, on, []string{servedStays},
		},
		"on request": {
			func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Mode = v1alpha1.PublishModeManual }, on, off, on,
			[]string{servedStays},
		},
		"break glass": {
			func(e *v1alpha1.FlagEnvironment) { e.Status.State = v1alpha1.PublishStateBreakGlass }, on, off, on,
			[]string{servedStays},
		},
		"elsewhere": {
			func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Mode = v1alpha1.PublishModeNone }, on, off, on,
			[]string{"the flag is switched on", everybodyOn},
		},
		"nothing is served": {freeze, "", off, on, []string{"the flag is switched on", everybodyOn}},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
			tc.change(environment)
			live := &servedFile{}
			if tc.served != "" {
				live.file = fileOf(t, environment, flagThatIs(tc.served), nil)
			}
			c := &comparer{
				objects:   &objects{live: live, cached: live, clock: clocktesting.NewFakePassiveClock(time.Now())},
				namespace: "shop", work: maxRulesCompared, reads: 1,
			}
			got, err := c.compareServed(
				t.Context(), environment, flagThatIs(tc.before), flagThatIs(tc.now), tc.now == braked,
			)
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("admission says %q (%v), want %q", got, err, tc.want)
			}
			c.served(t.Context(), environment, "checkout")
			if c.served(t.Context(), environment, "checkout"); live.gets > 1 {
				t.Errorf("%d datafiles are read, want at most 1", live.gets)
			}
		})
	}
}

// An audience is edited under a freeze, and edited back, or a flag that waits begins to use it: what the warning says of
// who moves must hold for the day on which it is published.
func TestAnAudienceThatWaitsIsComparedWithWhatIsServed(t *testing.T) {
	flagThatIs := func(on bool) *v1alpha1.FeatureFlag {
		flag := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Defaulted().Obj()
		flag.Spec.Environments[0] = v1alpha1.EnvironmentConfig{
			Name: "production", Enabled: on, DefaultVariation: "off",
			Rules: []v1alpha1.Rule{{Name: "staff", Audiences: []string{"staff"}, Variation: "on"}},
		}
		return flag
	}
	audience := func(members ...string) *datafile.Audience { return &datafile.Audience{Members: members} }
	frozen, automatic := true, false
	const (
		joins   = `of subjects that newly match rule "staff" 100 % move from off to on`
		matches = `of subjects that match rule "staff" 100 % move from off to on`
	)
	for name, tc := range map[string]struct {
		isFrozen            bool
		servedOn, storedOn  bool
		served, before, now *datafile.Audience
		want                []string
	}{
		"published at once":         {automatic, true, true, audience("a", "b"), audience("a"), audience("a", "b"), []string{joins}},
		"taken out and put back":    {frozen, true, true, audience("a", "b"), audience("a"), audience("a", "b"), []string{servedStays}},
		"put in":                    {frozen, true, true, audience("a"), audience("a"), audience("a", "b"), []string{joins}},
		"put in, a second one":      {frozen, true, true, audience("a"), audience("a", "b"), audience("a", "b", "c"), []string{joins}},
		"the audience is not there": {frozen, true, true, nil, audience(), audience("a"), []string{matches}},
		"the flag waits to go on":   {frozen, false, true, audience("a"), audience("a"), audience("b"), []string{"the flag is switched on", matches}},
		"the flag waits to go off":  {frozen, true, false, audience("a"), audience("a"), audience("a", "b"), nil},
		"nothing of it changes":     {frozen, true, true, audience("a"), audience("a"), audience("a"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
			environment.Spec.Publish.Suspend = tc.isFrozen
			live := &servedFile{file: fileOf(t, environment, flagThatIs(tc.servedOn), tc.served)}
			c := &comparer{
				objects:   &objects{live: live, cached: live, clock: clocktesting.NewFakePassiveClock(time.Now())},
				namespace: "shop", work: maxRulesCompared, reads: 1,
			}
			for range 2 { // As if two flags named it: the datafile is read once.
				got, err := c.compareAudience(t.Context(), environment, flagThatIs(tc.storedOn), tc.before, tc.now, "staff")
				if err != nil || !slices.Equal(got, tc.want) {
					t.Errorf("admission says %q (%v), want %q", got, err, tc.want)
				}
			}
		})
	}
}

// fileOf is the ConfigMap by which an environment serves a flag, and an audience "staff" where there is one.
func fileOf(
	t *testing.T,
	environment *v1alpha1.FlagEnvironment,
	flag *v1alpha1.FeatureFlag,
	staff *datafile.Audience,
) *corev1.ConfigMap {
	t.Helper()
	form, err := compile.Flag(flag, environment.Name)
	if err != nil {
		t.Fatal(err)
	}
	part, err := datafile.NewPart(flag.Key(), form)
	if err != nil {
		t.Fatal(err)
	}
	contents := &datafile.Contents{}
	contents.Flags.Put(part)
	if staff != nil {
		if part, err = datafile.NewPart("staff", staff); err != nil {
			t.Fatal(err)
		}
		contents.Audiences.Put(part)
	}
	configMap := &corev1.ConfigMap{Data: map[string]string{
		"datafile.json": string(contents.Encode(datafile.Header{SchemaVersion: datafile.SchemaVersion, Revision: 1})),
	}}
	configMap.Namespace, configMap.Name = environment.Namespace, environment.DatafileName()
	return configMap
}
