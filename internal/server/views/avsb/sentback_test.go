// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A client that sends back what it read must not be refused because the operator has seen the flag meanwhile, under the
// same ETag. A status that asks for something must not be taken and forgotten.
func TestAStatusThatWasReadIsTaken(t *testing.T) {
	production := builders.MakeEnvironment("production", "shop").Obj()
	around := &surroundings{environments: []*v1alpha1.FlagEnvironment{production}}
	flag := func() *builders.FlagBuilder {
		return builders.MakeFlag("x", "shop").Boolean().Environment("production")
	}
	for name, tc := range map[string]struct {
		flag       *v1alpha1.FeatureFlag
		wasEnabled bool
		is         string
		taken      []string
		refused    []string
	}{
		"off, and never on":   {flag().Disabled().Obj(), false, "DRAFT", nil, []string{"INACTIVE", "ACTIVE", "ARCHIVED"}},
		"off, and once on":    {flag().Disabled().Obj(), true, "INACTIVE", []string{"DRAFT"}, []string{"ACTIVE", "ARCHIVED"}},
		"on":                  {flag().Obj(), true, "ACTIVE", nil, []string{"DRAFT", "INACTIVE", "ARCHIVED"}},
		"archived":            {flag().Archived().Obj(), true, "ARCHIVED", nil, []string{"DRAFT", "INACTIVE", "ACTIVE"}},
		"archived as a draft": {flag().Disabled().Archived().Obj(), false, "ARCHIVED", nil, []string{"DRAFT", "INACTIVE"}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.wasEnabled {
				tc.flag.Status.FirstEnabledTime = new(metav1.Now())
			}
			check := func(status string) error {
				asked := FlagReadOnly{Status: json.RawMessage(`"` + status + `"`)}
				return asked.check(tc.flag, around, time.Now())
			}
			for _, status := range append(tc.taken, tc.is) {
				if err := check(status); err != nil {
					t.Errorf("%s is refused: %v", status, err)
				}
			}
			for _, status := range tc.refused {
				if check(status) == nil {
					t.Errorf("%s is taken, and nothing is done about it", status)
				}
			}
		})
	}
}

// Who lists flags and sends one of them back with another name must not be told that its environments differ.
func TestAFlagOfTheListCanBeSentBack(t *testing.T) {
	environments := []*v1alpha1.FlagEnvironment{
		builders.MakeEnvironment("production", "shop").Obj(), builders.MakeEnvironment("staging", "shop").Obj(),
	}
	flag := builders.MakeFlag("x", "shop").Boolean().
		Environment("production").Rule(builders.MakeRule("beta").Serve("on")).Override("alice", "on").Obj()
	listed, err := json.Marshal(showSummary(flag, environments, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	asked := FlagReadOnly{}
	if err := json.Unmarshal(listed, &asked); err != nil {
		t.Fatal(err)
	}
	if err := asked.check(flag, &surroundings{environments: environments}, time.Now()); err != nil {
		t.Error(err)
	}
}
