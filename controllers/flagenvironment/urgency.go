// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/status"
)

// urgencyOf says how soon the status of an environment has to say what an edit of the environment brought. What is
// served, held back or broken is said at once. An edit that changes nothing of that, such as one of a description, is
// only observed.
func urgencyOf(before, after *v1alpha1.FlagEnvironmentStatus) status.Urgency {
	if before.ObservedGeneration > 0 && equality.Semantic.DeepEqual(withoutGeneration(before), withoutGeneration(after)) {
		return status.Calm
	}
	return status.Immediate
}

// withoutGeneration is a copy of a status without the generation that was observed.
func withoutGeneration(of *v1alpha1.FlagEnvironmentStatus) *v1alpha1.FlagEnvironmentStatus {
	plain := of.DeepCopy()
	plain.ObservedGeneration = 0
	for i := range plain.Conditions {
		plain.Conditions[i].ObservedGeneration, plain.Conditions[i].LastTransitionTime = 0, metav1.Time{}
	}
	return plain
}
