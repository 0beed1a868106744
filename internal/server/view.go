// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// maxBody is the size of a request body, in bytes.
const maxBody = 1 << 20

// methods are those that paths can have, beside HEAD and OPTIONS.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// errorStatuses are the statuses that every operation may answer with, beside those of its own.
var errorStatuses = []int{
	http.StatusBadRequest,
	http.StatusUnauthorized,
	http.StatusForbidden,
	http.StatusNotFound,
	http.StatusConflict,
	http.StatusPreconditionFailed,
	http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType,
	http.StatusUnprocessableEntity,
	http.StatusTooManyRequests,
	http.StatusInternalServerError,
	http.StatusServiceUnavailable,
}

// Envelope is how a view writes errors. E is the type of the body, whose schema the OpenAPI document shows.
type Envelope[E any] func(*Error) E

// View is one documented API: its paths, its envelope and its OpenAPI document.
type View struct {
	// Name is the view's name, which its operations and schemas begin with in the OpenAPI document.
	Name string
	// TrailingSlash is true where every path may end in a slash, which then means nothing.
	TrailingSlash bool
	// Around wraps the view, for what its requests need before they are told apart. It may be nil.
	Around func(http.Handler) http.Handler
	// Words are the view's words for the Kinds' in messages, such as scheduledEnableAt for enableAt. What is in quotes
	// stays as it is. It may be nil.
	Words *strings.Replacer

	api         huma.API
	mux         *http.ServeMux
	contentType string
	envelope    func(*Error) any
	errorSchema *huma.Schema
	server      *Server
	routes      []route
}

// NewView makes a view whose bodies are of the content type, application/json or one that ends in +json.
func NewView[E any](server *Server, name, description, contentType string, envelope Envelope[E]) *View {
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: readBody}
	namer := func(t reflect.Type, hint string) string {
		return strings.ToUpper(name[:1]) + name[1:] + huma.DefaultSchemaNamer(t, hint)
	}
	registry := huma.NewMapRegistry("#/components/schemas/", namer)
	view := &View{
		Name: name, mux: http.NewServeMux(), contentType: contentType, server: server,
		envelope:    func(e *Error) any { return envelope(e) },
		errorSchema: registry.Schema(reflect.TypeFor[E](), true, "Error"),
	}
	view.api = humago.New(view.mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:    "3.1.0",
			Info:       &huma.Info{Title: "Jackstaff: " + name, Description: description, Version: "v1"},
			Components: &huma.Components{Schemas: registry},
			Tags:       []*huma.Tag{{Name: name, Description: description}},
			// Huma documents every body as application/json, and every parameter of an input, which operations may share.
			OnAddOperation: []huma.AddOpFunc{view.correct},
		},
		Formats:       map[string]huma.Format{contentType: format, "json": format},
		DefaultFormat: contentType,
		Transformers:  []huma.Transformer{view.transform},
	})
	return view
}

// Public marks an operation that asks for no identity, because the request's own secret is the identity or none is
// needed.
func Public(operation huma.Operation) huma.Operation {
	operation.Security = []map[string][]string{}
	return operation
}

// limitsItself marks operations that take requests out of a bucket themselves.
const limitsItself = "limitsItself"

// LimitsItself marks a public operation that takes requests out of the caller's bucket itself, by Server.Limits, once
// it knows whose key the request carries.
func LimitsItself(operation huma.Operation) huma.Operation {
	operation.Metadata = map[string]any{limitsItself: true}
	return operation
}

// Register adds an operation to the view. What handler returns as an error is written in the view's envelope: an *Error
// as it is, the API server's answers by FromKubernetes, anything else as a 500 that is logged and says nothing of its
// cause.
func Register[I, O any](view *View, operation huma.Operation, handler func(context.Context, *I) (*O, error)) {
	operation.Tags = []string{view.Name}
	operation.OperationID = view.Name + "-" + operation.OperationID
	operation.MaxBodyBytes = maxBody
	public := operation.Security != nil && len(operation.Security) == 0
	if !public {
		operation.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	operation.Middlewares = append(
		huma.Middlewares{view.admit(public, operation.Metadata[limitsItself] != nil)},
		operation.Middlewares...)
	operation.Responses = view.responses(operation)
	if isConditional[O](operation) {
		operation.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{
			Description: "The answer is still that of the ETag in If-None-Match.",
		}
	}
	huma.Register(view.api, operation, func(ctx context.Context, input *I) (*O, error) {
		output, err := handler(ctx, input)
		if err != nil {
			return nil, refusal(ctx, err)
		}
		if isConditional[O](operation) {
			if err := revalidate(ctx, output); err != nil {
				return nil, err
			}
		}
		return output, nil
	})
}

// responses documents the errors of an operation.
func (v *View) responses(operation huma.Operation) map[string]*huma.Response {
	responses := map[string]*huma.Response{}
	for _, status := range errorStatuses {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{v.contentType: {Schema: v.errorSchema}},
		}
	}
	maps.Copy(responses, operation.Responses)
	return responses
}

// correct has the document say of an operation which type its bodies are of, no path parameters but those of its path,
// and that null is a value where it is one.
func (v *View) correct(document *huma.OpenAPI, operation *huma.Operation) {
	for _, schema := range document.Components.Schemas.Map() {
		allowNull(schema)
	}
	operation.Parameters = slices.DeleteFunc(operation.Parameters, func(parameter *huma.Param) bool {
		return parameter.In == "path" && !strings.Contains(operation.Path, "{"+parameter.Name+"}")
	})
	contents := []map[string]*huma.MediaType{}
	if operation.RequestBody != nil {
		contents = append(contents, operation.RequestBody.Content)
	}
	for _, response := range operation.Responses {
		contents = append(contents, response.Content)
	}
	for _, content := range contents {
		if body, found := content["application/json"]; found && v.contentType != "application/json" {
			delete(content, "application/json")
			content[v.contentType] = body
		}
	}
}

// admit asks for the identity of the caller before an operation. A public one has none, so that its address has to do
// for the limits, unless it limits its callers itself.
func (v *View) admit(public, limitsItself bool) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		request, writer := humago.Unwrap(ctx)
		ctx = huma.WithContext(ctx, withIfNoneMatch(ctx.Context(), request.Header))
		if public {
			if !limitsItself {
				if err := v.server.limits.TakeAddress(request); err != nil {
					v.refuse(ctx, err)
					return
				}
			}
			next(ctx)
			return
		}
		caller, err := v.server.Authenticate(request)
		if err == nil {
			err = checkQuery(ctx.Operation(), request.URL.Query())
		}
		if err == nil {
			err = checkIfMatch(ctx.Operation(), request.Header)
		}
		if err != nil {
			v.refuse(ctx, err)
			return
		}
		next(huma.WithContext(ctx, withWarnings(WithCaller(ctx.Context(), caller), writer.Header())))
	}
}

// refuse writes an error in the view's envelope.
func (v *View) refuse(ctx huma.Context, err error) {
	refused := refusal(ctx.Context(), err)
	for name, values := range refused.GetHeaders() {
		ctx.SetHeader(name, values[0])
	}
	_ = huma.WriteErr(v.api, ctx, refused.Status, refused.Message, refused) // The caller has gone where this fails.
}

// refusal is what a view answers to an error. An error that is not for the caller is logged and answered without its
// cause.
func refusal(ctx context.Context, err error) *Error {
	err = FromKubernetes(err, func(path string) string { return path })
	refused := (*Error)(nil)
	if !errors.As(err, &refused) {
		refused = &Error{
			Status:  http.StatusInternalServerError,
			Message: "something went wrong here; the log says what, under this request's id",
			Cause:   err,
		}
	}
	if refused.Status >= http.StatusInternalServerError {
		log.FromContext(ctx).Error(err, "Request failed")
	} else {
		log.FromContext(ctx).V(1).Info("Request refused", "status", refused.Status, "reason", refused.Text())
	}
	return refused
}

// transform writes errors in the view's envelope.
func (v *View) transform(_ huma.Context, _ string, body any) (any, error) {
	if refused, ok := body.(*Error); ok {
		return v.envelope(v.inWords(refused)), nil
	}
	return body, nil
}

// ServeHTTP answers a request for one of the view's paths. HEAD is answered where GET is, OPTIONS everywhere.
func (v *View) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if v.Around != nil {
		v.Around(http.HandlerFunc(v.serve)).ServeHTTP(w, r)
		return
	}
	v.serve(w, r)
}

func (v *View) serve(w http.ResponseWriter, r *http.Request) {
	if v.TrailingSlash {
		r = withoutSlash(r)
	}
	if _, pattern := v.mux.Handler(r); pattern != "" {
		v.mux.ServeHTTP(w, r)
		return
	}
	allowed := v.allowed(r)
	switch {
	case len(allowed) == 0:
		v.write(w, Errorf(http.StatusNotFound, "there is no such path"))
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		v.write(
			w,
			Errorf(http.StatusMethodNotAllowed, "%s is not possible here; these are: %s", r.Method, strings.Join(allowed, ", ")),
		)
	}
}

// withoutSlash is a request for a path without the slash at its end. One that is encoded belongs to a key.
func withoutSlash(r *http.Request) *http.Request {
	if !strings.HasSuffix(r.URL.EscapedPath(), "/") {
		return r
	}
	path, ends := strings.CutSuffix(r.URL.Path, "/")
	if !ends || path == "" {
		return r
	}
	trimmed, url := r.Clone(r.Context()), *r.URL
	url.Path, url.RawPath = path, strings.TrimSuffix(url.RawPath, "/")
	trimmed.URL = &url
	return trimmed
}

// allowed are the methods of a path.
func (v *View) allowed(r *http.Request) []string {
	var allowed []string
	probe := r.Clone(r.Context())
	for _, method := range methods {
		probe.Method = method
		if _, pattern := v.mux.Handler(probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	return append(allowed, http.MethodOptions)
}

// write writes an error that no operation has answered.
func (v *View) write(w http.ResponseWriter, refused *Error) {
	maps.Copy(w.Header(), refused.GetHeaders())
	w.Header().Set("Content-Type", v.contentType)
	w.WriteHeader(refused.Status)
	_ = json.NewEncoder(w).Encode(v.envelope(v.inWords(refused))) // The caller has gone where this fails.
}

// required is what huma says of a property that is missing.
var required = regexp.MustCompile(`^expected required property (.+) to be present$`)

// Huma knows no function of an API for its errors: huma.WriteErr and its checks of requests call that of the package,
// and a view's transformer, which is of an API, gets what it returned. All views share it, and nothing else here uses
// huma. Huma makes its own errors by a function of the package; this is how it is told to make ours. Parameters that
// are wrong are malformed requests; a body that is not of its schema breaks a rule, unless it is not JSON at all.
func init() {
	huma.ValidateStrictCasing = true
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, details ...error) huma.StatusError {
		refused := &Error{Status: status, Message: message}
		for _, detail := range details {
			if own := (*Error)(nil); errors.As(detail, &own) {
				if ctx != nil {
					for name, values := range own.GetHeaders() {
						ctx.SetHeader(name, values[0])
					}
				}
				return own
			}
			detailed := huma.ErrorDetailer(nil)
			if !errors.As(detail, &detailed) {
				if status < http.StatusInternalServerError {
					refused.Message = fmt.Sprintf("%s: %v", message, detail)
				}
				continue
			}
			place, name, _ := strings.Cut(detailed.ErrorDetail().Location, ".")
			if place != "body" {
				refused.Status = http.StatusBadRequest
			}
			said := FieldError{Field: cmp.Or(name, place), Message: detailed.ErrorDetail().Message}
			for _, suffix := range []string{nullSuffix, twiceSuffix} {
				if field, is := strings.CutSuffix(said.Message, suffix); is && name == "" {
					said = FieldError{Field: field, Message: strings.TrimPrefix(suffix, ": ")}
				}
			}
			if missing := required.FindStringSubmatch(said.Message); missing != nil {
				said.Message = fmt.Sprintf("the property %q is missing", missing[1])
			}
			refused.Fields = append(refused.Fields, said)
		}
		return refused
	}
}
