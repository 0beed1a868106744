// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// condition is a prepared datafile.Condition.
type condition struct {
	path path
	gate
	predicate predicate
	cost      cost
	negative  bool
	operator  datafile.Operator // The positive one.

	// place is the attribute's among the evaluation's shared ones, and unshared where no other condition of the flag looks
	// at it.
	place uint8
}

// predicate is a positive operator with the values that it compares an attribute with.
type predicate interface {
	// holds reports whether an attribute passes. The attribute is nil where it is missing.
	holds(attribute any) bool
}

// operators make the predicates of the positive operators.
var operators = map[datafile.Operator]func(values []string) (predicate, error){
	datafile.In:                       newSet,
	datafile.Exists:                   newExists,
	datafile.GreaterThan:              newNumber(order{greater: true}),
	datafile.GreaterThanOrEqual:       newNumber(order{equal: true, greater: true}),
	datafile.LessThan:                 newNumber(order{less: true}),
	datafile.LessThanOrEqual:          newNumber(order{less: true, equal: true}),
	datafile.StartsWith:               newPrefixes,
	datafile.EndsWith:                 newSuffixes,
	datafile.Contains:                 newParts,
	datafile.SemVerEqual:              newRelease(order{equal: true}),
	datafile.SemVerGreaterThan:        newRelease(order{greater: true}),
	datafile.SemVerGreaterThanOrEqual: newRelease(order{equal: true, greater: true}),
	datafile.SemVerLessThan:           newRelease(order{less: true}),
	datafile.SemVerLessThanOrEqual:    newRelease(order{less: true, equal: true}),
	datafile.SemVerTilde:              newReleaseLine(2),
	datafile.SemVerCaret:              newReleaseLine(1),
	datafile.Before:                   newMoment(order{less: true}),
	datafile.After:                    newMoment(order{greater: true}),
	datafile.BeforeUnix:               newUnixTime(order{less: true}),
	datafile.AfterUnix:                newUnixTime(order{greater: true}),
	datafile.Matches:                  newExpression,
	datafile.InCIDR:                   newNetworks,
	datafile.EqualFold:                newFoldedTexts,
	datafile.ContainsFold:             newFoldedParts,
}

// negations are the negative operators, which hold where the positive ones do not.
var negations = map[datafile.Operator]datafile.Operator{
	datafile.NotIn:           datafile.In,
	datafile.DoesNotExist:    datafile.Exists,
	datafile.NotStartsWith:   datafile.StartsWith,
	datafile.NotEndsWith:     datafile.EndsWith,
	datafile.NotContains:     datafile.Contains,
	datafile.NotMatches:      datafile.Matches,
	datafile.NotInCIDR:       datafile.InCIDR,
	datafile.NotEqualFold:    datafile.EqualFold,
	datafile.NotContainsFold: datafile.ContainsFold,
}

func newConditions(from []datafile.Condition) ([]condition, error) {
	conditions := make([]condition, len(from))
	for i := range from {
		c := &conditions[i]
		c.path, c.operator, c.place = newPath(from[i].Attribute), from[i].Operator, unshared
		if positive, negative := negations[c.operator]; negative {
			c.operator, c.negative = positive, true
		}
		newPredicate, known := operators[c.operator]
		if !known {
			return nil, fmt.Errorf("condition %d: unknown operator %q", i+1, from[i].Operator)
		}
		var err error
		if c.predicate, err = newPredicate(from[i].Values); err != nil {
			return nil, fmt.Errorf("condition %d: operator %s: %w", i+1, from[i].Operator, err)
		}
		c.gate = gateOf(c.predicate)
		c.cost = costOf(c.predicate)
	}
	return conditions, nil
}

// one returns the value of an operator that takes one.
func one(values []string) (string, error) {
	if len(values) != 1 {
		return "", fmt.Errorf("takes one value, not %d", len(values))
	}
	return values[0], nil
}
