// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// PostHog's tests of text know no case, but for regular expressions. What the engine tests with case is therefore a
// regular expression for clients that evaluate, and what they test without case is one of the operators …Fold. A test
// is left to the server where the two differ for any ordinary value of a property: text, numbers and booleans.

// maxExpression is the size of a regular expression that clients are given for a list of texts, in bytes.
const maxExpression = 16 << 10

// same are the operators that mean the same in both worlds, for every value of the property that the tests here let
// through.
var same = map[datafile.Operator]string{
	datafile.In:                       "exact",
	datafile.NotIn:                    "is_not",
	datafile.EqualFold:                "exact",
	datafile.NotEqualFold:             "is_not",
	datafile.ContainsFold:             "icontains",
	datafile.NotContainsFold:          "not_icontains",
	datafile.Exists:                   "is_set",
	datafile.DoesNotExist:             "is_not_set",
	datafile.GreaterThan:              "gt",
	datafile.GreaterThanOrEqual:       "gte",
	datafile.LessThan:                 "lt",
	datafile.LessThanOrEqual:          "lte",
	datafile.Before:                   "is_date_before",
	datafile.After:                    "is_date_after",
	datafile.Matches:                  "regex",
	datafile.NotMatches:               "not_regex",
	datafile.Contains:                 "regex",
	datafile.NotContains:              "not_regex",
	datafile.StartsWith:               "regex",
	datafile.NotStartsWith:            "not_regex",
	datafile.EndsWith:                 "regex",
	datafile.NotEndsWith:              "not_regex",
	datafile.SemVerEqual:              "semver_eq",
	datafile.SemVerGreaterThan:        "semver_gt",
	datafile.SemVerGreaterThanOrEqual: "semver_gte",
	datafile.SemVerLessThan:           "semver_lt",
	datafile.SemVerLessThanOrEqual:    "semver_lte",
}

// Matches of these forms are what PostHog calls starts_with and ends_with.
var (
	startsWith = regexp.MustCompile(`^\(\?i\)\^((?:[^\\.+*?()|\[\]{}^$]|\\[\\.+*?()|\[\]{}^$])+)$`)
	endsWith   = regexp.MustCompile(`^\(\?i\)((?:[^\\.+*?()|\[\]{}^$]|\\[\\.+*?()|\[\]{}^$])+)\$$`)
)

// quote is the expression for a text, literally.
func quote(text string) string { return regexp.QuoteMeta(text) }

// unquote is the text of an expression that quote made.
func unquote(expression string) string {
	var text strings.Builder
	for i := 0; i < len(expression); i++ {
		if expression[i] == '\\' && i+1 < len(expression) {
			i++
		}
		text.WriteByte(expression[i])
	}
	return text.String()
}

// Property is a condition in PostHog's form, and why a client that evaluates by itself may come to another answer,
// which is empty where it does not.
func (s *Surroundings) Property(condition *datafile.Condition) (property Property, remote string) {
	property = Property{Key: keyOf(condition.Attribute), Type: TypePerson}
	operator, known := same[condition.Operator]
	if !known {
		property.Operator, property.Value = string(condition.Operator), condition.Values
		return property, fmt.Sprintf("PostHog has no operator %s", condition.Operator)
	}
	property.Operator = operator
	property.Value, remote = s.value(condition, &property)
	switch {
	case strings.Contains(condition.Attribute, "."):
		remote = condition.Attribute + " is inside another property"
	case condition.Attribute == DistinctID:
		remote = "the attribute distinct_id need not be the targeting key"
	case remote == "":
		remote = differs(condition)
	}
	return property, remote
}

// value is what a property is compared with. It changes the operator where the value says the rest.
func (s *Surroundings) value(condition *datafile.Condition, property *Property) (value any, remote string) {
	values := condition.Values
	switch condition.Operator {
	case datafile.In, datafile.NotIn:
		return s.listed(condition, property)
	case datafile.EqualFold, datafile.NotEqualFold:
		for _, text := range values {
			if !isASCII(text) || !isCased(text) || isBoolean(text) {
				remote = fmt.Sprintf("%q is compared as text only", text)
			}
		}
		return values, remote
	case datafile.ContainsFold, datafile.NotContainsFold:
		if len(values) != 1 {
			return values, "more than one text is looked for"
		}
		if !isASCII(values[0]) {
			remote = fmt.Sprintf("%q has letters outside ASCII", values[0])
		}
		return values[0], remote
	case datafile.Exists, datafile.DoesNotExist:
		return property.Operator, ""
	case datafile.GreaterThan, datafile.GreaterThanOrEqual, datafile.LessThan, datafile.LessThanOrEqual:
		if !server.IsFloat(values[0]) {
			return values[0], "" // Text comes back as it is.
		}
		return json.Number(values[0]), ""
	case datafile.Contains, datafile.NotContains:
		return joined(values), tooLong(values)
	case datafile.StartsWith, datafile.NotStartsWith:
		return "^" + joined(values), tooLong(values)
	case datafile.EndsWith, datafile.NotEndsWith:
		return joined(values) + "$", tooLong(values)
	case datafile.Matches, datafile.NotMatches:
		return expression(condition, property)
	case datafile.Before, datafile.After:
		return values[0], "clients take dates without a time or zone for times"
	default:
		return values[0], "versions before a release are ordered"
	}
}

// listed is the value of In and NotIn. Clients get an expression where case matters, which exact does not look at.
func (s *Surroundings) listed(condition *datafile.Condition, property *Property) (value any, remote string) {
	values := condition.Values
	if !s.Local {
		return values, ""
	}
	for _, text := range values {
		if number, err := strconv.ParseFloat(text, 64); err == nil && strconv.FormatFloat(number, 'f', -1, 64) != text {
			return values, fmt.Sprintf("%q is compared as a number", text)
		}
	}
	if !slices.ContainsFunc(values, isCased) {
		return values, ""
	}
	property.Operator = "regex"
	if condition.Operator == datafile.NotIn {
		property.Operator = "not_regex"
	}
	return "^" + joined(values) + "$", tooLong(values)
}

// tooLong says of texts whether they make an expression that no client should get.
func tooLong(texts []string) string {
	size := 0
	for _, text := range texts {
		size += len(text)
		if !isASCII(text) || strings.ContainsAny(text, "\n\r") {
			return fmt.Sprintf("%q has characters that expressions read in different ways", text)
		}
	}
	if size > maxExpression {
		return "there are too many texts"
	}
	return ""
}

// expression is the value of Matches and NotMatches.
func expression(condition *datafile.Condition, property *Property) (value any, remote string) {
	text := condition.Values[0]
	not := ""
	if condition.Operator == datafile.NotMatches {
		not = "not_"
	}
	if found := startsWith.FindStringSubmatch(text); found != nil {
		property.Operator = not + "starts_with"
		return unquote(found[1]), tooLong(found[1:])
	}
	if found := endsWith.FindStringSubmatch(text); found != nil {
		property.Operator = not + "ends_with"
		return unquote(found[1]), tooLong(found[1:])
	}
	if !isPortable(text) {
		return text, "the expression is read in different ways"
	}
	return text, ""
}

// escapes are the classes and characters that every client's expressions know.
const escapes = "dDwWnrt"

// isPortable reports whether an expression means the same in the languages of PostHog's clients: it is ASCII, without
// flags and without escapes or classes that only one of them knows.
func isPortable(expression string) bool {
	if !isASCII(expression) || strings.Contains(strings.ReplaceAll(expression, "(?:", ""), "(?") ||
		strings.Contains(expression, "[[:") {
		return false
	}
	for i := 0; i < len(expression); i++ {
		if expression[i] != '\\' {
			continue
		}
		if i++; i == len(expression) {
			return false
		}
		c := expression[i]
		if isLetterOrDigit(c) && !strings.ContainsRune(escapes, rune(c)) {
			return false
		}
	}
	_, err := syntax.Parse(expression, syntax.Perl)
	return err == nil
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isCased reports whether a text has letters of which there are small and large ones.
func isCased(text string) bool { return strings.ToLower(text) != strings.ToUpper(text) }

func isBoolean(text string) bool {
	return strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}
