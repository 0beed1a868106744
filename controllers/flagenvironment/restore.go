// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// logEvery is how often, at most, the log tells that the datafile of an environment is restored again and again.
const logEvery = time.Minute

// restores spaces out the writes that restore an environment's datafile, and what the log says of them. Somebody, or
// something, that edits the datafile without end costs some writes a second and a line a minute.
type restores struct {
	pace   pace
	logged time.Time
	// silent counts the restores since the last line.
	silent int
}

// begin says that a restore begins at the given time. It reports whether the log is to tell of it, and how many before
// it did not tell of.
func (r *restores) begin(now time.Time) (tell bool, silent int) {
	r.pace.published(now)
	if elapsed := now.Sub(r.logged); elapsed >= 0 && elapsed < logEvery {
		r.silent++
		return false, 0
	}
	silent, r.silent, r.logged = r.silent, 0, now
	return true, silent
}

// restore writes the served revision again.
func (r *Reconciler) restore(ctx context.Context, s *scope) error {
	if tell, silent := s.state.restores.begin(s.now); tell {
		log.FromContext(
			ctx,
		).Info(
			"Writing the datafile again",
			"revision",
			s.state.revision(),
			"restoredSinceLastLine",
			silent,
		)
	}
	return r.Publisher.Serve(ctx, s.environment, s.state.served)
}
