// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// path is where an attribute stands in the context.
type path struct {
	first string
	rest  []string
}

var targetingKey = path{first: "targetingKey"}

func newPath(s string) path {
	names := strings.Split(s, ".")
	return path{first: names[0], rest: names[1:]}
}

func (p *path) String() string { return strings.Join(append([]string{p.first}, p.rest...), ".") }

// within returns what stands at the rest of the path in the value at its first name, and nil where there is nothing.
func (p *path) within(value any) any {
	for _, name := range p.rest {
		object, isObject := value.(map[string]any)
		if !isObject || object["0"] != nil {
			return nil
		}
		value = object[name]
	}
	return value
}

// text returns the value of a string, or of a time, which JSON writes as a string.
func text(value any) (string, bool) {
	if s, isString := value.(string); isString {
		return s, true
	}
	return timeText(value)
}

func timeText(value any) (string, bool) {
	if t, isTime := value.(time.Time); isTime {
		return t.Format(time.RFC3339Nano), true
	}
	return "", false
}

// number returns the value of a number that JSON can write.
func number(value any) (float64, bool) {
	if f, isFloat := value.(float64); isFloat {
		return f, f-f == 0 // Not so for NaN and the infinities.
	}
	return convertedNumber(value)
}

func convertedNumber(value any) (float64, bool) {
	var f float64
	switch v := value.(type) {
	case int:
		f = float64(v)
	case int64:
		f = float64(v)
	case json.Number:
		var err error
		if f, err = v.Float64(); err != nil {
			return 0, false
		}
	case float32:
		// JSON writes the shortest decimal number that is this float32.
		var buffer [32]byte
		f, _ = strconv.ParseFloat(string(strconv.AppendFloat(buffer[:0], float64(v), 'g', -1, 32)), 64)
	case int8:
		f = float64(v)
	case int16:
		f = float64(v)
	case int32:
		f = float64(v)
	case uint:
		f = float64(v)
	case uint8:
		f = float64(v)
	case uint16:
		f = float64(v)
	case uint32:
		f = float64(v)
	case uint64:
		f = float64(v)
	default:
		return 0, false
	}
	return f, !math.IsInf(f, 0) && !math.IsNaN(f)
}

// instant returns the value of a time, or of a string that is one in RFC 3339.
func instant(value any) (time.Time, bool) {
	switch v := value.(type) {
	case time.Time:
		return v, true
	case string:
		if !looksLike(v, "0000-00-00T00:00:00") {
			return time.Time{}, false
		}
		t, err := time.Parse(time.RFC3339, v)
		return t, err == nil
	default:
		return time.Time{}, false
	}
}

// looksLike reports whether s begins with form, in which 0 stands for any digit. The parsers of the standard library
// allocate their errors.
func looksLike(s, form string) bool {
	if len(s) < len(form) {
		return false
	}
	for i := range len(form) {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && form[i] != s[i] {
			return false
		}
	}
	return true
}
