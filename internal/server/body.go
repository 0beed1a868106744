// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// nullSuffix ends what is said of a field that is null. Huma hands over only the text of such a mistake, so that the
// field is read from what comes before.
const nullSuffix = ": null is not a value here; give a value or leave the field out"

// twiceSuffix ends what is said of a member that an object has twice, like nullSuffix.
const twiceSuffix = ": is there twice; send it once"

// readBody reads JSON into what huma asks for, and refuses a null where it would mean nothing, and a member that is there
// twice. Huma itself takes a null for a field that was left out, and of two members the last.
func readBody(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	if _, untyped := into.(*any); untyped {
		return nil
	}
	if path := twiceAt(json.NewDecoder(bytes.NewReader(data))); path != "" {
		return fmt.Errorf("%s%s", strings.TrimPrefix(path, "."), twiceSuffix)
	}
	if path := nullAt(data, reflect.TypeOf(into).Elem()); path != "" {
		return fmt.Errorf("%s%s", strings.TrimPrefix(path, "."), nullSuffix)
	}
	return nil
}

// twiceAt is the path of the first member that an object has twice in the next value, and empty where there is none.
func twiceAt(decoder *json.Decoder) string {
	token, err := decoder.Token()
	delimiter, _ := token.(json.Delim)
	seen := map[string]bool{}
	for i := 0; err == nil && delimiter != 0 && decoder.More(); i++ {
		step := fmt.Sprintf("[%d]", i)
		if delimiter == '{' {
			name, _ := decoder.Token()
			step = fmt.Sprintf(".%s", name)
			if seen[step] {
				return step
			}
			seen[step] = true
		}
		if path := twiceAt(decoder); path != "" {
			return step + path
		}
	}
	if delimiter != 0 {
		_, _ = decoder.Token() // The end of the value, which is well-formed.
	}
	return ""
}

// nullAt is the path of the first field that is null and may not be, and empty where there is none. Null is for fields
// of type Optional, for those of any type, for lists and maps, and for those with the tag nullable:"true".
func nullAt(data []byte, t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		var elements []json.RawMessage
		if t == rawMessage || json.Unmarshal(data, &elements) != nil {
			return ""
		}
		for i, element := range elements {
			if path := nullAt(element, t.Elem()); path != "" {
				return fmt.Sprintf("[%d]%s", i, path)
			}
		}
	case reflect.Struct:
		members := map[string]json.RawMessage{}
		if reflect.PointerTo(t).Implements(unmarshaler) || json.Unmarshal(data, &members) != nil {
			return ""
		}
		return nullMember(members, t)
	default:
	}
	return ""
}

// nullMember is the path of the first member of an object that is null and may not be.
func nullMember(members map[string]json.RawMessage, t reflect.Type) string {
	fields := reflect.VisibleFields(t)
	lenient := func(field reflect.StructField) bool { return field.Tag.Get("additionalProperties") == "true" }
	if slices.ContainsFunc(fields, lenient) {
		return "" // What takes everything takes nulls.
	}
	for _, field := range fields {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		value, sent := members[name]
		switch {
		case field.Anonymous || name == "" || !sent:
		case string(value) != "null":
			if path := nullAt(value, field.Type); path != "" {
				return "." + name + path
			}
		case !mayBeNull(field):
			return "." + name
		}
	}
	return ""
}

func mayBeNull(field reflect.StructField) bool {
	t := field.Type
	switch tag := field.Tag.Get("nullable"); {
	case tag != "":
		return tag == "true"
	case t == rawMessage, reflect.PointerTo(t).Implements(unmarshaler) && t.Kind() == reflect.Struct && t != timeType:
		return true
	default:
		return slices.Contains([]reflect.Kind{reflect.Slice, reflect.Map, reflect.Interface}, t.Kind())
	}
}

var (
	rawMessage  = reflect.TypeFor[json.RawMessage]()
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	timeType    = reflect.TypeFor[time.Time]()
)
