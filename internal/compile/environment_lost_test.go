// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

func TestALostAudience(t *testing.T) {
	published := flag("a").Rule(to("beta"))
	lose := func(t *testing.T) *tester {
		t.Helper()
		e := newTester(t)
		e.SetAudience(audience("beta", "alice"))
		e.set(published)
		e.publish()
		e.RemoveAudience("beta")
		e.Compile()
		return e
	}
	t.Run("keeps serving, with its flag", func(t *testing.T) {
		e := lose(t)
		e.serves("a", published)
		outcome := e.outcome("a", UnresolvedProblem)
		if !strings.Contains(outcome.Message, `"beta"`) {
			t.Errorf("the message does not name the audience: %s", outcome.Message)
		}
		if part, found := e.Contents().Audiences.Get("beta"); !found || !strings.Contains(string(part.JSON), "alice") {
			t.Errorf("the members of the lost audience lose the flag: %s", part.JSON)
		}
		definition, _ := e.Environment.Flagd().Get("a")
		if !strings.Contains(string(definition.JSON), "alice") {
			t.Errorf("the members of the lost audience lose the flag in the flagd file: %s", definition.JSON)
		}
	})
	t.Run("holds back changes of its flag", func(t *testing.T) {
		e := lose(t)
		e.set(flag("a").Rule(to("beta")).Fallthrough("on"))
		e.Compile()
		e.serves("a", published)
	})
	t.Run("survives further publishes", func(t *testing.T) {
		e := lose(t)
		e.publish()
		e.publish()
		e.Compile()
		e.serves("a", published)
		e.outcome("a", UnresolvedProblem)
		if _, found := e.Contents().Audiences.Get("beta"); !found {
			t.Error("the lost audience is not retained")
		}
	})
	t.Run("heals when it is back", func(t *testing.T) {
		e := lose(t)
		changed := flag("a").Rule(to("beta")).Fallthrough("on")
		e.set(changed)
		e.publish()
		e.SetAudience(audience("beta", "bob"))
		e.Compile()
		e.serves("a", changed)
		e.outcome("a", NoProblem)
		if part, _ := e.Contents().Audiences.Get("beta"); !strings.Contains(string(part.JSON), "bob") {
			t.Errorf("the audience that is back is not the one served: %s", part.JSON)
		}
	})
	t.Run("heals when it is no longer named", func(t *testing.T) {
		e := lose(t)
		e.publish()
		e.set(flag("a"))
		e.Compile()
		e.serves("a", flag("a"))
		e.outcome("a", NoProblem)
		if _, found := e.Contents().Audiences.Get("beta"); found {
			t.Error("an audience that is gone stays though nobody needs it")
		}
	})
	t.Run("does not hold back a kill switch", func(t *testing.T) {
		e := lose(t)
		e.set(flag("a").Rule(to("beta")).Disabled())
		e.Compile()
		e.serves("a", flag("a").Disabled())
		e.outcome("a", NoProblem)
	})
	t.Run("does not hold back a forced kill switch", func(t *testing.T) {
		e := lose(t)
		e.set(flag("a").Rule(to("beta")).Annotation(v1alpha1.ForceDisabledAnnotation, "production"))
		e.Compile()
		e.serves("a", flag("a").Disabled())
		e.outcome("a", NoProblem)
	})
	t.Run("does not hold back archiving", func(t *testing.T) {
		e := lose(t)
		e.set(flag("a").Rule(to("beta")).Archived())
		e.Compile()
		e.serves("a", nil)
		e.outcome("a", NoProblem)
	})
	t.Run("does not hold back another flag that names it anew", func(t *testing.T) {
		e := lose(t)
		e.set(flag("b").Rule(to("beta")))
		e.Compile()
		e.serves("b", flag("b").Rule(to("beta")))
		e.outcome("b", NoProblem)
	})
	t.Run("is not missed where nothing was published", func(t *testing.T) {
		e := lose(t)
		e.SetPublished(nil)
		e.Compile()
		e.serves("a", published)
		e.outcome("a", NoProblem)
		if _, found := e.Contents().Audiences.Get("beta"); found {
			t.Error("an audience of nowhere is served")
		}
	})
}

func TestAReferenceThatNeverLedAnywhereHoldsNothingBack(t *testing.T) {
	e := newTester(t)
	e.set(flag("a").Rule(to("beta")).Prerequisite("b", "on"))
	e.publish()
	changed := flag("a").Rule(to("beta")).Prerequisite("b", "on").Fallthrough("on")
	e.set(changed)
	e.Compile()
	e.serves("a", changed)
	e.outcome("a", NoProblem)
}

func TestALostPrerequisite(t *testing.T) {
	required, requiring := flag("b").Fallthrough("on"), flag("a").Prerequisite("b", "on")
	losses := map[string]func(e *tester){
		"deleted":  func(e *tester) { e.RemoveFlag("b") },
		"archived": func(e *tester) { e.set(flag("b").Fallthrough("on").Archived()) },
	}
	for name, lose := range losses {
		lost := func(t *testing.T) *tester {
			t.Helper()
			e := newTester(t)
			e.set(required, requiring)
			e.publish()
			lose(e)
			e.Compile()
			return e
		}
		t.Run(name, func(t *testing.T) {
			e := lost(t)
			for range 2 { // Publishing must not change anything.
				e.serves("a", requiring)
				e.outcome("a", UnresolvedProblem)
				e.retains("b", true)
				definition, _ := e.Flagd().Get("a")
				if strings.Contains(string(definition.JSON), "targeting") ||
					!strings.Contains(string(definition.JSON), `"defaultVariant":"off"`) {
					t.Errorf("the flagd file has changed: %s", definition.JSON)
				}
				summary := e.Summary()
				if summary.Total != 1 || summary.Absent != 0 || summary.FlagdMissing != 0 {
					t.Errorf("a flag that is gone is counted: %+v", summary)
				}
				e.publish()
			}
			if outcome, found := e.Outcome("b"); found && outcome.Form != nil {
				t.Error("the status of an archived flag says that it is served")
			}
		})
		t.Run(name+" and back", func(t *testing.T) {
			e := lost(t)
			e.publish()
			e.set(flag("b"))
			e.Compile()
			e.serves("a", requiring)
			e.serves("b", flag("b"))
			e.outcome("a", NoProblem)
		})
		t.Run(name+" and back but wrong", func(t *testing.T) {
			e := lost(t)
			e.publish()
			e.set(invalid("b"))
			e.Compile()
			e.retains("b", true) // A mistake in b must not change what is served for a.
			e.serves("a", requiring)
			if outcome := e.outcome("b", InvalidProblem); outcome.Form != nil {
				t.Error("a flag that is retained for others is shown as served")
			}
			if summary := e.Summary(); summary.Total != 2 || summary.Absent != 1 {
				t.Errorf("the environment counts %d flags, %d of them absent; want 2 and 1", summary.Total, summary.Absent)
			}
			e.RemoveFlag("a")
			e.RemoveFlag("b")
			e.Compile()
			e.retains("b", false)
		})
		t.Run(name+" and no longer required", func(t *testing.T) {
			e := lost(t)
			e.publish()
			e.set(flag("a"))
			e.Compile()
			e.serves("a", flag("a"))
			e.serves("b", nil)
		})
		t.Run(name+" and the other one too", func(t *testing.T) {
			e := lost(t)
			e.publish()
			e.RemoveFlag("a")
			e.Compile()
			e.serves("a", nil)
			e.serves("b", nil)
		})
	}
}

func TestALostChainIsRetainedAsAWhole(t *testing.T) {
	e := newTester(t)
	e.SetAudience(audience("beta", "alice"))
	e.set(flag("a").Prerequisite("b", "on"), flag("b").Prerequisite("c", "on"), flag("c").Rule(to("beta")))
	e.publish()
	e.RemoveFlag("b")
	e.RemoveFlag("c")
	e.RemoveAudience("beta")
	e.publish()
	e.retains("b", true)
	e.retains("c", true)
	if _, found := e.Contents().Audiences.Get("beta"); !found {
		t.Error("the audience of a retained flag is gone")
	}
	e.set(flag("a"))
	e.Compile()
	e.serves("b", nil)
	e.serves("c", nil)
	if _, found := e.Contents().Audiences.Get("beta"); found {
		t.Error("an audience that is gone stays though nobody needs it")
	}
}
