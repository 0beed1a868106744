// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

// startManager runs the manager with the memory limit that config/manager sets, of which it learns by GOMEMLIMIT
// because it is in no container of its own here.
func (b *bench) startManager(ctx context.Context, folder string, more ...string) (*operator.Manager, error) {
	return operator.Start(ctx, operator.Options{
		Folder: folder, Kubeconfig: b.kubeconfig, Certificates: b.certificates, MemoryLimit: shippedLimit * 90 / 100,
		Arguments: more,
	})
}
