// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagmint_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/internal/rest"
	"github.com/jackstaff-dev/jackstaff/internal/rest/flagmint"
	"github.com/jackstaff-dev/jackstaff/internal/rest/resttest"
)

func TestFlagmint(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View flagmint")
}

var world *resttest.World

var _ = BeforeSuite(func() {
	world = resttest.Start(rest.Options{}, func(_ ctrl.Manager, server *rest.Server) error {
		server.Mount(flagmint.New(server), "/projects/")
		return nil
	})
})
