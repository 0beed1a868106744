// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

const (
	maxConditions      = 50
	maxAttributeLength = 256
	maxValues          = 1000
	maxValueLength     = 512

	// maxRegexpBytes bounds the text of a regular expression.
	maxRegexpBytes = 512

	// maxRegexpSize bounds a regular expression with its repetitions written out, in nodes of its syntax tree: 512 bytes
	// can ask for millions, and every reader of the datafile has to hold them.
	maxRegexpSize = 10000
)

const timeForm = "must be an RFC 3339 time, such as 2027-03-15T09:00:00Z"

// arity is how many values an operator takes.
type arity int

const (
	none arity = iota
	exactlyOne
	oneOrMore
)

// operand is what an operator asks of its values.
type operand struct {
	arity arity
	// check says what is wrong with a value. Empty means any value will do.
	check func(string) error
}

var operands = map[v1alpha1.Operator]operand{
	v1alpha1.OperatorIn:                       {arity: oneOrMore},
	v1alpha1.OperatorNotIn:                    {arity: oneOrMore},
	v1alpha1.OperatorExists:                   {arity: none},
	v1alpha1.OperatorDoesNotExist:             {arity: none},
	v1alpha1.OperatorGreaterThan:              {exactlyOne, checkNumber},
	v1alpha1.OperatorGreaterThanOrEqual:       {exactlyOne, checkNumber},
	v1alpha1.OperatorLessThan:                 {exactlyOne, checkNumber},
	v1alpha1.OperatorLessThanOrEqual:          {exactlyOne, checkNumber},
	v1alpha1.OperatorStartsWith:               {arity: oneOrMore},
	v1alpha1.OperatorNotStartsWith:            {arity: oneOrMore},
	v1alpha1.OperatorEndsWith:                 {arity: oneOrMore},
	v1alpha1.OperatorNotEndsWith:              {arity: oneOrMore},
	v1alpha1.OperatorContains:                 {arity: oneOrMore},
	v1alpha1.OperatorNotContains:              {arity: oneOrMore},
	v1alpha1.OperatorSemVerEqual:              {exactlyOne, checkVersion},
	v1alpha1.OperatorSemVerGreaterThan:        {exactlyOne, checkVersion},
	v1alpha1.OperatorSemVerGreaterThanOrEqual: {exactlyOne, checkVersion},
	v1alpha1.OperatorSemVerLessThan:           {exactlyOne, checkVersion},
	v1alpha1.OperatorSemVerLessThanOrEqual:    {exactlyOne, checkVersion},
	v1alpha1.OperatorSemVerTilde:              {exactlyOne, checkVersion},
	v1alpha1.OperatorSemVerCaret:              {exactlyOne, checkVersion},
	v1alpha1.OperatorBefore:                   {exactlyOne, checkTime},
	v1alpha1.OperatorAfter:                    {exactlyOne, checkTime},
	v1alpha1.OperatorBeforeUnix:               {exactlyOne, checkTime},
	v1alpha1.OperatorAfterUnix:                {exactlyOne, checkTime},
	v1alpha1.OperatorMatches:                  {exactlyOne, checkRegexp},
	v1alpha1.OperatorNotMatches:               {exactlyOne, checkRegexp},
	v1alpha1.OperatorInCIDR:                   {oneOrMore, checkNetwork},
	v1alpha1.OperatorNotInCIDR:                {oneOrMore, checkNetwork},
	v1alpha1.OperatorEqualFold:                {arity: oneOrMore},
	v1alpha1.OperatorNotEqualFold:             {arity: oneOrMore},
	v1alpha1.OperatorContainsFold:             {arity: oneOrMore},
	v1alpha1.OperatorNotContainsFold:          {arity: oneOrMore},
}

func (m *mistakes) conditions(path *field.Path, conditions []v1alpha1.Condition) {
	m.count(path, len(conditions), maxConditions)
	for i := range conditions {
		m.condition(path.Index(i), &conditions[i])
	}
}

func (m *mistakes) condition(path *field.Path, condition *v1alpha1.Condition) {
	m.name(path.Child("attribute"), condition.Attribute, maxAttributeLength)
	values := path.Child("values")
	m.count(values, len(condition.Values), maxValues)
	operand, known := operands[condition.Operator]
	if !known {
		if condition.Operator == "" {
			m.add(field.Required(path.Child("operator"), ""))
		} else {
			m.invalid(path.Child("operator"), string(condition.Operator), unknownOperator(string(condition.Operator)))
		}
		return
	}
	switch have := len(condition.Values); {
	case operand.arity == none && have > 0:
		m.add(field.Invalid(values, have, fmt.Sprintf("operator %s takes no values", condition.Operator)))
	case operand.arity == exactlyOne && have != 1:
		m.add(field.Invalid(values, have, fmt.Sprintf("operator %s takes exactly one value", condition.Operator)))
	case operand.arity == oneOrMore && have == 0:
		m.add(field.Required(values, fmt.Sprintf("operator %s takes one or more values", condition.Operator)))
	}
	for i, value := range condition.Values {
		if len(value) > maxValueLength {
			m.characters(values.Index(i), value, maxValueLength)
		}
		if operand.check == nil {
			continue
		}
		if err := operand.check(value); err != nil {
			m.invalid(values.Index(i), value, fmt.Sprintf("operator %s: %v", condition.Operator, err))
		}
	}
}

// checkNumber takes a decimal number that float64 can hold. The other forms that strconv knows, such as 0x1p-2, 1_000
// and inf, are not numbers in other languages.
func checkNumber(value string) error {
	if strings.Trim(value, "0123456789+-.eE") == "" {
		if number, err := strconv.ParseFloat(value, 64); err == nil && !math.IsInf(number, 0) {
			return nil
		}
	}
	return errors.New("must be a decimal number, such as 12.5")
}

// checkVersion takes a semantic version 2.0 of all three numbers, with at most one leading v.
func checkVersion(value string) error {
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(value, "v")); err != nil {
		return errors.New("must be a semantic version, such as 1.2.3")
	}
	return nil
}

func checkTime(value string) error {
	if !isTime(value) {
		return errors.New(timeForm)
	}
	return nil
}

// checkNetwork takes a network or, as a network of one, an address.
func checkNetwork(value string) error {
	if _, err := netip.ParsePrefix(value); err == nil {
		return nil
	}
	if address, err := netip.ParseAddr(value); err == nil && address.Zone() == "" {
		return nil
	}
	return errors.New("must be an IP network or address, such as 10.0.0.0/8")
}

// checkRegexp parses but does not compile: parsing finds every mistake and takes time in proportion to the text only.
func checkRegexp(value string) error {
	if len(value) > maxRegexpBytes {
		return fmt.Errorf("a regular expression has at most %d bytes", maxRegexpBytes)
	}
	expression, err := syntax.Parse(value, syntax.Perl)
	if err != nil {
		return fmt.Errorf("must be a regular expression (RE2): %w", err)
	}
	if evaluate.ExpressionSize(expression) > maxRegexpSize {
		return fmt.Errorf("the repetitions of a regular expression make at most %d parts; this one makes more", maxRegexpSize)
	}
	return nil
}
