// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/budget"
)

// Option changes how Setup registers the webhooks.
type Option func(*options)

type options struct {
	budgets *budget.Ledger
}

// WithBudgets refuses what would take a namespace beyond its budget.
func WithBudgets(budgets *budget.Ledger) Option {
	return func(o *options) { o.budgets = budgets }
}

func chosen(of []Option) *options {
	all := &options{}
	for _, option := range of {
		option(all)
	}
	return all
}

// withinBudget refuses an object that would take its namespace beyond the budget, as a quota of Kubernetes does.
func (w *webhook[T, P]) withinBudget(object client.Object) error {
	refusal := w.budgets.Refusal(object)
	if refusal == "" {
		return nil
	}
	resource := schema.GroupResource{Group: w.kind.Group, Resource: strings.ToLower(w.kind.Kind) + "s"}
	return apierrors.NewForbidden(resource, object.GetName(), errors.New(refusal))
}
