// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

const (
	// StepsOfOne is what evaluating one flag may cost, in steps: about 20 milliseconds of a core.
	StepsOfOne = 20_000_000
	// StepsOfAll is what evaluating the flags of an environment may cost together.
	StepsOfAll = 250_000_000

	// cheapSteps is what an evaluation may cost before it needs one of the processors that environments share. Nearly all
	// take less.
	cheapSteps = 500_000
)

// Spending is what the evaluations of one request may cost. End it.
type Spending struct {
	evaluate.Budget

	shares      *shares
	ctx         context.Context //nolint:containedctx // It lives as long as the request.
	environment string
	holds       bool
}

// Spend begins the evaluations of a request. They end with the request's context, and beyond the first ones they wait
// until it is the environment's turn to use a processor.
func (s *Server) Spend(ctx context.Context, environment *store.Environment, steps int64) *Spending {
	spending := &Spending{shares: s.shares, ctx: ctx, environment: environment.Project + "/" + environment.Name}
	spending.Steps, spending.CheckEvery, spending.Check = steps, cheapSteps, spending.goOn
	return spending
}

// goOn reports whether anybody still waits for the answer, and waits for a processor the first time.
func (s *Spending) goOn() error {
	if err := s.ctx.Err(); err != nil || s.holds {
		return err
	}
	if err := s.shares.take(s.ctx, s.environment); err != nil {
		return err
	}
	s.holds = true
	return nil
}

// End lets others have the processor.
func (s *Spending) End() {
	if s.holds {
		s.holds = false
		s.shares.give()
	}
}

// Refusal is the answer to an error of evaluations with a budget.
func Refusal(err error) *Error {
	refused := (*Error)(nil)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, evaluate.ErrBudget):
		return Errorf(http.StatusBadRequest, "%v", err)
	default: // The client is gone, and nobody reads the answer.
		return &Error{Status: http.StatusServiceUnavailable, Message: "the request has ended", Cause: err}
	}
}
