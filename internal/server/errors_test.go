// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// "archived: Invalid value: required by a flag" is no sentence: there is no value of which it could speak.
func TestAMistakeWithoutAValueIsItsDetail(t *testing.T) {
	path := field.NewPath("spec")
	for want, mistake := range map[string]*field.Error{
		"required by checkout":                      field.Invalid(path, field.OmitValueType{}, "required by checkout"),
		`Invalid value: "x": must be a number`:      field.Invalid(path, "x", "must be a number"),
		"Required value: a rule has a name":         field.Required(path, "a rule has a name"),
		`Duplicate value: "x"`:                      field.Duplicate(path, "x"),
		"Invalid value":                             field.Invalid(path, field.OmitValueType{}, ""),
		"Too long: may not be more than 3 bytes":    field.TooLong(path, "", 3),
		"Forbidden: cannot change after creation":   field.Forbidden(path, "cannot change after creation"),
		"Invalid value: null: must be a text value": field.Invalid(path, nil, "must be a text value"),
	} {
		got := fromList(field.ErrorList{mistake}, func(path string) string { return path })
		if len(got.Fields) != 1 || got.Fields[0].Message != want {
			t.Errorf("it says %v, want %q", got.Fields, want)
		}
	}
}
