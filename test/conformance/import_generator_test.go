// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
)

// flagdGenerator makes random flagd files, and contexts whose attributes are of the types that the files compare them
// with.
type flagdGenerator struct{ *generator }

type object = map[string]any

// logic writes an operator of JSONLogic.
func logic(operator string, arguments ...any) object { return object{operator: arguments} }

// The attributes, of which each has one type, and the values that files compare them with and contexts have.
var (
	textValues = map[string][]string{
		"plan": {
			"free",
			"beta",
			"gold",
		},
		"country":      {"DE", "AT", "NL"},
		"email":        {"alice@example.com", "bob@example.org", "carol@example.com"},
		"user.name":    {"alice", "bob"},
		"targetingKey": {"alice", "bob", "user-1"},
	}
	texts          = []string{"plan", "country", "email", "user.name", "targetingKey"}
	numbersOf      = []string{"age", "user.spend"}
	versionsOf     = []string{"app.version"}
	booleans       = []string{"staff", "user.beta"}
	flagdVersions  = []string{"1.2.3", "1.3.0", "2.0.0", "2.1", "3", "2.0.0-rc.1"}
	flagdOperators = []string{"=", "!=", "<", "<=", ">", ">=", "^", "~"}
	comparedWith   = []any{-1, 0, 1, 18, 30, 2.5}
)

// read reads an attribute, rarely with a default for where it is missing.
func (g *flagdGenerator) read(attribute string, fallback any) object {
	switch {
	case g.chance(2):
		return object{"var": []any{attribute, fallback}}
	case g.chance(20):
		return object{"var": []any{attribute}}
	}
	return object{"var": attribute}
}

// either swaps what is compared now and then.
func (g *flagdGenerator) either(operator string, a, b any) object {
	if g.chance(20) {
		a, b = b, a
	}
	return logic(operator, a, b)
}

func (g *flagdGenerator) condition(depth int) any {
	if depth > 0 && g.chance(30) {
		switch g.IntN(3) {
		case 0:
			return logic("and", some(g.generator, 1, 3, func() any { return g.condition(depth - 1) })...)
		case 1:
			return logic("or", some(g.generator, 1, 3, func() any { return g.condition(depth - 1) })...)
		}
		return object{pick(g.generator, "!", "!", "!!"): []any{g.condition(depth - 1)}}
	}
	text := pick(g.generator, texts...)
	value := pick(g.generator, textValues[text]...)
	number := pick(g.generator, numbersOf...)
	switch n := g.IntN(100); {
	case n < 20:
		return g.either(pick(g.generator, "==", "===", "!=", "!=="), g.read(text, "free"), value)
	case n < 35:
		return logic(
			"in",
			g.read(text, "free"),
			some(g.generator, 1, 3, func() any { return pick(g.generator, textValues[text]...) }),
		)
	case n < 45:
		return logic(
			pick(g.generator, "starts_with", "ends_with"),
			g.read(text, ""),
			pick(g.generator, value[:1], value[len(value)-1:], value, "@example.com", ""),
		)
	case n < 60:
		return g.either(
			pick(g.generator, "<", "<=", ">", ">=", "==", "!=", "===", "!=="),
			g.read(number, 18),
			pick(g.generator, comparedWith...),
		)
	case n < 64:
		return logic(
			pick(g.generator, "<", "<="),
			pick(g.generator, comparedWith...),
			g.read(number, 18),
			pick(g.generator, comparedWith...),
		)
	case n < 67:
		return logic(
			"in",
			g.read(number, 18),
			some(g.generator, 1, 3, func() any { return pick(g.generator, comparedWith...) }),
		)
	case n < 77:
		return logic(
			"sem_ver",
			g.read(pick(g.generator, versionsOf...), "1.0.0"),
			pick(g.generator, flagdOperators...),
			pick(g.generator, flagdVersions...),
		)
	case n < 84:
		return g.either(pick(g.generator, "==", "===", "!="), g.read(pick(g.generator, booleans...), false), g.chance(70))
	case n < 88:
		return g.either(pick(g.generator, "==", "!="), g.read(pick(g.generator, text, number), nil), nil)
	case n < 95:
		return object{"$ref": fmt.Sprintf("shared-%d", g.IntN(3))}
	case n < 97:
		return logic("in", pick(g.generator, "@", "a"), g.read(text, ""))
	case n < 98:
		return g.read(pick(g.generator, booleans...), false)
	case n < 99:
		return logic(">=", object{"var": "$flagd.timestamp"}, now.Unix()+int64(g.IntN(3))-1)
	}
	return pick[any](
		g.generator,
		true,
		false,
		logic("==", logic("%", g.read(number, 18), 2), 0),
		logic("==", g.read(text, ""), pick(g.generator, "5", "true")),
	)
}

// choice chooses one of the variants.
func (g *flagdGenerator) choice(variants []string, depth int) any {
	switch n := g.IntN(100); {
	case depth > 0 && n < 35:
		arguments := []any{}
		for range 1 + g.IntN(3) {
			arguments = append(arguments, g.condition(2), g.choice(variants, depth-1))
		}
		if g.chance(60) {
			arguments = append(arguments, g.choice(variants, depth-1))
		}
		return logic("if", arguments...)
	case n < 55:
		return g.fractional(variants)
	case n < 60:
		dealt := object{"fractional": []any{[]any{true, pick(g.generator, 0, 25, 50)}, []any{false, 50}}}
		return logic("if", dealt, pick(g.generator, variants...), pick(g.generator, variants...))
	case n < 65:
		return nil
	}
	return pick(g.generator, variants...)
}

func (g *flagdGenerator) fractional(variants []string) any {
	arguments := []any{}
	switch n := g.IntN(100); {
	case n < 50:
	case n < 94:
		before := pick[any](g.generator, object{"var": "$flagd.flagKey"}, "salt-")
		arguments = append(
			arguments,
			logic("cat", before, object{"var": pick(g.generator, "targetingKey", "email", "user.name")}),
		)
	case n < 98:
		arguments = append(arguments, object{"var": "email"})
	default:
		arguments = append(arguments, logic("cat", object{"var": "email"}, object{"var": "plan"}))
	}
	for _, variant := range variants {
		switch {
		case g.chance(20):
			arguments = append(arguments, []any{variant})
		case g.chance(15):
			arguments = append(arguments, []any{logic("if", g.condition(1), variant, nil), 10})
		default:
			arguments = append(arguments, []any{variant, pick(g.generator, 0, 1, 10, 50, 90, 100)})
		}
	}
	return object{"fractional": arguments}
}

func (g *flagdGenerator) flag() object {
	kind := g.IntN(4)
	variants := []object{
		{"on": true, "off": false}, {"red": "#f00", "blue": "#00f", "grey": ""}, {"low": 1, "high": 2.5, "none": 0},
		{"small": object{"size": 1}, "large": object{"size": []any{1, nil}}},
	}[kind]
	names := [][]string{{"on", "off"}, {"red", "blue", "grey"}, {"low", "high", "none"}, {"small", "large"}}[kind]
	if kind == 0 && g.chance(20) { // A condition by itself chooses one of these.
		variants, names = object{"true": true, "false": false}, []string{"true", "false"}
	}
	flag := object{"state": "ENABLED", "variants": variants, "defaultVariant": pick(g.generator, names...)}
	if g.chance(6) {
		flag["state"] = "DISABLED"
	}
	if g.chance(10) {
		flag["defaultVariant"] = nil
	}
	switch {
	case g.chance(4):
	case g.chance(3):
		flag["targeting"] = object{}
	case names[0] == "true" && g.chance(40):
		flag["targeting"] = g.condition(2)
	default:
		arguments := []any{}
		for range 1 + g.IntN(3) {
			arguments = append(arguments, g.condition(2), g.choice(names, 1))
		}
		if g.chance(60) {
			arguments = append(arguments, g.choice(names, 1))
		}
		flag["targeting"] = logic("if", arguments...)
	}
	if g.chance(15) {
		flag["targeting"] = g.fractional(names)
	}
	return flag
}

func (g *flagdGenerator) definitions() object {
	flags, shared := object{}, object{}
	for i := range 3 {
		name := fmt.Sprintf("shared-%d", i)
		for shared[name] == nil {
			condition := g.condition(1)
			if encoded := fmt.Sprint(
				condition,
			); strings.HasPrefix(encoded, "map[") &&
				!strings.Contains(encoded, "$ref") { // flagd does not look for one in another.
				shared[name] = condition
			}
		}
	}
	for i := range 20 {
		flags[fmt.Sprintf("flag-%d", i)] = g.flag()
	}
	return object{"flags": flags, "$evaluators": shared}
}

// context makes a context in which every attribute has the type of the files, or is missing.
func (g *flagdGenerator) context() object {
	context := object{}
	put := func(attribute string, value any) {
		switch {
		case g.chance(75):
		case g.chance(80):
			return
		default:
			value = nil
		}
		if parent, name, isNested := strings.Cut(attribute, "."); isNested {
			nested, _ := context[parent].(object)
			if nested == nil {
				nested = object{}
				context[parent] = nested
			}
			nested[name] = value
			return
		}
		context[attribute] = value
	}
	for _, attribute := range texts {
		value := pick(g.generator, textValues[attribute]...)
		put(attribute, pick(g.generator, value, value, value, "x", fmt.Sprintf("user-%d", g.IntN(1000)), value+"!", ""))
	}
	for _, attribute := range numbersOf {
		put(attribute, pick[any](g.generator, -1.0, 0.0, 1.0, 2.5, 18.0, 30.0, 17.0, 31.5))
	}
	for _, attribute := range versionsOf {
		put(attribute, pick(g.generator, pick(g.generator, flagdVersions...), "1.2.4", "v2.0.0", "10.0.0", "x", ""))
	}
	for _, attribute := range booleans {
		put(attribute, g.chance(50))
	}
	return context
}
