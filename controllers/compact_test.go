// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

func TestCompactMembers(t *testing.T) {
	for name, members := range map[string][]string{
		"none": nil, "one": {"a"}, "several": {"a", "", "bob@example.com", "ä"},
	} {
		t.Run(name, func(t *testing.T) {
			audience := builders.MakeAudience("beta", "shop").Obj()
			audience.Spec.Members = append(make([]string, 0, 100), members...)
			if members == nil {
				audience.Spec.Members = nil
			}
			if _, err := compactMembers(audience); err != nil {
				t.Fatal(err)
			}
			got := audience.Spec.Members
			if diff := cmp.Diff(members, got); diff != "" {
				t.Errorf("the members change (-want +got):\n%s", diff)
			}
			if cap(got) != len(members) {
				t.Errorf("the list has room for %d members, want %d", cap(got), len(members))
			}
		})
	}
	if object, err := compactMembers(builders.MakeFlag("checkout", "shop").Obj()); err != nil || object == nil {
		t.Errorf("another object is %v, %v", object, err)
	}
}
