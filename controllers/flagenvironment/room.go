// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// makeRoom leaves out of what a production environment publishes what somebody without the right to publish may have
// made, where the others would not fit beside it, and takes it up where they would: drafts, and where changes wait for a
// request, any change.
func (s *scope) makeRoom() {
	compiled, environment := s.state.compiled, s.environment
	content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
	leavesRoom := func() bool { return content.LeavesRoom(environment) }
	record := func(changes compile.Changes) {
		s.state.recordCompiled(changes, false, false, environment.Spec.Datafile.Formats)
	}
	makeRoom := func() {
		if len(compiled.LeftOut()) > 0 || !leavesRoom() {
			record(compiled.MakeRoom(leavesRoom))
		}
	}
	if compiled.StagedOut() {
		record(compiled.MakeFit(func() bool { return true }))
	}
	makeRoom()
	isStaged := environment.Spec.Production && environment.Spec.Publish.Mode == v1alpha1.PublishModeManual
	served := publish.Files{}
	if s.state.served != nil {
		served = s.state.served.Files
	}
	fits := func() bool { return content.Fits(environment, served) }
	if isStaged && !fits() {
		record(compiled.MakeFit(fits))
		makeRoom() // Drafts that were left out may fit now.
	}
}
