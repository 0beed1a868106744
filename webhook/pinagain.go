// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// pinAgainMistakes refuses to serve the pinned revision anew where that makes another revision of what is served. What
// is not there to be read is left to the operator.
func (r *flagEnvironments) pinAgainMistakes(
	ctx context.Context,
	old, environment *v1alpha1.FlagEnvironment,
) (field.ErrorList, error) {
	pinned := pinOf(environment)
	if old == nil || pinned == 0 || pinned != old.Status.PinnedRevision || !asksAgain(old, environment) {
		return nil, nil
	}
	var documents [2]*datafile.Document // Of the history, which has the native form in every format.
	for i, revision := range []int64{old.Status.PublishedRevision, pinned} {
		kept, err := ownership.GetHistory(ctx, r.live, environment, revision)
		if apierrors.IsNotFound(err) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if documents[i], err = documentOf(kept); err != nil {
			return nil, err
		}
	}
	braked, err := r.brakedKeys(ctx, environment)
	if err != nil || !isUnder(documents[0], documents[1], braked) {
		return nil, err
	}
	return field.ErrorList{validation.NothingToPinAgain(environment)}, nil
}

// isUnder reports whether served, which was made of target by brakes, is what the brakes of those keys make of it now.
func isUnder(served, target *datafile.Document, braked []string) bool {
	if len(served.Flags) != len(target.Flags) {
		return false
	}
	for key, form := range target.Flags {
		is := served.Flags[key]
		if is == nil || is.Enabled != (form.Enabled && !slices.Contains(braked, key)) {
			return false
		}
	}
	return true
}
