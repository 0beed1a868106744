// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"math"
	"regexp"
	"strconv"
)

// MaxExactInteger is the largest integer up to which a float64 holds every integer: 2^53-1.
const MaxExactInteger = 1<<53 - 1

// largeInteger is the form of integers that may be beyond it.
var largeInteger = regexp.MustCompile(`^-?[1-9][0-9]{15,}$`)

// RoundedValue returns the first value that evaluators whose numbers are float64, such as flagd's, cannot tell from
// other integers, and whether there is one: an integer beyond MaxExactInteger that the condition compares with numbers.
// The targeting key is always a string, so that a condition on it has none.
func (c *Condition) RoundedValue() (value string, found bool) {
	if c.Attribute == "targetingKey" {
		return "", false
	}
	switch c.Operator {
	case In, NotIn, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual:
	default: // The other operators compare no numbers with values.
		return "", false
	}
	for _, value := range c.Values {
		if !largeInteger.MatchString(value) {
			continue
		}
		if f, err := strconv.ParseFloat(value, 64); err == nil && math.Abs(f) > MaxExactInteger {
			return value, true
		}
	}
	return "", false
}
