// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strconv"
	"strings"
)

// maxLabel is the length of a DNS label.
const maxLabel = 63

// Label makes a DNS label from a name for people, such as checkout-button-colour from "Checkout button colour". Where
// that is taken, it gets a number at its end. A name without a single letter or digit becomes fallback.
func Label(name, fallback string, taken func(label string) bool) string {
	var label strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			label.WriteRune(r)
		case label.Len() > 0 && !strings.HasSuffix(label.String(), "-"):
			label.WriteByte('-')
		}
		if label.Len() == maxLabel {
			break
		}
	}
	stem := strings.TrimSuffix(label.String(), "-")
	if stem == "" {
		stem = fallback
	}
	candidate := stem
	for number := 2; taken(candidate); number++ {
		suffix := "-" + strconv.Itoa(number)
		candidate = strings.TrimSuffix(stem[:min(len(stem), maxLabel-len(suffix))], "-") + suffix
	}
	return candidate
}
