// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Percent writes thousandths of a percent, from 0 to v1alpha1.FullTraffic, as the Kinds do: 12500 as "12.5%". It is the
// inverse of Percent.Thousandths.
func Percent(thousandths int32) v1alpha1.Percent {
	text := fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)
	return v1alpha1.Percent(strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%")
}
