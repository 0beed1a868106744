// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
)

// heed prepares a request to change a flag: it leaves out of the fields what came back as it was shown. It fails with
// an *Error of status 422 where one of the others cannot change so.
func (f *Fields) heed(flag *v1alpha1.FeatureFlag, shows *Flag, ifMatch string, now time.Time) error {
	if err := f.check(flag, shows, ifMatch, now); err != nil {
		return err
	}
	if err := f.checkNulls(shows); err != nil {
		return err
	}
	if err := f.dropShown(shows); err != nil {
		return err
	}
	archived := flag.Spec.Archived
	if f.Deleted.Sent {
		archived = f.Deleted.Value
	}
	return f.checkActive(archived)
}

// checkActive fails with an *Error of status 422 where a flag is to be on that is deleted.
func (f *Fields) checkActive(deleted bool) error {
	if deleted && f.Active.Value {
		return server.InvalidField(
			"active",
			`the flag is deleted; send "deleted": false, also in the same request, to restore it and switch it on`,
		)
	}
	return nil
}

// checkNulls fails with an *Error of status 422 where null would have to change a field that has no null. Null for the
// default that a flag has anyway changes nothing.
func (f *Fields) checkNulls(shows *Flag) error {
	var mistakes []server.FieldError
	for _, field := range []struct {
		name, shown, otherwise string
		sent                   *server.Optional[string]
	}{
		{"evaluation_runtime", shows.EvaluationRuntime, "all", &f.EvaluationRuntime},
		{"bucketing_identifier", shows.BucketingIdentifier, "distinct_id", &f.BucketingIdentifier},
	} {
		if field.sent.Null && field.shown != field.otherwise {
			mistakes = append(mistakes, server.FieldError{
				Field:   field.name,
				Message: fmt.Sprintf("cannot be null; it is %q, send %q to change it", field.shown, field.otherwise),
			})
		}
	}
	if len(mistakes) > 0 {
		return server.Invalid(mistakes...)
	}
	return nil
}

// dropShown leaves out of a request what came back as the flag shows it, because that is no change: what is shown can
// be derived from more than the field that it would be written to. Two things are meant though they are as shown. False
// for active switches the flag off for good alone, where only a schedule keeps it off, and beside a restore. What a
// request asserts of the filters beside it, such as is_remote_configuration, holds for these.
func (f *Fields) dropShown(shows *Flag) error {
	is, err := fieldsShown(shows)
	if err != nil {
		return err
	}
	restores := shows.Deleted && f.Deleted.Sent && !f.Deleted.Value
	if f.Filters.Sent && !f.Filters.Null && f.Filters.Value.DropShown(&shows.Filters) {
		f.Filters = server.Optional[filters.Filters]{}
	}
	meant := map[string]bool{
		"filters": true, "version": true,
		"active":                  f.isOnlyActive() || restores, // Toggle leaves a flag that is off anyway.
		"is_remote_configuration": f.Filters.Sent, "has_encrypted_payloads": f.Filters.Sent,
	}
	fields := reflect.ValueOf(f).Elem()
	for i := range fields.NumField() {
		field := fields.Type().Field(i)
		shown, isShown := is[jsonName(field)]
		if !field.Anonymous && isShown && !meant[jsonName(field)] && isAsShown(fields.Field(i), shown) {
			fields.Field(i).SetZero()
		}
	}
	return nil
}

// isAsShown reports whether an Optional is sent with the JSON value that is shown.
func isAsShown(optional reflect.Value, shown json.RawMessage) bool {
	if optional.FieldByName("Null").Bool() {
		return string(shown) == "null"
	}
	data, err := json.Marshal(optional.FieldByName("Value").Interface())
	return err == nil && optional.FieldByName("Sent").Bool() && isSameJSON(data, shown)
}
