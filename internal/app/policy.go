// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// policyCheckEvery is how often the policy on datafiles is looked for.
const policyCheckEvery = time.Minute

// policyReport tells, by a metric and in the log, whether the policy on datafiles is in force.
type policyReport struct {
	guarded func(ctx context.Context) (bool, error)
	every   time.Duration
	inForce interface{ Set(value float64) }
	// told is true once the log says that the policy is not in force.
	told bool
}

// addPolicyReport has every replica look for the policy. A confined operator may not read it: policies are the
// administrator's.
func addPolicyReport(mgr ctrl.Manager, o *Options) error {
	if o.Confined() {
		return nil
	}
	inForce := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "jackstaff_datafiles_policy_in_force",
		Help: "1 where the ValidatingAdmissionPolicy on datafiles is in force, 0 where whoever edits ConfigMaps can " +
			"write them.",
	})
	already := prometheus.AlreadyRegisteredError{}
	if err := metrics.Registry.Register(inForce); err != nil && !errors.As(err, &already) {
		return fmt.Errorf("count the policy on datafiles: %w", err)
	}
	report := &policyReport{guarded: o.Controllers.Guarded, every: policyCheckEvery, inForce: inForce}
	if err := mgr.Add(report); err != nil {
		return fmt.Errorf("set up the look for the policy on datafiles: %w", err)
	}
	return nil
}

// NeedLeaderElection is false: each replica has metrics.
func (*policyReport) NeedLeaderElection() bool { return false }

// Start looks until the context ends.
func (p *policyReport) Start(ctx context.Context) error {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		p.check(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// check looks once. Where that fails, what was known stays.
func (p *policyReport) check(ctx context.Context) {
	logger := ctrl.Log.WithName("policy")
	guarded, err := p.guarded(ctx)
	switch {
	case err != nil:
		logger.V(1).Info("Cannot tell whether the policy on datafiles is in force", "reason", err.Error())
	case guarded:
		p.inForce.Set(1)
		p.told = false
	default:
		p.inForce.Set(0)
		if p.told {
			return
		}
		p.told = true
		logger.Info("The policy on datafiles is not in force: whoever may edit ConfigMaps can write what workloads mount, "+
			"and break glass is not believed. Install config/policy", "validatingAdmissionPolicy", ownership.PolicyName)
	}
}
