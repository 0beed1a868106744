// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"math"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// After a restore of an older snapshot, workloads hold revisions that nothing in the cluster knows. A number that got a
// second content would be taken for the first by whoever has loaded that.
func TestNumbersThatWorkloadsHoldArePassedOver(t *testing.T) {
	for name, tc := range map[string]struct {
		reported  []int64
		confirmed int64
		want      int64
	}{
		"nobody reports":                 {confirmed: 34},
		"a workload is ahead":            {reported: []int64{34, 36, 35}, confirmed: 34, want: 36},
		"a workload lies":                {reported: []int64{math.MaxInt64, 35}, confirmed: 34, want: 35},
		"a workload lies with a margin":  {reported: []int64{34 + maxAhead, 35 + maxAhead}, confirmed: 34, want: 34 + maxAhead},
		"at the end of what is believed": {reported: []int64{maxUnconfirmed + 1}, confirmed: maxUnconfirmed},
		"a number that is none":          {reported: []int64{-1, 0}, confirmed: 34},
	} {
		t.Run(name, func(t *testing.T) {
			var instances []v1alpha1.Instance
			for _, revision := range tc.reported {
				instances = append(instances, v1alpha1.Instance{Revision: revision})
			}
			if got := loaded(instances, tc.confirmed); got != tc.want {
				t.Errorf("the highest number that is passed over is %d, want %d", got, tc.want)
			}
		})
	}
}
