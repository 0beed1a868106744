// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// volatile are the fields that change by themselves after every write, so that nobody can send back what they are.
var volatile = []string{"updatedAt", "updated_at", "hasPendingChanges", "isStale"}

// CheckReadOnly lets clients send back what they read: the members of sent, which the view shows and does not change
// here, must be what is shown. Both are written as JSON objects. Hints say, by field, how a field is changed instead.
// Before are what the view may have shown since the last edit, such as until the operator had looked at it: a member
// may also be as one of them has it. It fails with an *Error of status 422 that names each field that differs.
func CheckReadOnly(sent, shown any, hints map[string]string, before ...any) error {
	given, err := members(sent)
	if err != nil {
		return err
	}
	is, err := members(shown)
	if err != nil {
		return err
	}
	were := make([]map[string]any, len(before))
	for i := range before {
		if were[i], err = members(before[i]); err != nil {
			return err
		}
	}
	var mistakes []FieldError
	for _, name := range slices.Sorted(maps.Keys(given)) {
		wasShown := func(was map[string]any) bool { return isPartOf(given[name], was[name]) }
		if slices.Contains(volatile, name) || wasShown(is) || slices.ContainsFunc(were, wasShown) {
			continue
		}
		message := "is read-only here, and differs from what it is"
		if text, err := json.Marshal(is[name]); err == nil && len(text) <= maxNamedValue {
			message = fmt.Sprintf("is read-only here; it is %s", text)
		}
		if hint := hints[name]; hint != "" {
			message += ": " + hint
		}
		mistakes = append(mistakes, FieldError{Field: name, Message: message})
	}
	if len(mistakes) > 0 {
		return Invalid(mistakes...)
	}
	return nil
}

// maxNamedValue is the size of a value that a message names, in bytes.
const maxNamedValue = 100

// members are those of a value as JSON, without the volatile ones.
func members(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write %T as JSON: %w", value, err)
	}
	decoded := map[string]any{}
	if err := json.Unmarshal(text, &decoded); err != nil {
		return nil, fmt.Errorf("write %T as JSON: %w", value, err)
	}
	for _, member := range decoded {
		dropVolatile(member)
	}
	return decoded, nil
}

func dropVolatile(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range volatile {
			delete(value, name)
		}
		for _, member := range value {
			dropVolatile(member)
		}
	case []any:
		for _, element := range value {
			dropVolatile(element)
		}
	}
}

// isPartOf reports whether a JSON value says nothing but what another one says. Members that an object leaves out are
// no difference: lists show less of an object than its own path does.
func isPartOf(given, is any) bool {
	switch given := given.(type) {
	case map[string]any:
		whole, isObject := is.(map[string]any)
		for name, member := range given {
			if value, has := whole[name]; !has || !isPartOf(member, value) {
				return false
			}
		}
		return isObject
	case []any:
		elements, isList := is.([]any)
		return isList && slices.EqualFunc(given, elements, isPartOf)
	default:
		return reflect.DeepEqual(given, is)
	}
}

// Unobserved is a flag as it was before the operator had seen that it was ever enabled. Its spec and its ETag are those
// of the flag.
func Unobserved(flag *v1alpha1.FeatureFlag) *v1alpha1.FeatureFlag {
	before := *flag
	before.Status.FirstEnabledTime, before.Status.Phase = nil, v1alpha1.PhaseDraft
	return &before
}
