// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fromSchema makes a value that a schema allows, nearly always.
func (f *fuzzer) fromSchema(schema map[string]any, name string, depth int) any {
	if reference, ok := schema["$ref"].(string); ok {
		schema = f.document.at(strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
	}
	if depth > 8 {
		return nil
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return values[f.IntN(len(values))]
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok && len(kinds) > 0 {
		kind, _ = kinds[f.IntN(len(kinds))].(string)
	}
	switch kind {
	case "null":
		return nil
	case "boolean":
		return f.oneIn(2)
	case "integer":
		return f.IntN(6)
	case "number":
		return []float64{0, 0.25, 0.5, 1, 25, 50, 100}[f.IntN(7)]
	case "string":
		return f.text(name, schema)
	case "array":
		items, _ := schema["items"].(map[string]any)
		list := []any{}
		for range f.IntN(4) {
			list = append(list, f.fromSchema(items, name, depth+1))
		}
		return list
	case "object":
		return f.object(schema, depth)
	default:
		return f.anything()
	}
}

func (f *fuzzer) object(schema map[string]any, depth int) map[string]any {
	made := map[string]any{}
	required, _ := schema["required"].([]any)
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if property, ok := properties[name].(map[string]any); ok && (slices.Contains(required, any(name)) || f.oneIn(3)) {
			made[name] = f.fromSchema(property, name, depth+1)
		}
	}
	if open, ok := schema["additionalProperties"].(map[string]any); ok {
		for range f.IntN(3) {
			made[f.pick("plan", "country", "on", "x")] = f.fromSchema(open, "", depth+1)
		}
	}
	return made
}

// text is a string, which means something where the name tells what it should be.
func (f *fuzzer) text(name string, schema map[string]any) string {
	if schema["format"] == "date-time" {
		return f.pick(
			"2035-03-15T09:00:00Z",
			"2036-01-01T00:00:00+14:00",
			"1969-12-31T23:59:59Z",
			"9999-12-31T23:59:59Z",
			"2027-02-30T00:00:00Z",
		)
	}
	if known := f.ids[name]; len(known) > 0 {
		return f.value(name)
	}
	if f.oneIn(15) {
		return f.hostile()
	}
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "variation"):
		return f.pick("on", "off", "on", "off", "maybe")
	case strings.Contains(lower, "audience"):
		return f.pick("beta-testers", "nobody")
	case lower == "value":
		return f.pick("true", "false", `"blue"`, "1", "{}", "[1]", "null", "blue")
	case strings.Contains(lower, "operator"):
		return f.pick("In", "is", "exact", "one_of", "Exists", "gt", "icontains", "matches", "SemVerGreaterThan", "between")
	case strings.Contains(lower, "timezone"):
		return f.pick("America/New_York", "UTC", "Mars/Phobos", "../../etc/passwd")
	case lower == "key":
		return f.pick("on", "off", "plan", fmt.Sprintf("key-%d", f.IntN(1000)))
	}
	return f.pick(
		"on",
		"off",
		"true",
		"beta",
		"plan",
		"alice@example.com",
		"purchase",
		"Some name",
		fmt.Sprintf("name-%d", f.IntN(1000)),
	)
}

// mutate changes one place in a body.
func (f *fuzzer) mutate(body any) any {
	switch typed := body.(type) {
	case map[string]any:
		if len(typed) > 0 && !f.oneIn(5) {
			names := slices.Sorted(maps.Keys(typed))
			name := names[f.IntN(len(names))]
			if f.oneIn(4) {
				delete(typed, name)
			} else {
				typed[name] = f.mutate(typed[name])
			}
			return typed
		}
		typed[f.pick("unexpected", "__proto__", "", "id", f.hostile())] = f.anything()
		return typed
	case []any:
		if len(typed) > 0 && f.oneIn(2) {
			place := f.IntN(len(typed))
			typed[place] = f.mutate(typed[place])
			return typed
		}
		if len(typed) > 0 && f.oneIn(3) {
			return append(typed, typed...)
		}
	}
	return f.anything()
}

// anything is a value of any type.
func (f *fuzzer) anything() any {
	switch f.IntN(8) {
	case 0:
		return nil
	case 1:
		return f.oneIn(2)
	case 2:
		return []any{-1, 0, 1e18, -1e308, 0.1, 1e-320, 9007199254740993, 2147483648}[f.IntN(8)]
	case 3:
		return []any{f.hostile(), map[string]any{}}
	case 4:
		return map[string]any{f.hostile(): f.hostile(), "key": "on", "value": []any{}}
	case 5:
		return []any{}
	default:
		return f.hostile()
	}
}

// hostile is a string that might break something.
func (f *fuzzer) hostile() string {
	if f.oneIn(40) {
		return strings.Repeat(f.pick("a", "é", "/", "\x00", "🏴"), 1<<f.IntN(13))
	}
	return f.pick(
		"",
		" ",
		"\x00",
		"a\x00b",
		"..",
		".",
		"../../../etc/passwd",
		"/",
		"//",
		"%",
		"%00",
		"%2e%2e%2f",
		"é",
		"🏴󠁧󠁢󠁥󠁮󠁧󠁿",
		"\u202e",
		"\ufeff",
		"\xff\xfe",
		"\xed\xa0\x80",
		"NaN",
		"1e999",
		"-1",
		"0",
		"9223372036854775808",
		"true",
		"null",
		"undefined",
		"[]",
		"{}",
		"' OR 1=1 --",
		"<script>",
		"${jndi:ldap://x}",
		"{{7*7}}",
		"a\nb",
		"\t",
		"(a+)+$",
		"[",
		"(?P<",
		"\\",
		"2027-13-45T99:99:99Z",
		"00000000-0000-0000-0000-000000000000",
		"default.production",
		".",
		"a.b.c",
		"*",
		"@current",
		strings.Repeat("9", 400),
		"-",
		"system:masters",
		"1.2.3-beta+x",
		"10.0.0.0/8",
		"kube-system",
	)
}

// corrupt breaks the text of a body.
func (f *fuzzer) corrupt(data []byte) []byte {
	switch f.IntN(9) {
	case 0:
		return data[:f.IntN(len(data)+1)]
	case 1:
		return slices.Insert(slices.Clone(data), f.IntN(len(data)+1), 0)
	case 2:
		return slices.Insert(slices.Clone(data), f.IntN(len(data)+1), 0xff)
	case 3:
		return bytes.Repeat([]byte("["), 200_000)
	case 4:
		return []byte(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000))
	case 5:
		return []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	case 6:
		return append(slices.Clone(data), data...)
	case 7:
		return []byte(strings.NewReplacer("0", "1e999", "1", "-0.0").Replace(string(data)))
	default:
		return []byte(strings.ReplaceAll(string(data), `":"`, `":"\ud800`))
	}
}

func (f *fuzzer) oneIn(n int) bool { return f.IntN(n) == 0 }

func (f *fuzzer) pick(from ...string) string { return from[f.IntN(len(from))] }
