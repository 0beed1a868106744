// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

const (
	// maxSteps bounds what the conditions of a flag in one environment, or of an audience, cost: the steps of
	// evaluate.Budget, each of about a nanosecond. The server gives a request as many.
	maxSteps = 20_000_000

	// judgedText and judgedElements are the texts, in bytes, and lists of the context that conditions are judged by.
	// Longer ones are what the server's budget of a request is for.
	judgedText     = 256
	judgedElements = 100
)

// steps refuses conditions that take too long together, which every evaluation would.
func (m *mistakes) steps(path *field.Path, what string, conditions ...[]v1alpha1.Condition) {
	total := int64(0)
	for _, list := range conditions {
		for i := range list {
			operator := datafile.Operator(list[i].Operator)
			if check := operands[list[i].Operator].check; check != nil && slices.ContainsFunc(
				list[i].Values,
				func(value string) bool { return check(value) != nil },
			) {
				continue // What is wrong with the value is said already.
			}
			total += evaluate.ConditionSteps(operator, list[i].Values, judgedText, judgedElements)
		}
	}
	if total > maxSteps {
		m.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(
			"the conditions of %s take up to %d steps for attributes of %d bytes, and at most %d are admitted; "+
				"use fewer values under Contains and ContainsFold, and smaller regular expressions",
			what, total, judgedText, maxSteps,
		)))
	}
}
