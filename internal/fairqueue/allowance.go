// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package fairqueue

import "time"

const (
	// burst is how much work a namespace may ask of each worker that it may occupy before it is held back: the first
	// publish of a hundred environments, or an apply of a thousand flags.
	burst = 5 * time.Second
	// share is the part of that worker's time, in percent, that a namespace which has asked for more goes on with.
	share = 25
	// longest is the most that one run counts. A run that waits for an API server that is away is nobody's work.
	longest = time.Second
)

// allowance is what a namespace has asked of the workers of late: a leaky bucket of their time. It counts time and not
// requests, because a namespace harms the others by what the API server has to do for it: large datafiles take
// longer, and everything takes longer when the API server is busy.
type allowance struct {
	used time.Duration
	at   time.Time
}

// spend counts a run that ends now.
func (a *allowance) spend(took time.Duration, now time.Time, bound int) {
	a.used, a.at = a.left(now, bound)+min(max(0, took), longest), now
}

// left is what still counts now of what was used.
func (a *allowance) left(now time.Time, bound int) time.Duration {
	drained := max(0, now.Sub(a.at)) * time.Duration(bound) * share / 100
	return max(0, a.used-drained)
}

// wait is how long the next run has to wait, and 0 where it may begin.
func (a *allowance) wait(now time.Time, bound int) time.Duration {
	over := a.left(now, bound) - burst*time.Duration(bound)
	if over <= 0 {
		return 0
	}
	return over*100/(time.Duration(bound)*share) + time.Millisecond // Rounded up, so that it is over then.
}
