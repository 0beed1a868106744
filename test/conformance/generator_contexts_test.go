// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// asked yields what the flag's result may depend on: its conditions, hashed attributes and targeting keys.
func asked(
	document *datafile.Document,
	key string,
	condition func(datafile.Condition),
	subject, targetingKey func(string),
) {
	flag := document.Flags[key]
	if flag == nil {
		return
	}
	for _, prerequisite := range flag.Prerequisites {
		asked(document, prerequisite.Flag, condition, subject, targetingKey)
	}
	for key := range flag.Overrides {
		targetingKey(key)
	}
	for _, rule := range flag.Rules {
		for _, c := range rule.Conditions {
			condition(c)
		}
		if rule.Split != nil || rule.Traffic != nil {
			subject(rule.HashAttribute)
		}
		for _, name := range rule.Audiences {
			audience := document.Audiences[name]
			if audience == nil {
				continue
			}
			for _, member := range audience.Members {
				targetingKey(member)
			}
			for _, group := range audience.Groups {
				for _, c := range group.Conditions {
					condition(c)
				}
			}
		}
	}
}

// attributes returns the paths that are hashed for the flag, and those that are compared as versions.
func attributes(document *datafile.Document, key string) (subjects, versions map[string]bool) {
	subjects, versions = map[string]bool{}, map[string]bool{}
	asked(document, key, func(c datafile.Condition) {
		if strings.HasPrefix(string(c.Operator), "SemVer") {
			versions[c.Attribute] = true
		}
	}, func(path string) {
		if path == "" {
			path = "targetingKey"
		}
		subjects[path] = true
	}, func(string) {})
	return subjects, versions
}

// lookUp walks a dot path through objects.
func lookUp(context map[string]any, path string) any {
	var value any = context
	for name := range strings.SplitSeq(path, ".") {
		object, isObject := value.(map[string]any)
		if !isObject {
			return nil
		}
		value = object[name]
	}
	return value
}

// context makes a context that the flag has something to say about.
func (g *generator) context(document *datafile.Document, key string) map[string]any {
	context := map[string]any{}
	var targetingKeys []string
	asked(document, key, func(c datafile.Condition) {
		if g.chance(75) {
			g.put(context, c.Attribute, g.near(c))
		}
	}, func(path string) {
		if path != "" && g.chance(60) {
			g.put(context, path, g.text())
		}
	}, func(key string) { targetingKeys = append(targetingKeys, key) })
	slices.Sort(targetingKeys) // Overrides come in random order.
	switch {
	case len(targetingKeys) > 0 && g.chance(50):
		context["targetingKey"] = pick(g, targetingKeys...)
	case g.chance(80):
		context["targetingKey"] = pick(
			g,
			fmt.Sprintf("user-%d", g.IntN(1000)),
			fmt.Sprintf("user-%d", g.IntN(1000)),
			g.text(),
		)
	case g.chance(30):
		context["targetingKey"] = g.oddValue()
	}
	if g.chance(5) {
		context["user"] = g.oddValue()
	}
	return context
}

// put sets the value at a path, and now and then something odd on the way there.
func (g *generator) put(context map[string]any, path string, value any) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		object, isObject := context[name].(map[string]any)
		if !isObject {
			object = map[string]any{}
			if g.chance(5) {
				object["0"] = g.oddValue()
			}
			context[name] = object
		}
		if g.chance(3) {
			context[name] = g.oddValue()
		}
		context = object
	}
	context[names[len(names)-1]] = value
}

// near is a value that a condition holds for, or almost.
func (g *generator) near(c datafile.Condition) any {
	if g.chance(15) {
		return g.oddValue()
	}
	if len(c.Values) == 0 {
		return pick[any](g, g.text(), 5, true, nil)
	}
	value := pick(g, c.Values...)
	if strings.HasPrefix(string(c.Operator), "SemVer") {
		return pick(g, value, pick(g, versions...), pick(g, attributeVersions...))
	}
	if instant, err := time.Parse(time.RFC3339, value); err == nil {
		return pick[any](
			g,
			instant.Unix(),
			instant.Unix()+1,
			instant.Unix()-1,
			float64(instant.UnixMilli())/1000,
			value,
			strconv.FormatInt(instant.Unix(), 10),
		)
	}
	values := []any{
		value,
		value,
		" " + value,
		value + " ",
		"x" + value + "x",
		strings.ToUpper(value),
		[]any{value},
		[]any{"other", value},
		[]any{g.oddValue(), value},
	}
	if number, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
		values = append(
			values,
			number,
			number,
			number+1,
			number-1,
			number+0.5,
			[]any{number},
			json.Number(strconv.FormatFloat(number, 'g', -1, 64)),
			float32(number),
		)
		if number == float64(int64(number)) {
			values = append(values, int64(number), int(number))
		}
	}
	if value == "true" || value == "false" {
		values = append(values, value == "true", value == "true", []any{value == "true"})
	}
	return pick(g, values...)
}

// oddValue is a value of any type.
func (g *generator) oddValue() any {
	return pick[any](
		g,
		nil,
		true,
		false,
		0,
		1,
		5,
		-1.5,
		1e21,
		5e-324,
		uint8(5),
		int32(-3),
		float32(0.1),
		json.Number("5"),
		json.Number("-0"),
		g.text(),
		g.text(),
		[]any{},
		[]any{nil},
		[]any{g.text()},
		[]string{g.text(), "x"},
		[]any{5, "5", true, nil, 0},
		[]any{[]any{"x"}},
		[]any{map[string]any{"plan": "x"}},
		[]any{
			[]any{},
			[]any{1},
		},
		map[string]any{},
		map[string]any{"plan": g.text()},
		map[string]any{"0": "x", "plan": "beta"},
		map[string]any{"length": 3},
		map[string]any{"var": "plan"},
		[][]any{},
		time.Unix(now.Unix(), 5e8).UTC(),
	)
}
