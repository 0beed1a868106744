// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	// MaxDepth is how deep objects and arrays may be nested in one value.
	MaxDepth = 32

	// MaxSafeInteger is the largest integer whose neighbours every language tells apart: 2^53-1 (ECMA-262,
	// Number.MAX_SAFE_INTEGER).
	MaxSafeInteger = 1<<53 - 1
)

// Canonical returns the canonical form of one JSON value. It fails where data is not exactly one JSON value, is nested
// deeper than MaxDepth, or holds a number that not every language can read: an integer beyond MaxSafeInteger, or a
// number beyond float64.
func Canonical(data []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("not a JSON value: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a JSON value: something follows it")
	}
	value, err := canonicalValue(value, 0)
	if err != nil {
		return nil, err
	}
	return marshal(value)
}

// canonicalValue makes the numbers of value canonical; depth is the number of objects and arrays around it.
func canonicalValue(value any, depth int) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		return canonicalNumber(v)
	case []any, map[string]any:
		if depth == MaxDepth {
			return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
		}
	}
	switch v := value.(type) {
	case []any:
		for i := range v {
			if v[i], err = canonicalValue(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = canonicalValue(v[key], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// canonicalNumber writes a number beyond MaxSafeInteger with an exponent, which every language reads as floating point.
func canonicalNumber(number json.Number) (any, error) {
	f, err := strconv.ParseFloat(number.String(), 64)
	if err != nil {
		return nil, fmt.Errorf("number %s does not fit into 64 bits of floating point", number)
	}
	switch {
	case f == 0:
		return 0, nil // Drops the sign of -0.
	case math.Abs(f) <= MaxSafeInteger:
		return f, nil
	case !strings.ContainsAny(number.String(), ".eE"):
		return nil, fmt.Errorf(
			"integer %s lies beyond %d, where not every language keeps integers apart; write it as a string",
			number,
			int64(MaxSafeInteger),
		)
	default:
		return json.Number(strconv.FormatFloat(f, 'e', -1, 64)), nil
	}
}

// marshal is json.Marshal without the escapes for HTML.
func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
