// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import "time"

const (
	// minPace is how long an environment that has just published gathers further changes.
	minPace = 200 * time.Millisecond
	// maxPace is how long the changes of a long burst are gathered: an edit is never held back for more than this.
	maxPace = time.Second
)

// pace spaces the publishes of one environment out: a change after a quiet time is published at once, and a burst is
// gathered into few revisions, further apart the longer it lasts.
type pace struct {
	last  time.Time
	delay time.Duration
}

// wait is how long a publish has to wait at the given time, and 0 where it is due.
func (p *pace) wait(now time.Time) time.Duration {
	if elapsed := now.Sub(p.last); elapsed >= 0 && elapsed < p.delay {
		return p.delay - elapsed
	}
	return 0 // Also where the clock was set back.
}

// published says that a publish begins at the given time.
func (p *pace) published(now time.Time) {
	if elapsed := now.Sub(p.last); elapsed >= 0 && elapsed < p.delay+minPace {
		p.delay = min(2*p.delay, maxPace)
	} else {
		p.delay = minPace
	}
	p.last = now
}
