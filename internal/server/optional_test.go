// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A client that is generated from the document could not send the null that clears a field, where the document knows
// none.
func TestOptionalFieldsAreDocumentedWithNull(t *testing.T) {
	type part struct {
		A string `json:"a"`
	}
	type body struct {
		Text  Optional[string]          `json:"text,omitzero" maxLength:"4" doc:"A text."`
		Enum  Optional[string]          `json:"enum,omitzero" enum:"a,b" doc:"One of two."`
		When  Optional[time.Time]       `json:"when,omitzero" doc:"A time."`
		Count Optional[int64]           `json:"count,omitzero"`
		List  Optional[[]string]        `json:"list,omitzero"`
		Part  Optional[part]            `json:"part,omitzero"`
		Any   Optional[json.RawMessage] `json:"any,omitzero"`
		Never Optional[bool]            `json:"never,omitzero" nullable:"false"`
	}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schema := registry.Schema(reflect.TypeFor[body](), false, "Body")
	allowNull(schema)
	for name, wantsNull := range map[string]bool{
		"text": true, "enum": true, "when": true, "count": true, "list": true, "part": true, "never": false,
	} {
		text, err := json.Marshal(schema.Properties[name])
		if err != nil {
			t.Fatal(err)
		}
		document := struct {
			Type any   `json:"type"`
			Enum []any `json:"enum"`
		}{}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		types, _ := document.Type.([]any)
		if slices.Contains(types, any("null")) != wantsNull {
			t.Errorf("%s is documented as %s", name, text)
		}
		if wantsNull && document.Enum != nil && !slices.Contains(document.Enum, nil) {
			t.Errorf("%s may be null, and its enum has none: %s", name, text)
		}
		path, result := huma.NewPathBuffer([]byte{}, 0), &huma.ValidateResult{}
		huma.Validate(registry, schema, path, huma.ModeWriteToServer, map[string]any{name: nil}, result)
		if wantsNull && len(result.Errors) > 0 {
			t.Errorf("null for %s is answered with %v", name, result.Errors)
		}
	}
	if text, err := json.Marshal(schema.Properties["any"]); err != nil || schema.Properties["any"].Type != "" {
		t.Errorf("any value is documented as %s, %v", text, err)
	}
}
