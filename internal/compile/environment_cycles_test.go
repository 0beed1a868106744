// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func TestACycleIsolatesItsMembersAndHeals(t *testing.T) {
	e := newTester(t)
	chain := []*builders.FlagBuilder{
		flag("a").Prerequisite("b", "on"),
		flag("b").Prerequisite("c", "on"),
		flag("c"),
		flag("d").Prerequisite("a", "on"),
	}
	e.set(chain...)
	e.publish()

	// Only c changes; a is two references away from it.
	e.set(flag("c").Prerequisite("a", "on").Fallthrough("on"), flag("other").Fallthrough("on"))
	e.Compile()
	for _, name := range []string{"a", "b", "c"} {
		outcome := e.outcome(name, CycleProblem)
		if !strings.Contains(outcome.Message, "a, b, c") {
			t.Errorf("the message does not name the members: %s", outcome.Message)
		}
	}
	e.serves("c", flag("c"))
	e.serves("other", flag("other").Fallthrough("on"))
	e.outcome("d", NoProblem) // It requires a member and is none.
	e.lastGood("a", "b", "c")

	e.set(flag("b").Fallthrough("on"))
	e.Compile()
	e.serves("a", chain[0])
	e.serves("b", flag("b").Fallthrough("on"))
	e.serves("c", flag("c").Prerequisite("a", "on").Fallthrough("on"))
	e.lastGood()
}

func TestAFlagThatRequiresItselfIsACycle(t *testing.T) {
	e := newTester(t)
	e.set(flag("a").Prerequisite("a", "on"), flag("b"))
	e.Compile()
	e.outcome("a", CycleProblem)
	e.serves("a", nil)
	e.serves("b", flag("b"))
}

func TestACycleOfDisabledFlagsIsNone(t *testing.T) {
	e := newTester(t)
	e.set(flag("a").Prerequisite("b", "on"), flag("b").Prerequisite("a", "on").Disabled())
	e.Compile()
	e.outcome("a", NoProblem)
	e.outcome("b", NoProblem)
}

func TestALongCycleNamesTenMembers(t *testing.T) {
	e := newTester(t)
	for i := range 12 {
		e.set(flag(fmt.Sprintf("f%02d", i)).Prerequisite(fmt.Sprintf("f%02d", (i+1)%12), "on"))
	}
	e.Compile()
	outcome := e.outcome("f11", CycleProblem)
	if !strings.HasSuffix(outcome.Message, "f08, f09, …") {
		t.Errorf("the message is not bounded: %s", outcome.Message)
	}
}

func TestACurrentAndALastGoodFormDoNotMakeACycle(t *testing.T) {
	// Published: b requires c. Now: c requires d, d requires b, and b, mended not to require c, makes another mistake.
	e := newTester(t)
	e.set(flag("b").Prerequisite("c", "on"), flag("c"), flag("d"))
	e.publish()
	e.set(flag("b"), flag("c").Prerequisite("d", "on"), flag("d").Prerequisite("b", "on"))
	e.Compile()
	e.lastGood()
	e.set(invalid("b"))
	e.Compile()
	e.serves("b", flag("b").Prerequisite("c", "on"))
	e.serves("c", flag("c"))
	e.serves("d", flag("d"))
	e.outcome("b", InvalidProblem)
	e.outcome("c", CycleProblem)
	e.outcome("d", CycleProblem)

	e.set(flag("b"))
	e.Compile()
	e.serves("c", flag("c").Prerequisite("d", "on"))
	e.serves("d", flag("d").Prerequisite("b", "on"))
	e.lastGood()
}

func TestARetainedFlagDoesNotMakeACycle(t *testing.T) {
	// Published: a requires b, b requires c. Then b goes, so that it is retained for a, and c begins to require a.
	e := newTester(t)
	e.set(flag("a").Prerequisite("b", "on"), flag("b").Prerequisite("c", "on"), flag("c"))
	e.publish()
	e.RemoveFlag("b")
	e.set(flag("c").Prerequisite("a", "on"))
	for range 2 {
		e.Compile()
		e.serves("a", flag("a").Prerequisite("b", "on"))
		e.retains("b", true)
		e.serves("c", flag("c"))
		e.outcome("c", CycleProblem)
		e.publish()
	}
}

func TestAPublishedCycleIsDropped(t *testing.T) {
	// This package never publishes one, but a reader would refuse the whole document.
	published := &datafile.Contents{}
	for key, builder := range map[string]*builders.FlagBuilder{"a": flag("a").Prerequisite("b", "on"), "b": flag("b").Prerequisite("a", "on"), "c": flag("c")} {
		form, err := Flag(builder.Obj(), "production")
		if err != nil {
			t.Fatal(err)
		}
		part, err := datafile.NewPart(key, form)
		if err != nil {
			t.Fatal(err)
		}
		published.Flags.Put(part)
	}
	e := &tester{t, NewEnvironment("production", published)}
	e.set(invalid("a"), invalid("b"), invalid("c"))
	e.Compile()
	e.serves("a", nil)
	e.serves("b", nil)
	e.serves("c", flag("c"))
	if summary := e.Summary(); summary.Total != 3 || summary.Absent != 2 {
		t.Errorf("the environment counts %d flags, %d of them absent; want 3 and 2", summary.Total, summary.Absent)
	}
}
