// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "github.com/danielgtaylor/huma/v2"

// DescribeEnum lists the values of a property in the OpenAPI document. The view itself refuses another value, in words
// that say what was meant, so the values are no part of the validation by schema.
func DescribeEnum[T ~string](schema *huma.Schema, property string, values ...T) *huma.Schema {
	described := schema.Properties[property]
	all := make([]any, 0, len(values)+1)
	for _, value := range values {
		all = append(all, string(value))
	}
	if described.Nullable {
		all = append(all, nil)
	}
	described.Extensions = map[string]any{"enum": all}
	return schema
}
