// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagmint_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/flagmint"
)

func TestFlagmint(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View flagmint")
}

var world *servertest.World

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(_ ctrl.Manager, srv *server.Server) error {
		srv.Mount(flagmint.New(server.Deps{Server: srv, Clock: clock.RealClock{}}))
		return nil
	})
})
