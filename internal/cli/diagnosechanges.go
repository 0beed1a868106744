// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// waitingChange is a change that the operator has not acted on. Whoever may read the object sees it.
type waitingChange struct {
	// object is what was changed, such as "flag payments".
	object string
	// since is when, and zero where nobody knows.
	since time.Time
}

// waitingOf is what the operator has not acted on of an object: change records that it has not taken over, a spec that
// its status does not speak of, and brakes that its status does not show. An undecodable object waits for an
// edit, and not for the operator.
func waitingOf(kind v1alpha1.Kind, object v1alpha1.Object) []waitingChange {
	if v1alpha1.Undecodable(object) != "" {
		return nil
	}
	name := kind.Word + " " + object.GetName()
	var all []waitingChange
	// What cannot be parsed was not written by admission, and is passed over by the operator, too.
	if entries, err := history.Carried(kind.Name, object); err == nil {
		for i := range entries {
			all = append(all, waitingChange{name, entries[i].Time.Time})
		}
	}
	if observed := observedGeneration(object); observed < object.GetGeneration() {
		all = append(all, waitingChange{name, changedAt(object)})
	}
	if flag, isFlag := object.(*v1alpha1.FeatureFlag); isFlag {
		for i := range flag.Status.Environments {
			state := &flag.Status.Environments[i]
			if flag.ForceDisabledIn(state.Name) != state.Wanted.ForceDisabled {
				all = append(all, waitingChange{name, changedAt(object)})
			}
		}
	}
	return all
}

func observedGeneration(object v1alpha1.Object) int64 {
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		return object.Status.ObservedGeneration
	case *v1alpha1.FlagEnvironment:
		return object.Status.ObservedGeneration
	case *v1alpha1.FlagAudience:
		return object.Status.ObservedGeneration
	case *v1alpha1.FlagEvent:
		return object.Status.ObservedGeneration
	}
	return object.GetGeneration()
}

// diagnoseChanges judges whether somebody acts on changes, which tells of an operator that is away to those who may see
// nothing of the operator itself.
func diagnoseChanges(at target, waiting []waitingChange, now time.Time) diagnosis {
	overdue := slices.DeleteFunc(slices.Clone(waiting), func(one waitingChange) bool {
		return one.since.IsZero() || now.Sub(one.since) <= attentive
	})
	if len(overdue) == 0 {
		return diagnosis{checkChanges, healthy, fmt.Sprintf("none has waited for more than %s", attentive), ""}
	}
	slices.SortFunc(overdue, func(a, b waitingChange) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.object, b.object))
	})
	var names []string
	for _, one := range overdue {
		if !slices.Contains(names, one.object) {
			names = append(names, one.object)
		}
	}
	return diagnosis{
		checkChanges, problem,
		fmt.Sprintf("nobody acts on changes: since %s what was changed waits of %s",
			overdue[0].since.UTC().Format(time.RFC3339), enumerate(names)),
		"see whether the operator runs, or let an administrator do so; meanwhile " +
			at.toggle("FLAG", "ENVIRONMENT", "--off", "--break-glass") + " switches a flag off without it",
	}
}
