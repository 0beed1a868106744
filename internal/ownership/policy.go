// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"context"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PolicyName is the name of the ValidatingAdmissionPolicy on datafiles, and of its binding, as config/ installs them.
const PolicyName = "jackstaff-datafiles"

// Guarded reports whether the policy on datafiles is in force: it denies, everywhere, and also where it cannot be
// evaluated. It is not where the policy or its binding is missing or may not be read.
func Guarded(ctx context.Context, reader client.Reader) (bool, error) {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	for _, object := range []client.Object{policy, binding} {
		err := reader.Get(ctx, types.NamespacedName{Name: PolicyName}, object)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || meta.IsNoMatchError(err) {
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("get %T %q: %w", object, PolicyName, err)
		}
	}
	return inForce(policy, binding), nil
}

func inForce(
	policy *admissionregistrationv1.ValidatingAdmissionPolicy,
	binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding,
) bool {
	return policy.DeletionTimestamp == nil && binding.DeletionTimestamp == nil &&
		(policy.Spec.FailurePolicy == nil || *policy.Spec.FailurePolicy == admissionregistrationv1.Fail) &&
		binding.Spec.PolicyName == policy.Name && binding.Spec.ParamRef == nil && matchesAll(binding.Spec.MatchResources) &&
		slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny)
}

// matchesAll reports whether a binding narrows its policy in no way. The API server sets empty selectors.
func matchesAll(match *admissionregistrationv1.MatchResources) bool {
	if match == nil {
		return true
	}
	for _, selector := range []interface{ Size() int }{match.NamespaceSelector, match.ObjectSelector} {
		if selector.Size() > 0 {
			return false
		}
	}
	return len(match.ResourceRules) == 0 && len(match.ExcludeResourceRules) == 0
}
