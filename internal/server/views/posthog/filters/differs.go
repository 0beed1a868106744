// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// The engine compares text with text and numbers with numbers. Clients turn numbers, booleans and null into text, and
// text into numbers, each version in its own way. So the server is asked about a test whose answer could differ for a
// property of another type. The test's operator and value tell which these are. Lists and objects are not looked at:
// for them, every test of text could differ.

// otherTypes are the words that clients take booleans and null for, where text is looked for.
var otherTypes = []string{"true", "false", "null"}

// numeric are the characters of JSON's numbers.
const numeric = "0123456789+-.eE"

// differs says why clients may come to another answer than the engine for a property whose type is not that of the
// test. It is empty where they cannot.
func differs(condition *datafile.Condition) string {
	positive, negative := condition.Operator, false
	switch condition.Operator {
	case datafile.GreaterThan, datafile.GreaterThanOrEqual, datafile.LessThan, datafile.LessThanOrEqual:
		return fmt.Sprintf("text in %s is compared with a number in different ways", keyOf(condition.Attribute))
	case datafile.NotMatches:
		positive, negative = datafile.Matches, true
	case datafile.NotContains, datafile.NotContainsFold, datafile.NotStartsWith, datafile.NotEndsWith:
		positive, negative = datafile.Contains, true
	case datafile.ContainsFold, datafile.StartsWith, datafile.EndsWith:
		positive = datafile.Contains
	case datafile.NotEqualFold:
		positive = datafile.EqualFold // Every client reads null as a text there.
	case datafile.NotIn:
		// What has no case is shown as is_not, which every client reads as the engine does.
		positive, negative = datafile.In, slices.ContainsFunc(condition.Values, isCased)
	default:
	}
	// The targeting key is text for clients, too, and is never missing.
	if condition.Attribute == TargetingKey {
		return ""
	}
	if negative || positive == datafile.Exists {
		return fmt.Sprintf("clients before version 5 take null in %s for missing", keyOf(condition.Attribute))
	}
	for _, value := range condition.Values {
		if couldBeOther(positive, value) {
			return fmt.Sprintf("%q could be part of a number, boolean or null, which clients read as text", value)
		}
	}
	return ""
}

// couldBeOther reports whether a test of text could hold for a number, a boolean or null that is read as text.
func couldBeOther(operator datafile.Operator, value string) bool {
	switch operator {
	case datafile.Matches:
		return expressionCouldBeOther(value)
	case datafile.Contains:
		folded := strings.ToLower(value)
		return strings.Trim(value, numeric) == "" ||
			slices.ContainsFunc(otherTypes, func(word string) bool { return strings.Contains(word, folded) })
	case datafile.EqualFold:
		return strings.Trim(value, numeric) == "" || strings.EqualFold(value, "null")
	case datafile.In:
		return value == "null"
	default:
		return false
	}
}

// expressionCouldBeOther reports whether a regular expression could match a number, a boolean or null as text.
func expressionCouldBeOther(expression string) bool {
	compiled, err := regexp.Compile(expression)
	if err != nil || slices.ContainsFunc(otherTypes, compiled.MatchString) {
		return true
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	return err != nil || !needsText(parsed)
}

// needsText reports whether everything that an expression matches has a character that no number has.
func needsText(expression *syntax.Regexp) bool {
	switch expression.Op {
	case syntax.OpLiteral:
		return slices.ContainsFunc(expression.Rune, func(r rune) bool { return !strings.ContainsRune(numeric, r) })
	case syntax.OpCharClass:
		return !strings.ContainsFunc(numeric, func(r rune) bool { return inClass(expression.Rune, r) })
	case syntax.OpConcat:
		return slices.ContainsFunc(expression.Sub, needsText)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(expression.Sub, func(sub *syntax.Regexp) bool { return !needsText(sub) })
	case syntax.OpCapture, syntax.OpPlus:
		return needsText(expression.Sub[0])
	case syntax.OpRepeat:
		return expression.Min > 0 && needsText(expression.Sub[0])
	default:
		return false
	}
}

// inClass reports whether a character is in a class, which is pairs of first and last.
func inClass(pairs []rune, r rune) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] <= r && r <= pairs[i+1] {
			return true
		}
	}
	return false
}
