// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff compares values in the tests of this module. A library for it would be one more module in the graph of
// every workload that imports the provider.
package diff

import (
	"fmt"
	"reflect"
	"strings"
)

// Diff returns "" where want and got are deeply equal, unexported fields included, and both values in Go's syntax where
// they are not. Want is the line that begins with a minus.
func Diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	var text strings.Builder
	for _, side := range []struct {
		sign  string
		value any
	}{{"-", want}, {"+", got}} {
		fmt.Fprintf(&text, "\n%s %+v (%T)", side.sign, side.value, side.value)
	}
	return text.String()
}
