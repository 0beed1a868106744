// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// condition is a property of a person in the form of the Kinds. It fails with what is wrong with the property's
// operator or value, and names which of the two.
func condition(property *Property) (found v1alpha1.Condition, field string, err error) {
	found.Attribute = property.Key
	if property.Key == DistinctID {
		found.Attribute = TargetingKey
	}
	if strings.Contains(property.Key, ".") {
		return found, "key", errors.New("properties whose names have a dot are not possible here")
	}
	operator := property.Operator
	switch operator {
	case "", "exact", "is_not":
		return equality(property, found)
	case "is_set":
		found.Operator = v1alpha1.OperatorExists
		return found, "", nil
	case "is_not_set":
		found.Operator = v1alpha1.OperatorDoesNotExist
		return found, "", nil
	}
	text, isScalar := Scalar(property.Value)
	if !isScalar {
		return found, "value", fmt.Errorf("operator %s takes one value", operator)
	}
	negative := strings.HasPrefix(operator, "not_")
	choose := func(positive, negation v1alpha1.Operator, value string) {
		found.Operator, found.Values = positive, []string{value}
		if negative {
			found.Operator = negation
		}
	}
	switch strings.TrimPrefix(operator, "not_") {
	case "icontains":
		choose(v1alpha1.OperatorContainsFold, v1alpha1.OperatorNotContainsFold, text)
	case "regex":
		choose(v1alpha1.OperatorMatches, v1alpha1.OperatorNotMatches, text)
	case "starts_with":
		choose(v1alpha1.OperatorMatches, v1alpha1.OperatorNotMatches, "(?i)^"+quote(text))
	case "ends_with":
		choose(v1alpha1.OperatorMatches, v1alpha1.OperatorNotMatches, "(?i)"+quote(text)+"$")
	case "is_date_before", "is_date_after":
		at, err := instant(text)
		if err != nil {
			return found, "value", err
		}
		text = at
		fallthrough
	default:
		var known bool
		if found.Operator, known = ordered[operator]; !known {
			return found, "operator", fmt.Errorf(
				"operator %q is not possible here; these are: %s", operator, strings.Join(propertyOperators(), ", "),
			)
		}
		found.Values = []string{text}
	}
	return found, "", nil
}

// ordered are the operators that compare by order.
var ordered = map[string]v1alpha1.Operator{
	"gt":             v1alpha1.OperatorGreaterThan,
	"gte":            v1alpha1.OperatorGreaterThanOrEqual,
	"lt":             v1alpha1.OperatorLessThan,
	"lte":            v1alpha1.OperatorLessThanOrEqual,
	"is_date_before": v1alpha1.OperatorBefore,
	"is_date_after":  v1alpha1.OperatorAfter,
	"semver_eq":      v1alpha1.OperatorSemVerEqual,
	"semver_gt":      v1alpha1.OperatorSemVerGreaterThan,
	"semver_gte":     v1alpha1.OperatorSemVerGreaterThanOrEqual,
	"semver_lt":      v1alpha1.OperatorSemVerLessThan,
	"semver_lte":     v1alpha1.OperatorSemVerLessThanOrEqual,
}

// equality is the condition of exact and is_not. Text with letters is compared without case, as PostHog does; numbers
// and booleans are compared as what they are.
func equality(property *Property, found v1alpha1.Condition) (v1alpha1.Condition, string, error) {
	var list []any
	switch value := property.Value.(type) {
	case []any:
		list = value
	case []string: // As properties are shown.
		for _, text := range value {
			list = append(list, text)
		}
	default:
		list = []any{value}
	}
	texts, words := 0, make([]string, 0, len(list))
	for _, value := range list {
		text, isScalar := Scalar(value)
		if !isScalar {
			return found, "value", errors.New("it is compared with text, numbers and booleans")
		}
		if isCased(text) && !isBoolean(text) {
			texts++
		}
		words = append(words, text)
	}
	found.Values = words
	switch {
	case len(words) == 0:
		return found, "value", errors.New("there is nothing to compare it with")
	case texts == 0:
		found.Operator = v1alpha1.OperatorIn
	case texts == len(words):
		found.Operator = v1alpha1.OperatorEqualFold
	default:
		return found, "value", errors.New("text cannot be mixed with numbers and booleans; make a group for each")
	}
	if property.Operator == "is_not" {
		found.Operator = map[v1alpha1.Operator]v1alpha1.Operator{
			v1alpha1.OperatorIn: v1alpha1.OperatorNotIn, v1alpha1.OperatorEqualFold: v1alpha1.OperatorNotEqualFold,
		}[found.Operator]
	}
	return found, "", nil
}

// Scalar is a JSON value as text, and false of one that is null, a list or an object.
func Scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case json.Number:
		text := v.String()
		if strings.ContainsAny(text, ".eE") {
			if number, err := v.Float64(); err == nil {
				text = strconv.FormatFloat(number, 'f', -1, 64)
			}
		}
		return text, true
	default:
		return "", false
	}
}

// instant is a date or time as RFC 3339. Times that are relative to now have no place in a Kind.
func instant(text string) (string, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC().Format(time.RFC3339Nano), nil
		}
	}
	return "", fmt.Errorf("%q is not a date such as 2027-03-15 or 2027-03-15T09:00:00Z", text)
}
