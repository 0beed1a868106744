// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// After an older snapshot of etcd was restored, an operator that runs on publishes nothing and says Ready.
func TestAProcessEndsWhereTheDataWentBack(t *testing.T) {
	errDown := errors.New("connection refused")
	for name, tc := range map[string]struct {
		versions []string // Empty where the API server does not answer.
		wantEnd  string
	}{
		"time goes on":             {versions: []string{"100", "100", "101", "2000"}},
		"an older snapshot":        {versions: []string{"1000", "999"}, wantEnd: "from resource version 1000 to 999"},
		"by number, not by letter": {versions: []string{"999", "1000"}},
		"after a time without answers": {
			versions: []string{"1000", "", "", "40"}, wantEnd: "from resource version 1000 to 40",
		},
		"the first answer is late": {versions: []string{"", "1000", "1001"}},
		"another kind of storage":  {versions: []string{"b", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			guard := &restoreGuard{every: time.Nanosecond, current: func(context.Context) (string, error) {
				if len(tc.versions) == 0 {
					cancel()
					return "", errDown
				}
				version := tc.versions[0]
				tc.versions = tc.versions[1:]
				if version == "" {
					return "", errDown
				}
				return version, nil
			}}
			err := guard.Start(ctx)
			if (err == nil) != (tc.wantEnd == "") || err != nil && !strings.Contains(err.Error(), tc.wantEnd) {
				t.Errorf("the process ends with %v, want %q", err, tc.wantEnd)
			}
		})
	}
}
