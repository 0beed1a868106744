// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var (
	jsonType    = reflect.TypeFor[v1alpha1.JSON]()
	timeType    = reflect.TypeFor[metav1.Time]()
	percentType = reflect.TypeFor[v1alpha1.Percent]()
)

// Types returns what in the spec of fields, an object as JSON gives it, has another type than kind's, a Kind's struct
// or a pointer to it. YAML's booleans and numbers without quotes are the usual reason. Types replaces each such value
// in fields by the one that was probably meant, or removes it, so that the object can be read and its other mistakes
// told.
func Types(fields map[string]any, kind any) field.ErrorList {
	structure := reflect.Indirect(reflect.ValueOf(kind)).Type()
	spec, found := structure.FieldByName("Spec")
	value, given := fields["spec"]
	if !found || !given {
		return nil
	}
	t := &typer{}
	if meant, keep := t.value(specPath, value, spec.Type); keep {
		fields["spec"] = meant
	} else {
		delete(fields, "spec")
	}
	return t.result()
}

// typer collects the values that have the wrong type.
type typer struct{ mistakes }

// value returns what stands for value in a field of a type, and whether anything does.
func (t *typer) value(path *field.Path, value any, want reflect.Type) (any, bool) {
	for want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	if value == nil || want == jsonType {
		return value, true
	}
	if want == timeType {
		return t.time(path, value)
	}
	switch want.Kind() {
	case reflect.String:
		return t.text(path, value, want)
	case reflect.Bool:
		return t.boolean(path, value)
	case reflect.Int32, reflect.Int64:
		return t.integer(path, value)
	case reflect.Slice:
		return t.list(path, value, want.Elem())
	case reflect.Map:
		return t.table(path, value, want.Elem())
	case reflect.Struct:
		return t.structure(path, value, want)
	default:
		return value, true
	}
}

// wrong reports a value of another type; detail says what to write.
func (t *typer) wrong(path *field.Path, value any, detail string) {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte("?")
	}
	t.add(&field.Error{
		Type: field.ErrorTypeTypeInvalid, Field: path.String(), BadValue: shown(string(text)), Detail: detail,
	})
}

func (t *typer) text(path *field.Path, value any, want reflect.Type) (any, bool) {
	var meant string
	switch value := value.(type) {
	case string:
		return value, true
	case bool:
		meant = "off"
		if value {
			meant = "on"
		}
		t.wrong(path, value, fmt.Sprintf(
			"must be text; YAML reads on, off, yes, no, y, n, true and false as a boolean unless they are in quotes: "+
				"write %q in quotes",
			meant,
		))
	case int64, float64, json.Number:
		meant = numberText(value)
		if want == percentType {
			meant += "%"
		}
		t.wrong(path, value, fmt.Sprintf("must be text, and is a number; write %q in quotes", meant))
	default:
		t.wrong(path, value, "must be text, and is "+article(value))
		return nil, false
	}
	return meant, true
}

func numberText(value any) string {
	if number, isFloat := value.(float64); isFloat {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func (t *typer) boolean(path *field.Path, value any) (any, bool) {
	if _, isBoolean := value.(bool); isBoolean {
		return value, true
	}
	t.wrong(path, value, "must be true or false without quotes, and is "+article(value))
	if text, isText := value.(string); isText {
		switch strings.ToLower(text) {
		case "true", "on", "yes":
			return true, true
		case "false", "off", "no":
			return false, true
		}
	}
	return nil, false
}

func (t *typer) integer(path *field.Path, value any) (any, bool) {
	switch number := value.(type) {
	case int64:
		return value, true
	case float64:
		if number == math.Trunc(number) && math.Abs(number) < 1<<53 {
			return int64(number), true
		}
		t.wrong(path, value, "must be a whole number; shares such as 12.5 and 87.5 are written 125 and 875")
		return nil, false
	}
	t.wrong(path, value, "must be a whole number without quotes, and is "+article(value))
	if text, isText := value.(string); isText {
		if number, err := strconv.ParseInt(text, 10, 32); err == nil {
			return number, true
		}
	}
	return nil, false
}

func (t *typer) time(path *field.Path, value any) (any, bool) {
	text, isText := value.(string)
	if !isText {
		t.wrong(path, value, timeForm+", and is "+article(value))
		return nil, false
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		t.invalid(path, text, timeForm)
		return nil, false
	}
	return value, true
}

func (t *typer) list(path *field.Path, value any, element reflect.Type) (any, bool) {
	items, isList := value.([]any)
	if !isList {
		_, isTable := value.(map[string]any)
		if isTable || element.Kind() == reflect.Struct {
			t.wrong(path, value, "must be a list, and is "+article(value)+"; begin each entry with \"- \"")
			if !isTable {
				return nil, false
			}
		} else {
			meant := fmt.Sprint(value)
			if truth, isBoolean := value.(bool); isBoolean {
				meant = map[bool]string{true: "on", false: "off"}[truth]
			}
			t.wrong(path, value, fmt.Sprintf("must be a list, and is a single value; write [%q]", shown(meant)))
			return []any{meant}, true
		}
		items = []any{value}
	}
	kept := make([]any, 0, len(items))
	for i, item := range items {
		if meant, keep := t.value(path.Index(i), item, element); keep {
			kept = append(kept, meant)
		}
	}
	return kept, true
}

func (t *typer) table(path *field.Path, value any, element reflect.Type) (any, bool) {
	table, isTable := value.(map[string]any)
	if !isTable {
		t.wrong(path, value, "must be a table of names and values, and is "+article(value))
		return nil, false
	}
	for name, item := range table {
		if meant, keep := t.value(path.Key(shown(name)), item, element); keep {
			table[name] = meant
		} else {
			delete(table, name)
		}
	}
	return table, true
}

func (t *typer) structure(path *field.Path, value any, want reflect.Type) (any, bool) {
	table, isTable := value.(map[string]any)
	if !isTable {
		t.wrong(path, value, "must be an object with fields, and is "+article(value))
		return nil, false
	}
	for described := range want.Fields() {
		name, _, _ := strings.Cut(described.Tag.Get("json"), ",")
		item, given := table[name]
		if !given || name == "" {
			continue
		}
		if meant, keep := t.value(path.Child(name), item, described.Type); keep {
			table[name] = meant
		} else {
			delete(table, name)
		}
	}
	return table, true
}

// article names the type of a JSON value.
func article(value any) string {
	switch value.(type) {
	case bool:
		return "a boolean"
	case string:
		return "text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "a number"
	}
}

// Merge adds to list what further says of other fields.
func Merge(list, further field.ErrorList) field.ErrorList {
	merged := list
	for _, err := range further {
		if !speaksOf(list, err.Field) {
			merged = append(merged, err)
		}
	}
	return merged
}

// speaksOf reports whether list speaks of a field, or of a field in it.
func speaksOf(list field.ErrorList, path string) bool {
	for _, err := range list {
		rest, within := strings.CutPrefix(err.Field, path)
		if within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}
