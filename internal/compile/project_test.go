// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// storedFlag is a flag as the API server has it.
func storedFlag(generation int64, environments ...string) *v1alpha1.FeatureFlag {
	builder := builders.MakeFlag("checkout", "shop").Boolean()
	for _, environment := range environments {
		builder = builder.Environment(environment)
	}
	flag := builder.Rule(builders.MakeRule("beta").Audiences("beta").Serve("on")).Defaulted().Obj()
	flag.UID, flag.Generation = "flag", generation
	return flag
}

func storedAudience(generation int64, members ...string) *v1alpha1.FlagAudience {
	stored := builders.MakeAudience("beta", "shop").Members(members...).Obj()
	stored.UID, stored.Generation = "audience", generation
	return stored
}

func TestEnvironmentsShareWhatIsTheSame(t *testing.T) {
	project := NewProject()
	flag, audience := storedFlag(1, "one"), storedAudience(1, "alice")
	flag.Spec.Environments = append(flag.Spec.Environments, *flag.Spec.Environments[0].DeepCopy())
	flag.Spec.Environments[1].Name = "two"
	var parts, members []*byte
	for _, name := range []string{"one", "two"} {
		environment := project.NewEnvironment(name, nil)
		environment.SetFlag(flag)
		environment.SetAudience(audience)
		environment.Compile()
		part, _ := environment.Contents().Flags.Get("checkout")
		parts = append(parts, unsafe.SliceData(part.JSON))
		part, _ = environment.Contents().Audiences.Get("beta")
		members = append(members, unsafe.SliceData(part.JSON))
	}
	if parts[0] == nil || parts[0] != parts[1] {
		t.Error("a flag that is the same in two environments is held twice")
	}
	if members[0] == nil || members[0] != members[1] {
		t.Error("an audience is held once for each environment")
	}
}

// Somebody who fills a namespace with large flags takes memory once, not once for each environment: the rules differ from
// one environment to the next, the variations do not.
func TestEnvironmentsShareVariationsWhereRulesDiffer(t *testing.T) {
	project, flag := NewProject(), storedFlag(1, "one", "two")
	payload := v1alpha1.JSON{Raw: []byte(`{"a":"` + strings.Repeat("x", 1000) + `"}`)}
	flag.Spec.Variations[0].Payload = &payload
	var digests, payloads []any
	for _, name := range []string{"one", "two"} {
		flag.In(name).Rules = []v1alpha1.Rule{{Name: "beta", Variation: "on", Conditions: []v1alpha1.Condition{
			{Attribute: "plan", Operator: v1alpha1.OperatorIn, Values: []string{name}},
		}}}
	}
	for _, name := range []string{"one", "two"} {
		environment := project.NewEnvironment(name, nil)
		environment.SetFlag(flag)
		environment.Compile()
		part, _ := environment.Contents().Flags.Get("checkout")
		form, _ := environment.Flag("checkout")
		digests = append(digests, part.Digest)
		payloads = append(payloads, unsafe.SliceData(form.Variations[0].Payload))
	}
	if digests[0] == digests[1] {
		t.Fatal("both environments have the same rules")
	}
	if payloads[0] != payloads[1] || payloads[0] != unsafe.SliceData(payload.Raw) {
		t.Error("a payload is held once for each environment, or beside that of the object")
	}
}

// After a start, what is published is read from ConfigMaps, and would take as much memory as what is compiled.
func TestWhatIsPublishedSharesWhatIsCompiled(t *testing.T) {
	before := NewEnvironment("one", nil)
	before.SetFlag(storedFlag(1, "one"))
	before.SetEvent(builders.MakeEvent("purchase", "shop").Obj())
	before.Compile()
	header := datafile.Header{Project: "shop", Environment: "one", Revision: 1}
	_, read, err := datafile.Decode(before.Contents().Encode(header))
	if err != nil {
		t.Fatal(err)
	}
	environment := NewEnvironment("one", read)
	environment.SetFlag(storedFlag(1, "one"))
	environment.Compile()
	shared := environment.SharePublished()
	if got, want := shared.Digest(), read.Digest(); got != want {
		t.Errorf("what is published is said to be other than it is: %s, want %s", got, want)
	}
	published, _ := shared.Flags.Get("checkout")
	compiled, _ := environment.Contents().Flags.Get("checkout")
	if published.JSON == nil || unsafe.SliceData(published.JSON) != unsafe.SliceData(compiled.JSON) {
		t.Error("a flag is held once as it is published and once as it is compiled")
	}
	if changes := environment.Compile(); changes.Contents || len(changes.Keys) > 0 {
		t.Errorf("sharing changes what is compiled: %v", changes)
	}
}

// What an environment compiles and may not publish, because its namespace would serve too much, must not stay.
func TestAProjectForgetsWhatNoEnvironmentHolds(t *testing.T) {
	project, flag := NewProject(), storedFlag(1, "one")
	environment := project.NewEnvironment("one", nil)
	environment.SetFlag(flag)
	held := func() int {
		runtime.GC()
		count := 0
		for _, form := range project.flags["checkout"].forms {
			if form.Value() != nil {
				count++
			}
		}
		return count
	}
	if got := held(); got != 1 {
		t.Errorf("%d forms are held of a flag that one environment has", got)
	}
	runtime.KeepAlive(environment)
	environment = nil
	if got := held(); got != 0 {
		t.Errorf("%d forms are held that no environment has any more", got)
	}
}

func TestEnvironmentsSeeTheGenerationThatTheyWereGiven(t *testing.T) {
	project := NewProject()
	one, two := project.NewEnvironment("production", nil), project.NewEnvironment("production", nil)
	for _, environment := range []*Environment{one, two} {
		environment.SetFlag(storedFlag(1, "production"))
		environment.SetAudience(storedAudience(1, "alice"))
		environment.Compile()
	}
	two.SetAudience(storedAudience(2, "bob"))
	two.Compile()
	for want, environment := range map[string]*Environment{"alice": one, "bob": two} {
		audience, ok := environment.Audience("beta")
		if !ok || audience.Members[0] != want {
			t.Errorf("an environment serves %v, want the audience of %s, which it was given", audience, want)
		}
	}
}

func TestOnlyAudiencesThatAreReferredToAreInTheDatafile(t *testing.T) {
	environment := NewEnvironment("production", nil)
	holds := func(step string, want bool) {
		t.Helper()
		environment.Compile()
		if _, is := environment.Contents().Audiences.Get("beta"); is != want {
			t.Errorf("%s, the datafile holds the audience: %t, want %t", step, is, want)
		}
		input := environment.audiences["beta"]
		if !want && input != nil && input.form != nil && step == "before a flag refers to it" {
			t.Errorf("%s, the audience is compiled", step)
		}
	}
	environment.SetAudience(storedAudience(1, "alice"))
	holds("before a flag refers to it", false)
	environment.SetFlag(storedFlag(1, "production"))
	holds("with a flag that refers to it", true)
	off := storedFlag(2, "production")
	off.Spec.Environments[0].Enabled = false
	environment.SetFlag(off)
	holds("with the flag off, whose rules are not served", false)
	environment.SetFlag(storedFlag(3, "production"))
	environment.SetAudience(storedAudience(2, "bob"))
	holds("with the flag on again", true)
	environment.RemoveFlag("checkout")
	holds("without the flag", false)
}

// A status that is written makes a cache hold the whole audience anew. Without the new one in its place, a namespace of
// large audiences that no flag names would take twice the memory.
func TestAProjectHoldsTheAudienceThatTheCacheHolds(t *testing.T) {
	project := NewProject()
	environment := project.NewEnvironment("production", nil)
	first, again, edited := storedAudience(1, "alice"), storedAudience(1, "alice"), storedAudience(2, "bob")
	environment.SetAudience(first)
	held := project.audiences["beta"]
	project.RefreshAudience(edited)
	if held.source.Load() != first {
		t.Error("an environment would see an edit that it was not given")
	}
	project.RefreshAudience(again)
	if held.source.Load() != again {
		t.Error("the object that the cache no longer has is held")
	}
	environment.SetFlag(storedFlag(1, "production"))
	environment.Compile()
	project.RefreshAudience(first)
	if held.source.Load() != nil {
		t.Error("the object is held although it is compiled")
	}
	if audience, ok := environment.Audience("beta"); !ok || audience.Members[0] != "alice" {
		t.Errorf("the environment serves %v", audience)
	}
}

// Environments are compiled by several workers at once. An audience that is broken for a moment would take a flag out of
// the file of another environment.
func TestEnvironmentsShareAudiencesAtOnce(t *testing.T) {
	flag := storedFlag(1, "production")
	for range 50 {
		project, audience := NewProject(), storedAudience(1, "alice")
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				environment := project.NewEnvironment("production", nil)
				environment.SetFlag(flag)
				environment.SetAudience(audience)
				environment.Compile()
				if _, ok := environment.Audience("beta"); !ok {
					t.Error("the audience is not served")
				}
			})
		}
		wait.Wait()
	}
}
