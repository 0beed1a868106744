// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import "strings"

// version is a semantic version (https://semver.org, 2.0.0) of which the minor and patch version may be left out. The
// numbers are digits without leading zeros, of any length.
type version struct {
	numbers    [3]string
	preRelease string
}

// parse reads a version, with or without one v or V before it, and reports whether it is one. v must be empty before.
func (v *version) parse(s string) bool {
	if s != "" && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	v.numbers = [3]string{"0", "0", "0"}
	for i := range v.numbers {
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n == 0 || n > 1 && s[0] == '0' {
			return false
		}
		v.numbers[i], s = s[:n], s[n:]
		if s == "" {
			return true
		}
		if i < 2 {
			if s[0] != '.' {
				return false
			}
			s = s[1:]
		}
	}
	s, build, hasBuild := strings.Cut(s, "+")
	if hasBuild && !areIdentifiers(build, true) {
		return false
	}
	preRelease, hasPreRelease := strings.CutPrefix(s, "-")
	if s != "" && !hasPreRelease || hasPreRelease && !areIdentifiers(preRelease, false) {
		return false
	}
	v.preRelease = preRelease
	return true
}

// areIdentifiers reports whether s is identifiers with dots between them. Numeric ones have no leading zeros, unless
// they may.
func areIdentifiers(s string, leadingZeros bool) bool {
	for identifier := range strings.SplitSeq(s, ".") {
		for i := range len(identifier) {
			if c := identifier[i]; !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' {
				return false
			}
		}
		if identifier == "" || !leadingZeros && len(identifier) > 1 && identifier[0] == '0' && isNumeric(identifier) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNumeric(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// compare is negative, 0 or positive where v precedes, equals or follows w (https://semver.org, 2.0.0, section 11).
func (v *version) compare(w *version) int {
	for i := range v.numbers {
		if c := compareNumbers(v.numbers[i], w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.preRelease == w.preRelease:
		return 0
	case v.preRelease == "":
		return 1
	case w.preRelease == "":
		return -1
	}
	a, b := v.preRelease, w.preRelease
	for {
		var x, y string
		var moreA, moreB bool
		x, a, moreA = strings.Cut(a, ".")
		y, b, moreB = strings.Cut(b, ".")
		if c := compareIdentifiers(x, y); c != 0 {
			return c
		}
		switch {
		case !moreA && !moreB:
			return 0
		case !moreA:
			return -1
		case !moreB:
			return 1
		}
	}
}

// compareNumbers compares one digit after the other: versions have few, and strings.Compare is made for more.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	for i := range len(a) {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

func compareIdentifiers(a, b string) int {
	switch x, y := isNumeric(a), isNumeric(b); {
	case x && y:
		return compareNumbers(a, b)
	case x:
		return -1
	case y:
		return 1
	default:
		return strings.Compare(a, b)
	}
}
