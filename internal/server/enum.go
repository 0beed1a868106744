// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// allowNull adds null to the values of those properties that may be null, which huma leaves out.
func allowNull(schema *huma.Schema) {
	for _, property := range schema.Properties {
		if property.Nullable && len(property.Enum) > 0 && !slices.Contains(property.Enum, nil) {
			property.Enum = append(property.Enum, nil)
		}
		allowNull(property)
	}
}

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
