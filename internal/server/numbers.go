// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"math/big"
	"strconv"
	"strings"
)

// IsSameNumber reports whether two texts are one JSON number, such as 1.5 and 1.50. With an exponent they are so only
// where they are the same text, because 1e999999999 takes more memory than a request may have.
func IsSameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if strings.ContainsAny(a+b, "eE") {
		return false
	}
	x, isX := new(big.Rat).SetString(a)
	y, isY := new(big.Rat).SetString(b)
	return isX && isY && x.Cmp(y) == 0
}

// IsFloat reports whether a JSON number comes back from clients that read numbers as floats, as browsers do. An integer
// beyond 2^53 mostly does not.
func IsFloat(number string) bool {
	float, err := strconv.ParseFloat(number, 64)
	return err == nil && IsSameNumber(strconv.FormatFloat(float, 'f', -1, 64), number)
}
