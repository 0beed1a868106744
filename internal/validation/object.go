// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Object returns everything that forbids storing an object of any Kind in the place of old, which is nil on creation
// and of the same Kind otherwise.
func Object(old, object v1alpha1.Object) field.ErrorList {
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		return judge(old, object, FeatureFlag, FeatureFlagUpdate)
	case *v1alpha1.FlagEnvironment:
		return judge(old, object, FlagEnvironment, FlagEnvironmentUpdate)
	case *v1alpha1.FlagAudience:
		return judge(old, object, FlagAudience, FlagAudienceUpdate)
	case *v1alpha1.FlagEvent:
		return judge(old, object, FlagEvent, FlagEventUpdate)
	default:
		return nil
	}
}

// Findings returns what there is to say of an object beside the other objects of its namespace, in the place of old as
// for Object. Of an environment there is nothing to say. Compatible is as in FeatureFlagFindings.
func Findings(
	ctx context.Context,
	namespace Namespace,
	compatible Compatibility,
	old, object v1alpha1.Object,
) ([]Finding, error) {
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		return FeatureFlagFindings(ctx, namespace, compatible, before(old, object), object)
	case *v1alpha1.FlagAudience:
		return FlagAudienceFindings(ctx, namespace, before(old, object), object)
	case *v1alpha1.FlagEvent:
		return FlagEventFindings(ctx, namespace, before(old, object), object)
	default:
		return nil, nil
	}
}

func judge[T any](
	old v1alpha1.Object,
	object *T,
	created func(*T) field.ErrorList,
	updated func(old, object *T) field.ErrorList,
) field.ErrorList {
	if old := before(old, object); old != nil {
		return updated(old, object)
	}
	return created(object)
}

// before returns old as an object of the same Kind as its successor, and nil where there is none.
func before[T any](old v1alpha1.Object, _ *T) *T {
	typed, _ := any(old).(*T)
	return typed
}
