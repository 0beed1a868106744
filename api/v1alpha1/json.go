// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"errors"
)

// JSON is one JSON value of any type, kept as the bytes it was read from.
// The zero JSON stands for a value that was not given.
type JSON struct {
	// Raw is the JSON text of the value.
	Raw []byte `json:"-"`
}

// MarshalJSON returns the value's own text, and null for the zero JSON.
func (j JSON) MarshalJSON() ([]byte, error) {
	if len(j.Raw) == 0 {
		return []byte("null"), nil
	}
	return j.Raw, nil
}

// UnmarshalJSON keeps a copy of data. A null reads as the zero JSON.
func (j *JSON) UnmarshalJSON(data []byte) error {
	if j == nil {
		return errors.New("v1alpha1.JSON: UnmarshalJSON on a nil pointer")
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		j.Raw = nil
		return nil
	}
	j.Raw = bytes.Clone(data)
	return nil
}

// IsZero reports whether no value was given.
func (j JSON) IsZero() bool { return len(j.Raw) == 0 }

// OpenAPISchemaType makes the published schema accept any type.
func (JSON) OpenAPISchemaType() []string { return nil }

// OpenAPISchemaFormat is empty: a JSON value has no format.
func (JSON) OpenAPISchemaFormat() string { return "" }
