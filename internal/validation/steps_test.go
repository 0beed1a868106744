// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// A flag whose conditions take seconds is refused: whoever has a page's key could ask for it.
func TestStepsOfAFlagAreBounded(t *testing.T) {
	values := func(n, size int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = strings.Repeat("a", size) + strconv.Itoa(i)
		}
		return all
	}
	for name, tc := range map[string]struct {
		operator   v1alpha1.Operator
		values     []string
		conditions int
		admitted   bool
	}{
		"an expression of 9,000 parts": {v1alpha1.OperatorMatches, []string{strings.Repeat(".{900}", 5)}, 1, false},
		"an expression of 500 parts":   {v1alpha1.OperatorMatches, []string{strings.Repeat("a", 500)}, 5, true},
		"28 conditions of 1,000 parts": {v1alpha1.OperatorContains, values(1000, 5), 28, false},
		"a condition of 1,000 parts":   {v1alpha1.OperatorNotContainsFold, values(1000, 5), 5, true},
		"many long lists":              {v1alpha1.OperatorIn, values(1000, 5), 50, true},
	} {
		t.Run(name, func(t *testing.T) {
			rule, audience := builders.MakeRule("r").Serve("on"), builders.MakeAudience("a", "shop")
			var group []v1alpha1.Condition
			for range tc.conditions {
				rule = rule.Condition("x", tc.operator, tc.values...)
				group = append(group, builders.MakeCondition("x", tc.operator, tc.values...))
			}
			flag := builders.MakeFlag("f", "shop").Boolean().Environment("production").Rule(rule).Defaulted().Obj()
			for kind, errs := range map[string]string{
				"flag":     fmt.Sprint(validation.FeatureFlag(flag)),
				"audience": fmt.Sprint(validation.FlagAudience(audience.Group(group...).Obj())),
			} {
				if refused := strings.Contains(errs, "steps for attributes"); refused == tc.admitted {
					t.Errorf("the %s is refused: %t, %s", kind, refused, errs)
				}
			}
		})
	}
}
