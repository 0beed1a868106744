// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Never is the instant, in seconds since 1970, of a schedule that has none.
const Never = math.MaxInt64

// Instants are a schedule's instants in seconds since 1970, Never where there is none.
type Instants struct {
	EnableAt, DisableAt int64
}

// Instants returns the schedule's instants. A nil schedule has none. It fails where a text is not an RFC 3339 time,
// where both instants are the same, and where a schedule has none.
func (s *Schedule) Instants() (Instants, error) {
	instants := Instants{EnableAt: Never, DisableAt: Never}
	if s == nil {
		return instants, nil
	}
	for _, instant := range []struct {
		text string
		to   *int64
	}{{s.EnableAt, &instants.EnableAt}, {s.DisableAt, &instants.DisableAt}} {
		if instant.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, instant.text)
		if err != nil {
			return Instants{}, fmt.Errorf("schedule: %q is not an RFC 3339 time", instant.text)
		}
		*instant.to = t.Unix()
	}
	if instants.EnableAt == instants.DisableAt {
		return Instants{}, errors.New("schedule: enableAt and disableAt do not differ")
	}
	return instants, nil
}

// OnAt reports whether an enabled flag is on at a time in seconds since 1970. Without instants it is always on.
func (i Instants) OnAt(now int64) bool {
	switch {
	case i.DisableAt == Never:
		return i.EnableAt == Never || i.EnableAt <= now
	case i.EnableAt < i.DisableAt:
		return i.EnableAt <= now && now < i.DisableAt
	default:
		return now < i.DisableAt || i.EnableAt != Never && i.EnableAt <= now
	}
}

// Next returns the first instant after now, and whether there is one.
func (i Instants) Next(now int64) (int64, bool) {
	next := int64(Never)
	for _, at := range []int64{i.EnableAt, i.DisableAt} {
		if at > now {
			next = min(next, at)
		}
	}
	return next, next != Never
}

// OnAt reports whether an enabled flag with this schedule is on at now. Without a schedule, and with one that cannot be
// read, it is on.
func (s *Schedule) OnAt(now time.Time) bool {
	instants, err := s.Instants()
	return err != nil || instants.OnAt(now.Unix())
}
