// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// servingState decides whether an environment serves the flag as its spec and annotations want, and why not.
func servingState(archived bool, environment *environment, now time.Time) v1alpha1.ServingState {
	spec, entry := environment.Spec.Publish.At(now), &environment.entry
	switch {
	case environment.missing:
		return v1alpha1.ServingStateNotFound
	case environment.IsElsewhere():
		return v1alpha1.ServingStateElsewhere
	case environment.known && entry.Outcome.Problem == compile.KeyTakenProblem:
		return v1alpha1.ServingStateKeyTaken
	case environment.known && entry.Outcome.Problem != compile.NoProblem:
		return v1alpha1.ServingStateLastGood
	case environment.known && !entry.Pending && (environment.facts.Revision > 0 || archived):
		return v1alpha1.ServingStateServed
	case environment.facts.BreakGlass:
		return v1alpha1.ServingStateBreakGlass
	case spec.Revision != nil:
		return v1alpha1.ServingStatePinned
	case spec.Suspend:
		return v1alpha1.ServingStateFrozen
	case environment.known && spec.Mode == v1alpha1.PublishModeManual:
		return v1alpha1.ServingStateAwaitingPublish
	default:
		return v1alpha1.ServingStatePending
	}
}

// stateIn sets what is wanted in an environment beside what it serves.
func (s *scope) stateIn(
	environment *environment,
	before []v1alpha1.EnvironmentState,
	isNew bool,
) v1alpha1.EnvironmentState {
	name := environment.Name
	state := v1alpha1.EnvironmentState{
		Name: name,
		Wanted: v1alpha1.WantedState{
			Enabled:       s.flag.EnabledIn(name) && !s.flag.Spec.Archived,
			ForceDisabled: s.flag.ForceDisabledIn(name),
			Configuration: s.wantedConfiguration(environment),
		},
		State: servingState(s.flag.Spec.Archived, environment, s.now),
	}
	if environment.unreported && !environment.missing && !environment.IsElsewhere() {
		// It serves what it did. A status without it would say after each start of the operator that it serves nothing.
		if i := slices.IndexFunc(before, func(was v1alpha1.EnvironmentState) bool { return was.Name == name }); i >= 0 {
			state.Served = before[i].Served.DeepCopy()
		}
	} else if served := environment.entry.Served; served != nil {
		state.Served = &v1alpha1.ServedState{
			Enabled:       served.Enabled,
			Configuration: compile.Configuration(served, s.now),
			Revision:      publishedRevision(environment, before, isNew),
		}
	}
	return state
}

// wantedConfiguration sums up what the flag would serve, and is empty where it does not compile.
func (s *scope) wantedConfiguration(environment *environment) v1alpha1.Configuration {
	form := environment.entry.Outcome.Form
	if !environment.known || environment.entry.Outcome.Problem != compile.NoProblem {
		if s.flag.Spec.Archived {
			return v1alpha1.ConfigurationOff
		}
		var err error
		if form, err = compile.Flag(s.flag, environment.Name); err != nil {
			return ""
		}
	}
	return compile.Configuration(form, s.now)
}

// stateWords are how the column ENVIRONMENTS names states.
var stateWords = map[v1alpha1.ServingState]string{
	v1alpha1.ServingStatePending:         "pending",
	v1alpha1.ServingStateAwaitingPublish: "awaiting publish",
	v1alpha1.ServingStateFrozen:          "frozen",
	v1alpha1.ServingStatePinned:          "pinned",
	v1alpha1.ServingStateBreakGlass:      "break glass",
	v1alpha1.ServingStateNotFound:        "not found",
	v1alpha1.ServingStateLastGood:        "last good",
	v1alpha1.ServingStateKeyTaken:        "key taken",
}

// summaryOf says what is served, and what is wanted where that differs: "production=on→off (frozen)".
func summaryOf(state *v1alpha1.EnvironmentState) string {
	if state.State == v1alpha1.ServingStateElsewhere {
		return state.Name + "=elsewhere"
	}
	served := "none"
	if state.Served != nil {
		served = strings.ToLower(string(state.Served.Configuration))
	}
	if state.State == v1alpha1.ServingStateServed {
		return state.Name + "=" + served
	}
	if wanted := strings.ToLower(string(state.Wanted.Configuration)); wanted != served && wanted != "" {
		served += "→" + wanted
	}
	return fmt.Sprintf("%s=%s (%s)", state.Name, served, stateWords[state.State])
}

// obstacles are the states in which a flag is not served as wanted, those that a person must act on first, with the
// reason of the condition Published and what to do.
var obstacles = []struct {
	state  v1alpha1.ServingState
	reason string
	advice string
}{
	{v1alpha1.ServingStateNotFound, v1alpha1.EnvironmentNotFoundReason, "no FlagEnvironment has that name"},
	{v1alpha1.ServingStateKeyTaken, v1alpha1.KeyTakenReason, ""},
	{v1alpha1.ServingStateLastGood, v1alpha1.LastGoodReason, ""},
	{
		v1alpha1.ServingStateBreakGlass,
		v1alpha1.BreakGlassReason,
		"its datafile was written while the operator was away; end that first",
	},
	{v1alpha1.ServingStatePinned, v1alpha1.PinnedReason, "a revision is pinned; remove spec.publish.revision"},
	{
		v1alpha1.ServingStateFrozen,
		v1alpha1.SuspendedReason,
		"publishing is suspended%s; set spec.publish.suspend to false",
	},
	{v1alpha1.ServingStateAwaitingPublish, v1alpha1.AwaitingPublishReason, "publishing is by hand; ask for a publish"},
	{v1alpha1.ServingStatePending, v1alpha1.PendingReason, "the operator is publishing it"},
}

// setPublished sets the condition Published, which is True where every environment that the flag names serves it as
// wanted, or is served by another cluster.
func setPublished(conditions status.Conditions, s *scope, states []v1alpha1.EnvironmentState) {
	named := s.flag.NamedEnvironments()
	var served, elsewhere, waiting []string
	reason := ""
	for _, obstacle := range obstacles {
		for i := range states {
			if state := &states[i]; state.State == obstacle.state && slices.Contains(named, state.Name) {
				reason = cmp.Or(reason, obstacle.reason)
				waiting = append(waiting, fmt.Sprintf("%s (%s)", state.Name, s.why(state, obstacle.advice)))
			}
		}
	}
	for i := range states {
		switch name := states[i].Name; {
		case !slices.Contains(named, name):
		case states[i].State == v1alpha1.ServingStateServed:
			served = append(served, name)
		case states[i].State == v1alpha1.ServingStateElsewhere:
			elsewhere = append(elsewhere, name)
		}
	}
	if len(waiting) > 0 {
		conditions.Set(v1alpha1.PublishedCondition, false, reason,
			fmt.Sprintf("generation %d is not served in %s", s.flag.Generation, strings.Join(waiting, ", ")))
		return
	}
	var messages []string
	switch {
	case len(served) > 0 && s.flag.Spec.Archived:
		messages = append(messages, "no longer served in "+strings.Join(served, ", "))
	case len(served) > 0:
		messages = append(messages, "served in "+strings.Join(served, ", "))
	}
	if len(elsewhere) > 0 {
		messages = append(messages, "another cluster serves "+strings.Join(elsewhere, ", "))
	}
	if len(messages) == 0 {
		messages = append(messages, "the flag names no environment")
	}
	conditions.Set(v1alpha1.PublishedCondition, true, v1alpha1.PublishedReason, strings.Join(messages, "; "))
}

// why says why an environment does not serve what is wanted, and what to do.
func (s *scope) why(state *v1alpha1.EnvironmentState, advice string) string {
	if state.State == v1alpha1.ServingStateNotFound {
		return advice + validation.DidYouMean(state.Name, s.existing())
	}
	for i := range s.environments {
		environment := &s.environments[i]
		switch {
		case environment.Name != state.Name:
		case state.State == v1alpha1.ServingStateFrozen:
			return fmt.Sprintf(advice, status.Suspension(&environment.Spec.Publish))
		case advice == "":
			return environment.entry.Outcome.Message
		}
	}
	return advice
}

// existing are the names of the environments that exist.
func (s *scope) existing() []string {
	var names []string
	for i := range s.environments {
		if !s.environments[i].missing {
			names = append(names, s.environments[i].Name)
		}
	}
	return names
}

// lacksRoom reports whether a change of the flag waits for room in the datafile.
func (e *environment) lacksRoom() bool {
	problem := e.entry.Outcome.Problem
	return e.known && !e.missing && !e.IsElsewhere() &&
		(problem == compile.NoRoomProblem || problem == compile.TooLargeProblem)
}

// forms are the forms of the flag whose schedules decide what a status says.
func (e *environment) forms() []*datafile.Flag {
	return []*datafile.Flag{e.entry.Outcome.Form, e.entry.Served}
}
