// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// expression is a JSONLogic expression, or the reason why there is none. What cannot be said spreads through the
// functions below like any operand, and vanishes where the result does not depend on it.
type expression struct {
	// json is the canonical JSON. Constants are written as JSON's true, false and strings.
	json string
	// err is set where flagd cannot say the expression; json is then empty.
	err *NotExpressibleError
}

var (
	always = expression{json: "true"}
	never  = expression{json: "false"}
	null   = expression{json: "null"}
)

func inexpressible(construct, remedy string) expression {
	return expression{err: &NotExpressibleError{Construct: construct, Remedy: remedy}}
}

// within says where an inexpressible expression stands.
func (e expression) within(place string) expression {
	if e.err == nil {
		return e
	}
	if e.err.Construct != "" {
		place += ", " + e.err.Construct
	}
	return inexpressible(place, e.err.Remedy)
}

// isString reports whether e is a constant string.
func (e expression) isString() bool { return strings.HasPrefix(e.json, `"`) }

// text is the constant string s.
func text(s string) expression {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return expression{json: `"` + s + `"`}
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return inexpressible("a string", "correct it") // Unreachable: every Go string has a JSON form.
	}
	return expression{json: strings.TrimSuffix(buffer.String(), "\n")}
}

// number is the constant number f, which must be finite.
func number(f float64) expression {
	data, err := json.Marshal(f + 0) // Makes 0 of -0.
	if err != nil {
		return inexpressible("the number "+strconv.FormatFloat(f, 'g', -1, 64), "use a number that JSON can write")
	}
	return expression{json: string(data)}
}

// list is an array of operands.
func list(operands ...expression) expression {
	return join("[", operands, "]")
}

// texts is an array of constant strings.
func texts(values []string) expression {
	operands := make([]expression, len(values))
	for i, value := range values {
		operands[i] = text(value)
	}
	return list(operands...)
}

// apply is an operator applied to operands.
func apply(operator string, operands ...expression) expression {
	return join(`{"`+operator+`":[`, operands, "]}")
}

func join(begin string, operands []expression, end string) expression {
	size := len(begin) + len(operands) + len(end)
	for _, operand := range operands {
		if operand.err != nil {
			return operand
		}
		size += len(operand.json)
	}
	if size > MaxDefinitionSize {
		return tooLarge
	}
	var builder strings.Builder
	builder.Grow(size)
	builder.WriteString(begin)
	for i, operand := range operands {
		if i > 0 {
			builder.WriteByte(',')
		}
		builder.WriteString(operand.json)
	}
	builder.WriteString(end)
	return expression{json: builder.String()}
}

// variable is the value at a dot path of the context, null where there is none.
func variable(path string) expression {
	operand := text(path)
	return expression{json: `{"var":` + operand.json + `}`}
}

func and(operands ...expression) expression { return combine("and", always, never, operands) }

func or(operands ...expression) expression { return combine("or", never, always, operands) }

// combine leaves out operands that are neutral, is absorbing as soon as one operand is, and takes the operands of
// operands that are of the same operator.
func combine(operator string, neutral, absorbing expression, operands []expression) expression {
	begin := `{"` + operator + `":[`
	rest := make([]expression, 0, len(operands))
	for _, operand := range operands {
		switch operand {
		case absorbing:
			return absorbing
		case neutral:
		default:
			rest = append(rest, operand)
		}
	}
	switch len(rest) {
	case 0:
		return neutral
	case 1:
		return rest[0]
	}
	for i := range rest {
		if inner, isSame := strings.CutPrefix(rest[i].json, begin); isSame {
			rest[i].json = strings.TrimSuffix(inner, "]}")
		}
	}
	return join(begin, rest, "]}")
}

func not(operand expression) expression {
	switch operand {
	case always:
		return never
	case never:
		return always
	default:
		return apply("!", operand)
	}
}

func same(a, b expression) expression { return apply("===", a, b) }

func different(a, b expression) expression { return apply("!==", a, b) }

// choose is then where condition holds, and otherwise where it does not. A chain of choices becomes one flat "if".
func choose(condition, then, otherwise expression) expression {
	const begin = `{"if":[`
	switch {
	case condition == always:
		return then
	case condition == never:
		return otherwise
	case (then.isString() || then == null) && then == otherwise:
		return then
	}
	if branches, isChoice := strings.CutPrefix(otherwise.json, begin); isChoice {
		return join(begin, []expression{condition, then, {json: strings.TrimSuffix(branches, "]}")}}, "]}")
	}
	return join(begin, []expression{condition, then, otherwise}, "]}")
}
