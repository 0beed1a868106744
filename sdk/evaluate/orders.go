// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// order is how an attribute may compare with a value for the predicate to hold.
type order struct{ less, equal, greater bool }

// admits reports whether a comparison with that result, which is negative, 0 or positive, passes.
func (o order) admits(result int) bool {
	switch {
	case result < 0:
		return o.less
	case result > 0:
		return o.greater
	default:
		return o.equal
	}
}

// numberOrder is the predicate of the comparisons with a number.
type numberOrder struct {
	order
	number float64
	// integer is the number where it is an integer beyond 2^53-1, and empty where it is not.
	integer string
}

func newNumber(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		value, err := one(values)
		if err != nil {
			return nil, err
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("%q is not a number", value)
		}
		return &numberOrder{order: accepted, number: f, integer: largeInteger(value, f)}, nil
	}
}

// newUnixTime compares seconds since 1970 with an instant.
func newUnixTime(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		t, err := oneTime(values)
		if err != nil {
			return nil, err
		}
		return &numberOrder{order: accepted, number: float64(t.Unix()) + float64(t.Nanosecond())/1e9}, nil
	}
}

func (p *numberOrder) gate() gate {
	g := gate{low: math.Inf(-1), high: math.Inf(1)} // No string is a number.
	if !p.less {
		g.low = p.number
	}
	if !p.greater {
		g.high = p.number
	}
	return g
}

func (p *numberOrder) holds(attribute any) bool {
	f, isNumber := number(attribute)
	switch {
	case !isNumber:
		return false
	case f < p.number:
		return p.less
	case f > p.number:
		return p.greater
	case p.integer != "":
		return p.admits(compareIntegers(attribute, p.integer))
	default:
		return p.equal
	}
}

// releaseOrder is the predicate of the comparisons with a semantic version.
type releaseOrder struct {
	order
	version version
}

func newRelease(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		v, err := oneVersion(values)
		if err != nil {
			return nil, err
		}
		return &releaseOrder{order: accepted, version: v}, nil
	}
}

// gate makes use of that a version with one digit before the first dot precedes all with more.
func (p *releaseOrder) gate() gate {
	major := p.version.numbers[0]
	if p.greater || len(major) > 1 {
		return open
	}
	g := beginning([]string{"v", "V"})
	for digit := byte('0'); digit <= major[0]; digit++ {
		g.bytes |= byteBit(digit)
	}
	return g
}

func (p *releaseOrder) holds(attribute any) bool {
	var v version
	return v.of(attribute) && p.admits(v.compare(&p.version))
}

// releaseLine is the predicate of SemVerTilde and SemVerCaret: the first numbers of a version.
type releaseLine []string

func newReleaseLine(numbers int) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		v, err := oneVersion(values)
		return releaseLine(v.numbers[:numbers]), err
	}
}

func (p releaseLine) holds(attribute any) bool {
	var v version
	return v.of(attribute) && slices.Equal(v.numbers[:len(p)], p)
}

func oneVersion(values []string) (v version, err error) {
	value, err := one(values)
	if err == nil && !v.parse(value) {
		err = fmt.Errorf("%q is not a semantic version", value)
	}
	return v, err
}

// momentOrder is the predicate of Before and After.
type momentOrder struct {
	order
	instant time.Time
}

func newMoment(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		t, err := oneTime(values)
		return &momentOrder{order: accepted, instant: t}, err
	}
}

func (p *momentOrder) holds(attribute any) bool {
	t, isTime := instant(attribute)
	return isTime && p.admits(t.Compare(p.instant))
}

func oneTime(values []string) (time.Time, error) {
	value, err := one(values)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not an RFC 3339 time", value)
	}
	return t, nil
}
