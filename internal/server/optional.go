// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Optional is a field of a PATCH, of which three things may be said: nothing, null, and a value. Its JSON tag has
// omitzero, so that the schema does not ask for it.
type Optional[T any] struct {
	// Sent is true where the request has the field.
	Sent bool
	// Null is true where the field is null.
	Null bool
	// Value is the field's value where it is sent and not null.
	Value T
}

// UnmarshalJSON reads a field that was sent.
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	o.Sent = true
	if o.Null = bytes.Equal(data, []byte("null")); o.Null {
		return nil
	}
	return json.Unmarshal(data, &o.Value)
}

// Schema is that of the value, and allows null. One without a type allows everything.
func (Optional[T]) Schema(registry huma.Registry) *huma.Schema {
	schema := *huma.SchemaFromType(registry, reflect.TypeFor[T]())
	schema.Nullable = schema.Type != ""
	return &schema
}
