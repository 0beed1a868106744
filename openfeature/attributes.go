// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"encoding/json"
	"maps"
	"time"
)

// maxDepth is how deep a context is searched for values that are not plain. What lies deeper is treated as not plain, which also
// ends the search in a context that contains itself.
const maxDepth = 32

// plainAttributes returns the context with each attribute of the given names that the engine would not know, such as one of a named
// string type or a struct, replaced by what its JSON says, which is what a remote evaluation of the same context sees. The context is
// not changed, and is returned as it is where there is nothing to replace.
func plainAttributes(attributes map[string]any, names []string) map[string]any {
	var replaced map[string]any
	for _, name := range names {
		value := attributes[name]
		if isPlain(value, 0) {
			continue
		}
		plain, err := throughJSON(value)
		if err != nil {
			continue // It stays, and is of the wrong type for every operator.
		}
		if replaced == nil {
			replaced = maps.Clone(attributes)
		}
		replaced[name] = plain
	}
	if replaced == nil {
		return attributes
	}
	return replaced
}

func isPlain(value any, depth int) bool {
	switch v := value.(type) {
	case nil, bool, string, json.Number, float64, float32, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64,
		[]string, time.Time:
		return true
	case map[string]any:
		for _, element := range v {
			if depth == maxDepth || !isPlain(element, depth+1) {
				return false
			}
		}
		return true
	case []any:
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
	err = json.Unmarshal(data, &plain)
	return plain, err
}
