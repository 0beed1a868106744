// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"encoding/json"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// maxDepth is how deep a context is searched for values that are not plain. What lies deeper is treated as not plain,
// which also ends the search in a context that contains itself.
const maxDepth = 32

// plainValue returns an attribute as it is, or, where the engine would not know it, such as one of a named string type
// or a struct, what its JSON says, which is what a remote evaluation of the same context sees.
func plainValue(value any) any {
	if isPlain(value, 0) {
		return value
	}
	plain, err := throughJSON(value)
	if err != nil {
		return value // It is of the wrong type for every operator.
	}
	return plain
}

func isPlain(value any, depth int) bool {
	switch v := value.(type) {
	case nil,
		bool,
		string,
		json.Number,
		float64,
		float32,
		int,
		int8,
		int16,
		int32,
		int64,
		uint,
		uint8,
		uint16,
		uint32,
		uint64,
		time.Time:
		return true
	case []string:
		return v != nil // In JSON nil is null.
	case map[string]any:
		if v == nil {
			return false
		}
		for _, element := range v {
			if depth == maxDepth || !isPlain(element, depth+1) {
				return false
			}
		}
		return true
	case []any:
		if v == nil {
			return false
		}
		for _, element := range v {
			if depth == maxDepth || !isPlain(element, depth+1) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func throughJSON(value any) (plain any, err error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return evaluate.Decode(data)
}
