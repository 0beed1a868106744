// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// flag begins a Boolean flag that is enabled in production.
func flag(name string) *builders.FlagBuilder {
	return builders.MakeFlag(name, "shop").Boolean().Environment("production")
}

func invalid(name string) *builders.FlagBuilder { return flag(name).DefaultVariation("gone") }

func audience(name string, members ...string) *v1alpha1.FlagAudience {
	return builders.MakeAudience(name, "shop").Members(members...).Obj()
}

func to(audiences ...string) *builders.RuleBuilder {
	return builders.MakeRule("rule").Audiences(audiences...).Serve("on")
}

// tester drives one environment.
type tester struct {
	*testing.T
	*Environment
}

func newTester(t *testing.T) *tester {
	t.Helper()
	return &tester{t, NewEnvironment("production", nil)}
}

func (t *tester) set(flags ...*builders.FlagBuilder) {
	for _, builder := range flags {
		t.SetFlag(builder.Obj())
	}
}

func (t *tester) publish() {
	t.Compile()
	t.SetPublished(t.Contents().Clone())
}

// serves checks which part the contents hold for a key: that of want, or none where want is nil.
func (t *tester) serves(key string, want *builders.FlagBuilder) {
	t.Helper()
	part, found := t.Contents().Flags.Get(key)
	if want == nil {
		if found {
			t.Errorf("%q is still served: %s", key, part.JSON)
		}
		return
	}
	form, err := Flag(want.Obj(), "production")
	if err != nil {
		t.Fatalf("the test's own flag is wrong: %v", err)
	}
	wantPart, err := datafile.NewPart(key, form)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(wantPart.JSON), string(part.JSON)); diff != "" {
		t.Errorf("%q is not served as it should be (-want +got):\n%s", key, diff)
	}
}

// retains checks whether the contents hold a key only for others.
func (t *tester) retains(key string, want bool) {
	t.Helper()
	part, _ := t.Contents().Flags.Get(key)
	if got := strings.Contains(string(part.JSON), `"retained":true`); got != want {
		t.Errorf("%q is retained: %t, want %t; its part is %s", key, got, want, part.JSON)
	}
	if _, found := t.Flagd().Get(key); want && found {
		t.Errorf("the flagd file serves %q, which is gone", key)
	}
}

// outcome checks the problem of the flag of that name, and that there is a message where there is a problem.
func (t *tester) outcome(name string, want Problem) Outcome {
	t.Helper()
	outcome, found := t.Outcome(name)
	if !found {
		t.Fatalf("there is no outcome for %q", name)
	}
	if outcome.Problem != want || (outcome.Message != "") != (want != NoProblem) {
		t.Errorf("the status of %q says %q (%s), want %q", name, outcome.Problem, outcome.Message, want)
	}
	return outcome
}

func (t *tester) lastGood(want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, t.Summary().LastGood); diff != "" {
		t.Errorf("the environment does not name the flags that kept their last good form (-want +got):\n%s", diff)
	}
}

func TestAnInvalidFlagKeepsItsLastGoodForm(t *testing.T) {
	e := newTester(t)
	good := flag("a").Override("alice", "on")
	e.set(good, flag("b"))
	e.publish()

	e.set(invalid("a"), flag("b").Fallthrough("on"))
	e.Compile()
	e.serves("a", good)
	e.serves("b", flag("b").Fallthrough("on"))
	outcome := e.outcome("a", InvalidProblem)
	if !strings.Contains(outcome.Message, "spec.defaultVariation") {
		t.Errorf("the message does not say which field is wrong: %s", outcome.Message)
	}
	e.lastGood("a")
	if e.Summary().Absent != 0 {
		t.Error("a flag that is served counts as absent")
	}

	mended := flag("a").Fallthrough("on")
	e.set(mended)
	e.Compile()
	e.serves("a", mended)
	e.outcome("a", NoProblem)
	e.lastGood()
}

func TestAnInvalidFlagThatWasNeverPublishedIsAbsent(t *testing.T) {
	e := newTester(t)
	e.set(invalid("a"), flag("b"))
	e.Compile()
	e.serves("a", nil)
	if outcome := e.outcome("a", InvalidProblem); outcome.Form != nil {
		t.Error("the status says that something is served")
	}
	summary := e.Summary()
	if summary.Total != 2 || summary.Absent != 1 {
		t.Errorf("the environment counts %d flags, %d of them absent; want 2 and 1", summary.Total, summary.Absent)
	}
}

func TestAnInvalidFlagThatIsRemovedIsGone(t *testing.T) {
	e := newTester(t)
	e.set(flag("a"))
	e.publish()
	e.set(invalid("a"))
	e.Compile()
	e.RemoveFlag("a")
	e.Compile()
	e.serves("a", nil)
	e.lastGood()
}

func TestALastGoodFormComesFromWhatIsPublishedNow(t *testing.T) {
	e := newTester(t)
	e.set(flag("a"))
	e.publish()
	first := e.Contents().Clone()
	e.set(flag("a").Fallthrough("on"))
	e.publish()
	e.set(invalid("a"))
	e.Compile()
	e.serves("a", flag("a").Fallthrough("on"))
	e.SetPublished(first) // Somebody rolls back.
	e.Compile()
	e.serves("a", flag("a"))
}

func TestTheOldestFlagHoldsItsKey(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	old := flag("old").Key("key").Created(now, "b")
	twin := flag("twin").Key("key").Created(now, "c").Fallthrough("on")
	young := flag("young").Key("key").Created(now.Add(time.Second), "a")
	e := newTester(t)
	e.set(young, twin, old)
	e.Compile()
	e.serves("key", old)
	e.outcome("old", NoProblem)
	for _, name := range []string{"twin", "young"} {
		outcome := e.outcome(name, KeyTakenProblem)
		if outcome.Form != nil || !strings.Contains(outcome.Message, `"old"`) {
			t.Errorf("the status of %q does not say who holds the key: %+v", name, outcome)
		}
	}
	if diff := cmp.Diff([]string{"old", "twin", "young"}, e.FlagNames("key")); diff != "" {
		t.Errorf("the flags of the key are not named by precedence (-want +got):\n%s", diff)
	}
	if e.Summary().Total != 1 {
		t.Errorf("%d flags are counted for one key", e.Summary().Total)
	}

	e.RemoveFlag("old")
	changes := e.Compile()
	if diff := cmp.Diff([]string{"key"}, changes.Keys); diff != "" {
		t.Errorf("nobody would look at the flag that takes the key over (-want +got):\n%s", diff)
	}
	e.serves("key", twin)
	e.outcome("twin", NoProblem)
	e.outcome("young", KeyTakenProblem)

	// One that holds its key and is wrong keeps it: nothing published is replaced by somebody else's flag.
	e.publish()
	e.set(invalid("twin").Key("key").Created(now, "c"))
	e.Compile()
	e.serves("key", twin)
	e.outcome("twin", InvalidProblem)

	e.RemoveFlag("twin")
	e.RemoveFlag("young")
	e.Compile()
	e.serves("key", nil)
	if names := e.FlagNames("key"); names != nil {
		t.Errorf("the key still has flags: %v", names)
	}
}

func TestAFlagMayChangeItsKey(t *testing.T) {
	// The key is immutable, but a flag may be deleted and created again between two looks at it.
	e := newTester(t)
	e.set(flag("a").Key("before"))
	e.Compile()
	e.set(flag("a").Key("after"))
	changes := e.Compile()
	e.serves("before", nil)
	e.serves("after", flag("a").Key("after"))
	if diff := cmp.Diff([]string{"after", "before"}, changes.Keys); diff != "" {
		t.Errorf("Compile does not name both keys (-want +got):\n%s", diff)
	}
}

func TestAnAudienceChangesTheFlagdDefinitionsOfItsFlags(t *testing.T) {
	e := newTester(t)
	e.SetAudience(audience("beta", "alice"))
	e.set(
		flag("direct").Rule(to("beta")),
		flag("requiring").Prerequisite("direct", "on").Fallthrough("on"),
		flag("other").Override("bob", "on"),
	)
	e.Compile()
	native, flagd := e.Contents().Flags.Clone(), e.Flagd().Clone()

	e.SetAudience(audience("beta", "alice", "bob"))
	if !e.Compile().Contents {
		t.Error("an audience's new member is not published")
	}
	for _, key := range []string{"direct", "requiring", "other"} {
		before, _ := native.Get(key)
		after, _ := e.Contents().Flags.Get(key)
		if before.Digest != after.Digest {
			t.Errorf("the native part of %q changes with an audience", key)
		}
		definition, _ := flagd.Get(key)
		changed, _ := e.Flagd().Get(key)
		if got, want := definition.Digest != changed.Digest, key != "other"; got != want {
			t.Errorf("the flagd definition of %q changed: %t, want %t", key, got, want)
		}
	}
}

func TestAPrerequisiteChangesTheFlagdDefinitionsOfItsFlags(t *testing.T) {
	e := newTester(t)
	e.set(
		flag("a").Prerequisite("b", "on").Fallthrough("on"),
		flag("b").Prerequisite("c", "on").Fallthrough("on"),
		flag("c").Fallthrough("on"),
	)
	e.Compile()
	e.set(flag("c").Override("alice", "on"))
	e.Compile()
	for _, key := range []string{"a", "b"} {
		if definition, _ := e.Flagd().Get(key); !strings.Contains(string(definition.JSON), "alice") {
			t.Errorf("the flagd definition of %q does not follow its prerequisite: %s", key, definition.JSON)
		}
	}
	e.set(flag("c").Rule(builders.MakeRule("ip").Condition("ip", v1alpha1.OperatorInCIDR, "10.0.0.0/8").Serve("on")))
	e.Compile()
	if e.Flagd().Len() != 0 || e.Summary().FlagdMissing != 3 {
		t.Errorf("what flagd cannot say is in its file: %s", e.Flagd().AppendJSON(nil))
	}
	if outcome := e.outcome("a", NoProblem); outcome.FlagdError == nil {
		t.Error("the status does not say that the flagd file leaves the flag out")
	}
	e.set(flag("c"))
	e.Compile()
	if e.Flagd().Len() != 3 || e.outcome("a", NoProblem).FlagdError != nil {
		t.Error("the flagd file does not take flags back that it can say again")
	}
}

func TestABrokenAudienceKeepsItsLastGoodForm(t *testing.T) {
	e := newTester(t)
	e.SetAudience(audience("beta", "alice"))
	e.set(flag("a").Rule(to("beta")))
	e.publish()
	e.SetAudience(builders.MakeAudience("beta", "shop").Group().Obj())
	e.SetAudience(builders.MakeAudience("new", "shop").Group().Obj())
	e.Compile()
	if part, _ := e.Contents().Audiences.Get("beta"); !strings.Contains(string(part.JSON), "alice") {
		t.Errorf("a mistake in an audience changes what is served: %s", part.JSON)
	}
	if diff := cmp.Diff([]string{"beta", "new"}, e.Summary().BrokenAudiences); diff != "" {
		t.Errorf("broken audiences are not named (-want +got):\n%s", diff)
	}
	e.outcome("a", NoProblem)
}

func TestEvents(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	event := func(name string, age int) *builders.EventBuilder {
		return builders.MakeEvent(name, "shop").Key("purchase").Created(now.Add(time.Duration(age)*time.Second), name)
	}
	e := newTester(t)
	serves := func(want string) {
		t.Helper()
		e.Compile()
		if part, _ := e.Contents().Events.Get("purchase"); string(part.JSON) != want {
			t.Errorf("the event is %s, want %s", part.JSON, want)
		}
	}
	e.SetEvent(event("young", 1).Numeric("EUR").Obj())
	serves(`{"type":"Numeric","unit":"EUR"}`)
	e.SetEvent(event("old", 0).Obj())
	serves(`{"type":"Conversion"}`)
	e.publish()
	broken := event("old", 0).Obj()
	broken.Spec.Type = "Other"
	e.SetEvent(broken)
	serves(`{"type":"Conversion"}`)
	if diff := cmp.Diff([]string{"old"}, e.Summary().BrokenEvents); diff != "" {
		t.Errorf("broken events are not named (-want +got):\n%s", diff)
	}
	e.RemoveEvent("old")
	serves(`{"type":"Numeric","unit":"EUR"}`)
	e.RemoveEvent("young")
	serves("")
	if len(e.Summary().BrokenEvents) != 0 {
		t.Error("an event that is gone is still broken")
	}
}

func TestRemovingEverythingLeavesNothing(t *testing.T) {
	e := newTester(t)
	e.SetAudience(audience("beta", "alice"))
	e.SetEvent(builders.MakeEvent("purchase", "shop").Obj())
	e.set(
		flag("a").Rule(to("beta")).Prerequisite("b", "on"),
		flag("b"),
		invalid("c"),
		flag("d").Archived(),
		flag("e").Prerequisite("e", "on"),
	)
	e.publish()
	for _, name := range []string{"a", "b", "c", "d", "e", "never"} {
		e.RemoveFlag(name)
	}
	e.RemoveAudience("beta")
	e.RemoveAudience("never")
	e.RemoveEvent("purchase")
	e.RemoveEvent("never")
	e.Compile()
	if got, want := string(
		e.Contents().Encode(datafile.Header{}),
	), string(
		(&datafile.Contents{}).Encode(datafile.Header{}),
	); got != want {
		t.Errorf("something is left: %s", got)
	}
	if e.Flagd().Len() != 0 {
		t.Errorf("something is left for flagd: %s", e.Flagd().AppendJSON(nil))
	}
	if diff := cmp.Diff(Summary{}, e.Summary()); diff != "" {
		t.Errorf("something is still counted (-want +got):\n%s", diff)
	}
	for what, left := range map[string]int{
		"entries": len(e.entries), "flags": len(e.flags), "events": len(e.events) + len(e.eventKeys), "audiences": len(e.audiences),
		"referrers": len(e.referrers), "sets": len(e.unsettled) + len(e.dangling) + len(e.brokenAudiences) + len(e.brokenEvents) +
			len(e.retainedFlags) + len(e.retainedAudiences) + len(e.dirtyFlags) + len(e.dirtyAudiences) + len(e.dirtyEvents),
	} {
		if left != 0 {
			t.Errorf("an operator that runs for years keeps %d %s of what is gone", left, what)
		}
	}
}

func TestNothingChangesWhereNothingWasSet(t *testing.T) {
	e := newTester(t)
	e.SetAudience(audience("beta", "alice"))
	e.set(flag("a").Rule(to("beta", "gone")), invalid("b"), flag("c").Prerequisite("c", "on"))
	if changes := e.Compile(); !changes.Contents {
		t.Error("the first flags are not published")
	}
	for range 2 {
		if diff := cmp.Diff(Changes{}, e.Compile()); diff != "" {
			t.Errorf("something changes though nothing was set (-want +got):\n%s", diff)
		}
		e.SetPublished(e.Contents().Clone())
	}
	e.set(flag("a").Rule(to("beta", "gone"))) // A resync sets the same again.
	if changes := e.Compile(); changes.Contents {
		t.Error("a revision is published in which nothing changed")
	}
}

// TestAnEditTouchesNothingElse counts what is made anew by the identity of its bytes, not by time.
func TestAnEditTouchesNothingElse(t *testing.T) {
	e := newTester(t)
	const n = 200
	e.SetAudience(audience("beta", "alice"))
	for i := range n {
		builder := flag(fmt.Sprintf("f%03d", i)).Rule(to("beta"))
		if i%10 == 1 {
			builder.Prerequisite(fmt.Sprintf("f%03d", i-1), "on")
		}
		e.set(builder)
	}
	e.publish()
	identities := func() map[string][2]*byte {
		found := map[string][2]*byte{}
		for part := range e.Contents().Flags.All() {
			definition, _ := e.Flagd().Get(part.Key)
			found[part.Key] = [2]*byte{&part.JSON[0], &definition.JSON[0]}
		}
		return found
	}
	before := identities()
	e.set(flag("f100").Fallthrough("on"))
	changes := e.Compile()
	if diff := cmp.Diff([]string{"f100"}, changes.Keys); diff != "" {
		t.Errorf("an edit of one flag reports others (-want +got):\n%s", diff)
	}
	for key, now := range identities() {
		edited, requiring := key == "f100", key == "f101"
		if (now[0] != before[key][0]) != edited {
			t.Errorf("the native part of %q was made anew: %t", key, now[0] != before[key][0])
		}
		if (now[1] != before[key][1]) != (edited || requiring) {
			t.Errorf("the flagd definition of %q was made anew: %t", key, now[1] != before[key][1])
		}
	}
}
