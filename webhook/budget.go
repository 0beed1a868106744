// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// Option changes how Setup registers the webhooks.
type Option func(*options)

type options struct {
	budgets *budget.Ledger
	guarded func(ctx context.Context) (bool, error)
}

// WithGuarded warns whoever writes a production environment where the policy on datafiles is not in force, which
// guarded tells.
func WithGuarded(guarded func(ctx context.Context) (bool, error)) Option {
	return func(o *options) { o.guarded = guarded }
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
func (w *webhook[T, P]) withinBudget(ctx context.Context, object client.Object) error {
	judge := w.budgets.Admit
	if request, err := admission.RequestFromContext(ctx); err == nil && ptr.Deref(request.DryRun, false) {
		judge = w.budgets.Refusal // Nothing is stored.
	}
	refusal := judge(object)
	if refusal == "" {
		return nil
	}
	resource := schema.GroupResource{Group: w.kind.Group, Resource: strings.ToLower(w.kind.Kind) + "s"}
	return apierrors.NewForbidden(resource, object.GetName(), errors.New(refusal))
}

// unguarded is the warning that what a production environment publishes can be written by whoever edits ConfigMaps, and
// empty where it cannot, or where that is not known.
func (w *webhook[T, P]) unguarded(ctx context.Context, old, object P) string {
	environment, is := any(object).(*v1alpha1.FlagEnvironment)
	if !is || w.guarded == nil || !environment.Spec.Production {
		return ""
	}
	if old != nil && equality.Semantic.DeepEqual(old.SpecValue(), object.SpecValue()) {
		return ""
	}
	if guarded, err := w.guarded(ctx); guarded || err != nil {
		return ""
	}
	return validation.Warning(
		fmt.Sprintf("the ValidatingAdmissionPolicy %q is not in force, so that whoever may edit ConfigMaps can "+
			"write what workloads mount; ask the cluster's administrator to install config/policy", ownership.PolicyName),
	)
}
