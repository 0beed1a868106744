// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import "github.com/jackstaff-dev/jackstaff/internal/publish"

// makeRoom leaves drafts out of what a production environment publishes where the others would not fit beside them, and
// takes them up where they would.
func (s *scope) makeRoom() {
	compiled, datafile := s.state.compiled, s.environment.Spec.Datafile
	content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
	fits := func() bool { return !s.environment.Spec.Production || content.LeavesRoom(datafile) }
	if len(compiled.LeftOut()) > 0 || !fits() {
		s.state.recordCompiled(compiled.MakeRoom(fits), false, false, datafile.Formats)
	}
}
