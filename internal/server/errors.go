// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// Error is why a request is refused. Each view writes it in the envelope of its own reference.
type Error struct {
	// Status is the HTTP status code, from 400 to 599.
	Status int
	// Message says what is wrong, and what to do, in one line.
	Message string
	// Fields are the fields that are wrong, in the names of the view.
	Fields []FieldError
	// RetryAfter is when to try again, and 0 where the answer does not say.
	RetryAfter time.Duration
	// OfManifest is true where the message speaks of the manifest, whose words then stay.
	OfManifest bool
	// Cause is what is logged and not told to the caller.
	Cause error
}

// FieldError says what is wrong with one field.
type FieldError struct {
	// Field is its path in the request, such as variations[0].key.
	Field string `json:"field"`
	// Message says what is wrong with it.
	Message string `json:"message"`
}

// Error returns the message with the fields.
func (e *Error) Error() string { return e.Text() }

// Text is the message with the fields, in one line, for envelopes that have no place for fields.
func (e *Error) Text() string {
	texts := make([]string, 0, len(e.Fields))
	for _, f := range e.Fields {
		texts = append(texts, f.Field+": "+f.Message)
	}
	if len(texts) == 0 {
		return e.Message
	}
	return e.Message + ": " + strings.Join(texts, "; ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// GetStatus returns the status, for huma.
func (e *Error) GetStatus() int { return e.Status }

// GetHeaders returns the headers that go with the error, for huma.
func (e *Error) GetHeaders() http.Header {
	headers := http.Header{}
	if e.RetryAfter > 0 {
		headers.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if e.Status == http.StatusUnauthorized {
		headers.Set("WWW-Authenticate", "Bearer")
	}
	return headers
}

// Errorf returns an error of a status with a message for the caller.
func Errorf(status int, format string, arguments ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, arguments...)}
}

// NotFound says that there is nothing of that name.
func NotFound(kind, name string) *Error {
	return Errorf(http.StatusNotFound, "there is no %s %q", kind, name)
}

// NotFoundAmong is NotFound with the nearest of the names that there are. The caller may see all of them.
func NotFoundAmong(kind, name string, among []string) *Error {
	return Errorf(http.StatusNotFound, "there is no %s %q%s", kind, name, validation.DidYouMean(name, among))
}

// Invalid says that fields break a rule.
func Invalid(fields ...FieldError) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: "the request breaks a rule", Fields: fields}
}

// InvalidField says that one field breaks a rule.
func InvalidField(name, format string, arguments ...any) *Error {
	return Invalid(FieldError{Field: name, Message: fmt.Sprintf(format, arguments...)})
}

// Rename gives the name that a view has for the field of a resource, such as default_variation for
// spec.defaultVariation.
type Rename func(path string) string

// fromList turns what internal/validation found into the answer of a view.
func fromList(mistakes field.ErrorList, rename Rename) *Error {
	fields := make([]FieldError, 0, len(mistakes))
	for _, mistake := range mistakes {
		message := mistake.ErrorBody()
		hasNoValue := mistake.BadValue == any(field.OmitValueType{})
		if hasNoValue && mistake.Type == field.ErrorTypeInvalid && mistake.Detail != "" {
			message = mistake.Detail // There is no value of which its type would tell.
		}
		fields = append(fields, FieldError{Field: rename(mistake.Field), Message: message})
	}
	return Invalid(fields...)
}

// FromKubernetes turns the API server's answer to a write into the answer of a view. An *Error is returned as it is.
func FromKubernetes(err error, rename Rename) error {
	if refused := (*Error)(nil); err == nil || errors.As(err, &refused) {
		return err
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return fmt.Errorf("ask the API server: %w", err)
	}
	answer := status.Status()
	refused := &Error{Status: int(answer.Code), Message: plain(answer.Message), Cause: err}
	switch {
	case apierrors.IsInvalid(err):
		refused.Status, refused.Message = http.StatusUnprocessableEntity, "the request breaks a rule"
		for _, cause := range causes(answer) {
			refused.Fields = append(refused.Fields, FieldError{Field: rename(cause.Field), Message: plain(cause.Message)})
		}
	case apierrors.IsNotFound(err):
		refused.Message = named(answer) + " is gone; read it again"
	case apierrors.IsAlreadyExists(err):
		refused.Message = fmt.Sprintf("there is %s already; choose another key", article(named(answer)))
	case apierrors.IsConflict(err):
		refused.Message = fmt.Sprintf("somebody else has changed %s in the meantime; read it again", named(answer))
	case apierrors.IsUnauthorized(err),
		apierrors.IsForbidden(err),
		apierrors.IsRequestEntityTooLargeError(err),
		apierrors.IsBadRequest(err):
	case apierrors.IsTooManyRequests(err):
		refused.RetryAfter = time.Second
	case apierrors.IsServerTimeout(err),
		apierrors.IsTimeout(err),
		apierrors.IsServiceUnavailable(err),
		apierrors.IsInternalError(err):
		refused.Status, refused.Message = http.StatusServiceUnavailable, "the API server does not answer; nothing is known "+
			"to have changed"
		refused.RetryAfter = time.Second
	default:
		return fmt.Errorf("ask the API server: %w", err)
	}
	return refused
}

// named is the object of an answer of the API server, such as flag "checkout".
func named(answer metav1.Status) string {
	if answer.Details == nil || answer.Details.Name == "" {
		return "it"
	}
	return strings.TrimSpace(wordOf(answer.Details.Kind) + " " + quote(answer.Details.Name))
}

// article puts a or an before a name.
func article(name string) string {
	switch {
	case name == "it":
		return "one"
	case strings.ContainsRune("aeiou", rune(name[0])):
		return "an " + name
	default:
		return "a " + name
	}
}

func causes(answer metav1.Status) []metav1.StatusCause {
	if answer.Details == nil {
		return nil
	}
	return answer.Details.Causes
}
