// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import "github.com/jackstaff-dev/jackstaff/internal/publish"

// makeRoom leaves drafts out of what a production environment publishes where the others would not fit beside them, and
// takes them up where they would.
func (s *scope) makeRoom() {
	compiled := s.state.compiled
	content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
	fits := func() bool { return content.LeavesRoom(s.environment) }
	if len(compiled.LeftOut()) > 0 || !fits() {
		s.state.recordCompiled(compiled.MakeRoom(fits), false, false, s.environment.Spec.Datafile.Formats)
	}
}
