// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"fmt"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// roomPause is how long the changes of a production that is nearly full are gathered before room is made for them.
const roomPause = 500 * time.Millisecond

// room is what is remembered of the room in the datafile. To make room encodes the whole datafile several times, so that
// it waits until something needs it: a publish, or a person who looks at the status. A brake needs none.
type room struct {
	// isDue is true where something changed since room was made last.
	isDue bool
	// since is when the pause began, and zero where there is none.
	since time.Time
	// spec is that of the environment when room was found to be due last.
	spec roomSpec
}

// roomSpec is what the room in a datafile depends on beside its contents.
type roomSpec struct {
	formats                string
	compression            v1alpha1.Compression
	isProduction, isStaged bool
}

// wait is how long the pause still lasts, and 0 where room is not due, or overdue.
func (r *room) wait(now time.Time) time.Duration {
	if elapsed := now.Sub(r.since); r.isDue && elapsed >= 0 && elapsed < roomPause {
		return roomPause - elapsed
	}
	return 0 // Also where the clock was set back.
}

// noteRoom notes after a compile whether room is to be made. After the first one it is made without a pause.
func (s *scope) noteRoom(isFirst, changed bool) {
	datafile := &s.environment.Spec.Datafile
	spec := roomSpec{
		fmt.Sprint(datafile.Formats), datafile.Compression, s.environment.Spec.Production, isStaged(s.environment),
	}
	if !isFirst && !changed && spec == s.state.room.spec {
		return
	}
	s.state.room.spec = spec
	compiled := s.state.compiled
	content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd()}
	switch {
	case len(compiled.LeftOut()) == 0 && !compiled.StagedOut() && content.IsSmall(s.environment, s.servedFiles()):
		s.state.room.isDue = false
	case isFirst:
		s.state.room.isDue, s.state.room.since = true, time.Time{}
	case !s.state.room.isDue:
		s.state.room.isDue, s.state.room.since = true, s.now
	}
}

// decideWithRoom decides what to serve, and makes room before what needs it. A brake comes first, also where everything
// that is compiled would be published with it: room is made after it.
func (s *scope) decideWithRoom() (facts, Action) {
	known := s.facts()
	action := decide(known)
	isBrake := action.Kind == ActionBrake || action.Kind == ActionPublish && known.braked && known.revision > 0
	isAsked := known.request != "" && known.requestedDigest == "" // What it asks for is noted now.
	switch due := &s.state.room; {
	case !due.isDue:
	case isBrake:
		due.since = s.now
		return known, Action{Kind: ActionBrake}
	case action.Kind == ActionPublish, isAsked, due.wait(s.now) == 0:
		s.makeRoom()
		known = s.facts()
		action = decide(known)
	}
	return known, action
}

func isStaged(environment *v1alpha1.FlagEnvironment) bool {
	return environment.Spec.Production && environment.Spec.Publish.Mode == v1alpha1.PublishModeManual
}

func (s *scope) servedFiles() publish.Files {
	if s.state.served == nil {
		return publish.Files{}
	}
	return s.state.served.Files
}

// makeRoom leaves out of what a production environment publishes what somebody without the right to publish may have
// made, where the others would not fit beside it, and takes it up where they would: drafts first, and where changes wait
// for a request, any change.
func (s *scope) makeRoom() {
	s.state.room.isDue = false
	compiled, environment := s.state.compiled, s.environment
	content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
	record := func(changes compile.Changes) {
		s.state.recordCompiled(changes, false, false, environment.Spec.Datafile.Formats)
	}
	leavesRoom := func() bool { return content.LeavesRoom(environment) }
	holdsNative := func() bool { return content.Fits(environment, s.servedFiles(), false) }
	fits := func() bool {
		return content.Fits(environment, s.servedFiles(), s.state.served != nil && s.state.served.FlagdComplete)
	}
	always, never := func() bool { return true }, func() bool { return false }
	takeDrafts := func() {
		if len(compiled.LeftOut()) > 0 || !leavesRoom() {
			record(compiled.MakeRoom(leavesRoom))
		}
	}
	switch {
	case !compiled.StagedOut():
		takeDrafts()
		if !isStaged(environment) || fits() {
			return
		}
	case !isStaged(environment):
		record(compiled.MakeFit(always))
		takeDrafts()
		return
	default: // Drafts come last.
		record(compiled.MakeRoom(never))
	}
	record(compiled.MakeFit(fits))
	if !compiled.StagedOut() && !fits() { // No choice of changes keeps the flagd file complete.
		record(compiled.MakeFit(holdsNative))
	}
	takeDrafts()
}
