// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// compactMembers is the cache's transform of audiences: their members are most of what a namespace can have the operator
// remember. A decoder leaves a list with room to grow, and each member in memory of its own; here they share one text.
func compactMembers(object any) (any, error) {
	audience, is := object.(*v1alpha1.FlagAudience)
	if !is || len(audience.Spec.Members) == 0 {
		return object, nil // Also what the cache is told of an object that is gone.
	}
	text := strings.Join(audience.Spec.Members, "")
	members := make([]string, len(audience.Spec.Members))
	for i, member := range audience.Spec.Members {
		members[i], text = text[:len(member)], text[len(member):]
	}
	audience.Spec.Members = members
	return audience, nil
}
