// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Context is the context of an evaluation that decodes its numbers from JSON without rounding them: those that a
// float64 holds exactly are float64, larger integers are json.Number. It is a map[string]any for Evaluate.
type Context map[string]any

// UnmarshalJSON decodes an object. It fails for anything else but null, and for a number beyond the range of float64.
func (c *Context) UnmarshalJSON(data []byte) error {
	value, err := Decode(data)
	if err != nil {
		return err
	}
	context, isObject := value.(map[string]any)
	if !isObject && value != nil {
		return errors.New("the context is not a JSON object")
	}
	*c = context
	return nil
}

// Decode decodes one JSON value as Context decodes its attributes.
func Decode(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the JSON value at byte %d", decoder.InputOffset())
	}
	return exact(value)
}

// exact replaces each json.Number in a decoded value by what Number returns.
func exact(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		return Number(v.String())
	case []any:
		for i := range v {
			if v[i], err = exact(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], err = exact(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// Number returns the attribute that a JSON number is: a json.Number for an integer that a float64 may not hold exactly,
// which is one beyond 2^53-1, else a float64. It fails for a number beyond the range of float64.
func Number(text string) (any, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %.40s is beyond the range of a 64-bit floating point number", text)
	}
	if isLarge(f) && isInteger(text) {
		return json.Number(text), nil
	}
	return f, nil
}

// isInteger reports whether a text is a minus sign or none, and digits.
func isInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return false
		}
	}
	return digits != ""
}

// maxDigits is how many characters an integer has that a float64 can be the nearest one of.
const maxDigits = 320

// integerOf appends the integer that an attribute is in JSON: a minus sign or none, and digits without leading zeros.
// It is meant for numbers beyond 2^53-1. A floating point number of that size is the shortest decimal integer that it
// is the nearest one of, which is also what JSON writes. The buffer of the caller rules out an allocation.
func integerOf(buffer []byte, attribute any) []byte {
	switch v := attribute.(type) {
	case int:
		return strconv.AppendInt(buffer, int64(v), 10)
	case int64:
		return strconv.AppendInt(buffer, v, 10)
	case uint:
		return strconv.AppendUint(buffer, uint64(v), 10)
	case uint64:
		return strconv.AppendUint(buffer, v, 10)
	case float32:
		return strconv.AppendFloat(buffer, float64(v), 'f', -1, 32)
	case json.Number:
		if len(v) <= maxDigits && isInteger(string(v)) {
			sign, digits := signAndDigits(string(v))
			return append(append(buffer, sign...), digits...)
		}
	}
	f, _ := number(attribute)
	return strconv.AppendFloat(buffer, f, 'f', -1, 64)
}

// signAndDigits splits an integer, and drops leading zeros, which JSON does not have.
func signAndDigits(integer string) (sign, digits string) {
	if integer[0] == '-' {
		sign, integer = "-", integer[1:]
	}
	return sign, strings.TrimLeft(integer, "0")
}

// largeInteger returns what integerOf returns for the value of a rule whose nearest float64 is f, and nothing where the
// value is not an integer, or that float64 can only be one integer.
func largeInteger(value string, f float64) string {
	if !isLarge(f) || !isInteger(value) {
		return ""
	}
	sign, digits := signAndDigits(value)
	return sign + digits
}

// isLarge reports whether more than one integer may have f as its nearest float64.
func isLarge(f float64) bool { return f > datafile.MaxExactInteger || f < -datafile.MaxExactInteger }

// compareIntegers compares an attribute with an integer of a rule, where both have the same nearest float64 and so the
// same sign. The result is negative, 0 or positive.
func compareIntegers(attribute any, integer string) int {
	var buffer [maxDigits]byte
	have, direction := integerOf(buffer[:0], attribute), 1
	if integer[0] == '-' {
		have, integer, direction = have[1:], integer[1:], -1
	}
	switch {
	case len(have) != len(integer):
		return direction * (len(have) - len(integer))
	case string(have) < integer:
		return -direction
	case string(have) > integer:
		return direction
	default:
		return 0
	}
}
