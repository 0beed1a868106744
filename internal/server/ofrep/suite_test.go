// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/flagd"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

func TestOFREP(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "OFREP")
}

var (
	world     *servertest.World
	datafiles = store.NewStore()
	counted   = &evaluations{}
)

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		ofrep.Mount(srv, datafiles, counted, clock.RealClock{})
		flagd.Mount(srv, datafiles, counted, clock.RealClock{})
		return datafiles.SetupWithManager(mgr)
	})
})

// evaluations remembers what was counted.
type evaluations struct {
	mu  sync.Mutex
	all []evaluation
}

type evaluation struct {
	project, flag string
	context       map[string]any
}

func (e *evaluations) Evaluated(
	environment *store.Environment,
	result *evaluate.Result,
	context map[string]any,
	_ time.Time,
) {
	e.mu.Lock()
	defer e.mu.Unlock()
	flag := ""
	if result.Flag != nil {
		flag = result.Flag.Key
	}
	e.all = append(e.all, evaluation{environment.Project, flag, context})
}

// of returns what was counted in a project.
func (e *evaluations) of(project string) []evaluation {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []evaluation
	for _, each := range e.all {
		if each.project == project {
			found = append(found, each)
		}
	}
	return found
}
