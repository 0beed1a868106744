// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// checkQuery fails with an *Error of status 400 where a request has a query parameter that the operation has not, or
// one twice that has a single value. To ignore them would be to answer another question than was asked.
func checkQuery(operation *huma.Operation, query url.Values) error {
	known, lists := []string{}, map[string]bool{}
	for _, parameter := range operation.Parameters {
		if parameter.In == "query" {
			known = append(known, parameter.Name)
			lists[parameter.Name] = parameter.Schema != nil && parameter.Schema.Type == huma.TypeArray
		}
	}
	var mistakes []FieldError
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !slices.Contains(known, name):
			message := "there is no such parameter here, nor any other"
			if len(known) > 0 {
				message = "there is no such parameter here; there are " + strings.Join(known, ", ")
			}
			mistakes = append(mistakes, FieldError{Field: name, Message: message})
		case len(query[name]) > 1 && !lists[name]:
			message := fmt.Sprintf("is there %d times; it takes one value", len(query[name]))
			mistakes = append(mistakes, FieldError{Field: name, Message: message})
		}
	}
	if len(mistakes) == 0 {
		return nil
	}
	return &Error{Status: http.StatusBadRequest, Message: "the query is wrong", Fields: mistakes}
}
