// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// conditions must all hold.
func conditions(conditions []datafile.Condition) expression {
	operands := make([]expression, len(conditions))
	for i := range conditions {
		operands[i] = condition(&conditions[i]).within(
			fmt.Sprintf("operator %s on attribute %q", conditions[i].Operator, conditions[i].Attribute))
	}
	return and(operands...)
}

// condition is false, not an error, wherever the attribute is missing or of another type than the operator's; the
// negative operators are the negation of the positive ones, and so true there.
func condition(condition *datafile.Condition) expression {
	if value, rounded := condition.RoundedValue(); rounded {
		return inexpressible(
			fmt.Sprintf("with %s, which its numbers do not tell from the integers beside it", value),
			"compare strings",
		)
	}
	a := attribute(condition.Attribute)
	if say, found := operators[condition.Operator]; found {
		return say(a, condition.Values)
	}
	if positive, found := negations[condition.Operator]; found {
		return not(operators[positive](a, condition.Values))
	}
	return inexpressible("", "use another operator") // conditions names it.
}

// operators are the positive operators that flagd can say. In its sem_ver, ~ means the same minor version and ^ the
// same major version.
var operators = map[datafile.Operator]func(attribute, []string) expression{
	datafile.In:                       attribute.in,
	datafile.Exists:                   attribute.exists,
	datafile.StartsWith:               attribute.begins,
	datafile.EndsWith:                 attribute.ends,
	datafile.Contains:                 attribute.contains,
	datafile.GreaterThan:              one(attribute.compare, ">"),
	datafile.GreaterThanOrEqual:       one(attribute.compare, ">="),
	datafile.LessThan:                 one(attribute.compare, "<"),
	datafile.LessThanOrEqual:          one(attribute.compare, "<="),
	datafile.BeforeUnix:               one(attribute.compareInstant, "<"),
	datafile.AfterUnix:                one(attribute.compareInstant, ">"),
	datafile.SemVerEqual:              one(attribute.compareVersion, "="),
	datafile.SemVerGreaterThan:        one(attribute.compareVersion, ">"),
	datafile.SemVerGreaterThanOrEqual: one(attribute.compareVersion, ">="),
	datafile.SemVerLessThan:           one(attribute.compareVersion, "<"),
	datafile.SemVerLessThanOrEqual:    one(attribute.compareVersion, "<="),
	datafile.SemVerTilde:              one(attribute.compareVersion, "~"),
	datafile.SemVerCaret:              one(attribute.compareVersion, "^"),
}

// negations are the negative operators and what they negate.
var negations = map[datafile.Operator]datafile.Operator{
	datafile.NotIn: datafile.In, datafile.DoesNotExist: datafile.Exists, datafile.NotStartsWith: datafile.StartsWith,
	datafile.NotEndsWith: datafile.EndsWith, datafile.NotContains: datafile.Contains,
}

// one compares with exactly one value.
func one(compare func(attribute, string, string) expression, operator string) func(attribute, []string) expression {
	return func(a attribute, values []string) expression {
		if len(values) != 1 {
			return inexpressible(fmt.Sprintf("with %d values", len(values)), "give it one value")
		}
		return compare(a, operator, values[0])
	}
}

// attribute is the dot path of a value in the context.
type attribute string

const targetingKey attribute = "targetingKey"

func (a attribute) value() expression { return variable(string(a)) }

// reach holds where the path leads through objects only and the operands hold. The evaluators also walk into lists,
// each in its own way. What they have in common is that a list, or a string in JavaScript, has an element 0; so does
// the engine not walk into anything that has one.
func (a attribute) reach(operands ...expression) expression {
	names := strings.Split(string(a), ".")
	var objects []expression
	for i, name := range names {
		if !reachable(names[:i], name) {
			return inexpressible(
				fmt.Sprintf("the path %q, which the evaluators of flagd read differently", string(a)),
				"name the attribute otherwise",
			)
		}
		if i > 0 {
			objects = append(objects, same(variable(strings.Join(names[:i], ".")+".0"), null))
		}
	}
	return and(append(objects, operands...)...)
}

// The names of the functions that JavaScript's objects have without anybody having put them there, and those of its
// other values. Functions count as nothing at the end of a path, but have properties of their own.
var (
	ofObjects = strings.Fields(
		`__defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ constructor hasOwnProperty
		isPrototypeOf propertyIsEnumerable toLocaleString toString valueOf`,
	)
	ofValues = strings.Fields(
		`anchor apply at big bind blink bold call charAt charCodeAt codePointAt concat copyWithin endsWith
		entries every fill filter find findIndex findLast findLastIndex fixed flat flatMap fontcolor fontsize forEach includes
		indexOf isWellFormed italics join keys lastIndexOf link localeCompare map match matchAll normalize padEnd padStart pop
		push reduce reduceRight repeat replace replaceAll reverse search shift slice small some sort splice split startsWith
		strike sub substr substring sup toExponential toFixed toLocaleLowerCase toLocaleUpperCase toLowerCase toPrecision
		toReversed toSorted toSpliced toUpperCase toWellFormed trim trimEnd trimLeft trimRight trimStart unshift values with`,
	)
	ofFunctions = []string{"arguments", "caller", "name", "prototype"}
)

// reachable reports whether every evaluator reads name as the engine does, after the names before it in a path.
func reachable(before []string, name string) bool {
	if name == "" || name == "__proto__" || strings.ContainsAny(name, `\/`) {
		return false // Skipped by the Go core, inherited in JavaScript, or an escape there.
	}
	if len(before) == 0 {
		return name != "$flagd" // What flagd puts there itself.
	}
	if _, err := strconv.ParseFloat(name, 64); err == nil || errors.Is(err, strconv.ErrRange) || name == "length" {
		return false // An index, or what the Go core takes for one; the length of a list or string.
	}
	previous := before[len(before)-1]
	isFunction := slices.Contains(ofObjects, previous) || len(before) > 1 && slices.Contains(ofValues, previous)
	return previous != "constructor" && (!isFunction || !slices.Contains(ofFunctions, name))
}

func (a attribute) exists([]string) expression { return a.reach(different(a.value(), null)) }

// isText holds for a string. It must not stand inside of "some", where @openfeature/flagd-core cannot call it. The Go
// core logs an error where it does not hold, so it stands after what is false for a missing attribute.
func (a attribute) isText() expression { return apply("starts_with", a.value(), text("")) }

// in holds where the value, or any element where it is a list, equals one of values as its own type.
func (a attribute) in(values []string) expression {
	if len(values) == 0 {
		return never
	}
	element := variable("")
	equal, coerced, isTrue, isFalse := numbers(values)
	// Against strings, the Go core takes a number for the string that spells it, and 0 for all others.
	spelled := []expression{apply("in", element, texts(values))}
	for _, f := range coerced {
		spelled = append(spelled, different(element, number(f)))
	}
	either := []expression{and(spelled...)}
	if len(equal) > 0 {
		operands := make([]expression, len(equal))
		for i, f := range equal {
			operands[i] = number(f)
		}
		either = append(either, apply("in", element, list(operands...)))
	}
	if isTrue {
		either = append(either, same(element, always))
	}
	if isFalse {
		either = append(either, same(element, never))
	}
	// "merge" makes a list of a value that is none.
	return a.reach(apply("some", apply("merge", a.value()), or(either...)))
}

// numbers returns the numbers that equal one of values, and those that do not although the Go core takes them for one,
// and whether true and false are among values.
func numbers(values []string) (equal, coerced []float64, isTrue, isFalse bool) {
	for _, value := range values {
		f, err := strconv.ParseFloat(value, 64)
		switch {
		case math.IsInf(f, 0) || math.IsNaN(f):
		case err == nil && jsonNumber.MatchString(value):
			equal = append(equal, f+0) // Makes 0 of -0, so that equal ones are one.
		default:
			coerced = append(coerced, f+0)
		}
		isTrue = isTrue || value == "true"
		isFalse = isFalse || value == "false"
	}
	slices.Sort(equal)
	equal = slices.Compact(equal)
	slices.Sort(coerced)
	coerced = slices.DeleteFunc(slices.Compact(coerced), func(f float64) bool { return slices.Contains(equal, f) })
	return equal, coerced, isTrue, isFalse
}

// jsonNumber is the form of numbers in JSON (RFC 8259, section 6).
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func (a attribute) begins(prefixes []string) expression {
	return a.any(prefixes, func(prefix expression) expression { return apply("starts_with", a.value(), prefix) })
}

func (a attribute) ends(suffixes []string) expression {
	return a.any(suffixes, func(suffix expression) expression { return apply("ends_with", a.value(), suffix) })
}

func (a attribute) contains(parts []string) expression {
	return a.any(parts, func(part expression) expression {
		if part == text("") {
			return a.isText() // In JavaScript, the empty string counts as a list without elements.
		}
		return and(a.isText(), apply("in", part, a.value()))
	})
}

// any holds where the value is there and test holds for one of values.
func (a attribute) any(values []string, test func(expression) expression) expression {
	tests := make([]expression, len(values))
	for i, value := range values {
		tests[i] = test(text(value))
	}
	return a.reach(different(a.value(), null), or(tests...))
}

func (a attribute) compare(operator, value string) expression {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return inexpressible(fmt.Sprintf("with %q, which is no number", value), "write a number")
	}
	return a.compareNumber(operator, f)
}

func (a attribute) compareInstant(operator, value string) expression {
	instant, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return inexpressible(fmt.Sprintf("with %q, which is no time", value), "write an RFC 3339 time")
	}
	return a.compareNumber(operator, float64(instant.Unix())+float64(instant.Nanosecond())/1e9)
}

// compareNumber compares a value that is a number. JSONLogic has no test for that: the evaluators make numbers of
// strings and booleans, and JavaScript fails for objects and lists. So those are ruled out one by one.
func (a attribute) compareNumber(operator string, f float64) expression {
	value := a.value()
	return a.reach(
		same(value, value), // No object or list in Go, which does not compare them.
		different(value, null), different(value, always), different(value, never),
		apply("in", value, apply("merge", value)),               // No list.
		different(apply("cat", value), value),                   // No string.
		different(apply("cat", value), text("[object Object]")), // No object in JavaScript.
		apply(operator, value, number(f)))
}

// maxVersion is how many characters of a version @openfeature/flagd-core takes.
const maxVersion = 256

// version is a semantic version (https://semver.org, 2.0.0) whose minor and patch version may be left out, and whose
// numbers are within what JavaScript tells apart. Its groups tell which are left out.
var version = regexp.MustCompile(`^[vV]?(0|[1-9]\d{0,14})(\.(0|[1-9]\d{0,14}))?(\.(0|[1-9]\d{0,14})` +
	`(-(0|[1-9]\d{0,14}|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d{0,14}|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?` +
	`(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?)?$`)

// compareVersion compares a value that is a string and a semantic version, of which the minor and patch version may be
// left out. @openfeature/flagd-core also takes white space around it and a second v, which is ruled out by its first
// and last characters.
func (a attribute) compareVersion(operator, value string) expression {
	const digits = "0123456789"
	parts := version.FindStringSubmatch(value)
	if parts == nil || len(value) > maxVersion-len(".0.0") {
		return inexpressible(
			fmt.Sprintf("with %q, which is no semantic version that flagd knows", value),
			"write a version such as 1.2.3",
		)
	}
	target := strings.TrimLeft(value, "vV")
	if parts[2] == "" {
		target += ".0"
	}
	if parts[4] == "" {
		target += ".0"
	}
	first := func(i float64) expression { return apply("substr", a.value(), number(i), number(1)) }
	return a.reach(
		different(a.value(), null),
		a.isText(),
		or(apply("in", first(0), text(digits)), and(apply("in", first(0), text("vV")), apply("in", first(1), text(digits)))),
		apply(
			"in",
			apply("substr", a.value(), number(-1)),
			text(digits+"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"),
		),
		apply("sem_ver", a.value(), text(operator), text(target)),
	)
}
