// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	"github.com/go-logr/logr/funcr"
)

// At -v=10 client-go logs whole Secrets. Keys must not get into logs, whatever somebody on call asks for.
func TestLogsHoldNoBodies(t *testing.T) {
	lines := 0
	logger := withoutBodies(funcr.New(func(string, string) { lines++ }, funcr.Options{Verbosity: 10}))
	for _, of := range []interface{ Enabled() bool }{
		logger.V(8), logger.WithName("n").V(8), logger.WithValues("k", "v").V(9), logger.WithCallDepth(1).V(10),
	} {
		if of.Enabled() {
			t.Error("bodies of requests are logged")
		}
	}
	logger.V(8).Info("Response Body", "body", "sdk_secret")
	logger.V(7).Info("a header")
	logger.WithName("n").V(1).Info("a line")
	if lines != 2 {
		t.Errorf("%d lines are logged, not the two without bodies", lines)
	}
}
