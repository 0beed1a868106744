// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"errors"
	"net/http"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// AsRefusal returns the answer that an error is, and whether it is one.
func AsRefusal(err error) (*server.Error, bool) {
	refused := (*server.Error)(nil)
	return refused, errors.As(err, &refused)
}

// Failure is how errors are written.
type Failure struct {
	Type   string              `json:"type" doc:"What kind of error it is."`
	Code   string              `json:"code" doc:"The same, in one word."`
	Detail string              `json:"detail" doc:"What is wrong, and what to do."`
	Attr   *string             `json:"attr" doc:"The first field that is wrong."`
	Fields []server.FieldError `json:"fields,omitempty" doc:"All fields that are wrong."`
}

// NewFailure writes an error.
func NewFailure(e *server.Error) *Failure {
	f := &Failure{Type: "invalid_request", Code: "invalid_input", Detail: e.Text(), Fields: e.Fields}
	switch {
	case e.Status == http.StatusUnauthorized:
		f.Type, f.Code = "authentication_error", "not_authenticated"
	case e.Status == http.StatusForbidden:
		f.Type, f.Code = "authentication_error", "permission_denied"
	case e.Status == http.StatusNotFound:
		f.Code = "not_found"
	case e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed:
		f.Code = "conflict"
	case e.Status == http.StatusTooManyRequests:
		f.Type, f.Code = "throttled_error", "throttled"
	case e.Status >= http.StatusInternalServerError:
		f.Type, f.Code = "server_error", "error"
	case e.Status == http.StatusUnprocessableEntity:
		f.Type = "validation_error"
	}
	if len(e.Fields) > 0 {
		f.Attr = &e.Fields[0].Field
	}
	return f
}
