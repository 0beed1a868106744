// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdkkeys

import (
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// plan is what is to become of an environment's keys.
type plan struct {
	// keys are those that stay, newest first.
	keys []v1alpha1.SDKKey
	// revoked are the names of the Secrets whose keys end.
	revoked []string
	// request is the request for new keys that is not answered yet, and empty where there is none.
	request string
	// makes is true where a new pair is to be made.
	makes bool
	// full is true where the request has to wait until something is revoked.
	full bool
	// wait is how long it is until keys are to be revoked, and 0 where none are.
	wait time.Duration
}

// idle reports whether nothing is to be done now.
func (p *plan) idle(status *v1alpha1.FlagEnvironmentStatus) bool {
	return !p.makes && !p.full && len(p.keys) == len(status.SDKKeys)
}

// planFor looks at an environment at the given time. An environment always has keys: where all are revoked, a new pair
// is made.
func planFor(environment *v1alpha1.FlagEnvironment, now time.Time) plan {
	p := plan{}
	// Keys are made at whole seconds. With a finer time, keys that are made right after it would count as older.
	before := timeIn(environment, v1alpha1.RevokeKeysBeforeAnnotation).Truncate(time.Second)
	if now.Before(before) {
		p.wait, before = before.Sub(now), time.Time{}
	}
	unfinished := false
	for _, key := range environment.Status.SDKKeys {
		switch {
		case !key.Confirmed:
			unfinished = true
		case key.CreatedAt.Time.Before(before):
			p.revoked = append(p.revoked, key.SecretName)
		default:
			p.keys = append(p.keys, key)
		}
	}
	asked := environment.Annotations[v1alpha1.RotateKeysRequestedAtAnnotation]
	if asked != environment.Status.LastHandledRotateAt &&
		!timeIn(environment, v1alpha1.RotateKeysRequestedAtAnnotation).IsZero() {
		p.request = asked
	}
	p.makes = len(p.keys) == 0 || unfinished || p.request != ""
	if len(p.keys) == v1alpha1.MaxSDKKeys {
		p.makes, p.full = false, p.makes
	}
	return p
}

// maxTimeLength is how long a time in an annotation may be, because the status repeats it.
const maxTimeLength = 64

// timeIn reads a time from an annotation. It is zero where there is none.
func timeIn(environment *v1alpha1.FlagEnvironment, annotation string) time.Time {
	text := environment.Annotations[annotation]
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil || len(text) > maxTimeLength {
		return time.Time{} // Admission has said so.
	}
	return instant
}
