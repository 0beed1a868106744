// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

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
