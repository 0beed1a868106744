// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// mutating answers the requests of the mutating webhook.
type mutating[T any, P pointer[T]] struct{ *webhook[T, P] }

// Handle patches what Default changes and nothing else: what the author wrote, a time with an offset among it, is not
// written in another way, so that a GitOps tool finds no difference.
func (m *mutating[T, P]) Handle(ctx context.Context, request admission.Request) admission.Response {
	return quoted(m.handle(ctx, request))
}

func (m *mutating[T, P]) handle(ctx context.Context, request admission.Request) admission.Response {
	object := P(new(T))
	if refused := m.read(ctx, &request, object); refused != nil {
		return *refused
	}
	before, err := unmarked[T](object)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	environment, isEnvironment := any(object).(*v1alpha1.FlagEnvironment)
	var warnings []string
	if warning := staysOff(&request, object); warning != "" {
		warnings = append(warnings, validation.Warning(warning))
	}
	if rules, is := any(m.rules).(*flagEnvironments); is && isEnvironment {
		warning, err := rules.keepProduction(ctx, &request, environment)
		if err != nil {
			return refusal(err)
		}
		for _, warning := range []string{warning, freezesNothing(&request, environment)} {
			if warning != "" {
				warnings = append(warnings, validation.Warning(warning))
			}
		}
	}
	if err := m.Default(admission.NewContextWithRequest(ctx, request), object); err != nil {
		return refusal(err)
	}
	after, err := unmarked[T](object)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	response := admission.PatchResponseFromRaw(before, after)
	response.Patches = append(withoutMark(request.Object.Raw).Patches, response.Patches...)
	if isEnvironment {
		sayProduction(&response, &request, environment)
	}
	return response.WithWarnings(warnings...)
}

// unmarked returns the JSON of an object without the mark of what its stored form has lost.
func unmarked[T any, P pointer[T]](object P) ([]byte, error) {
	if v1alpha1.Undecodable(object) == "" {
		return json.Marshal(object)
	}
	unmarked, _ := object.DeepCopyObject().(P)
	decode.Unmark(unmarked)
	return json.Marshal(unmarked)
}

// validating answers the requests of the validating webhook.
type validating[T any, P pointer[T]] struct{ *webhook[T, P] }

// Handle judges what is created, changed or deleted. What is stored already may have a form that the Kind's type cannot
// hold: it can be mended and deleted.
func (v *validating[T, P]) Handle(ctx context.Context, request admission.Request) admission.Response {
	return quoted(v.handle(ctx, request))
}

func (v *validating[T, P]) handle(ctx context.Context, request admission.Request) admission.Response {
	ctx = admission.NewContextWithRequest(ctx, request)
	old, object := P(new(T)), P(new(T))
	if request.Operation != admissionv1.Create {
		if err := readStored(request.OldObject.Raw, old); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	if request.Operation != admissionv1.Delete {
		if refused := v.read(ctx, &request, object); refused != nil {
			return *refused
		}
	}
	var warnings admission.Warnings
	var err error
	switch request.Operation {
	case admissionv1.Create:
		warnings, err = v.ValidateCreate(ctx, object)
	case admissionv1.Update:
		warnings, err = v.ValidateUpdate(ctx, old, object)
	case admissionv1.Delete:
		warnings, err = v.ValidateDelete(ctx, old)
	case admissionv1.Connect:
	}
	if err != nil {
		return refusal(err).WithWarnings(warnings...)
	}
	return admission.Allowed("").WithWarnings(warnings...)
}

// read reads the object of a request. One that does not fit the Kind's type is refused, unless it is stored so and its
// spec does not change: its finalizers can go then, and a flag can be forced off.
func (w *webhook[T, P]) read(ctx context.Context, request *admission.Request, object P) *admission.Response {
	if err := readStored(request.Object.Raw, object); err != nil {
		refused := admission.Errored(http.StatusBadRequest, err)
		return &refused
	}
	problem := v1alpha1.Undecodable(object)
	if problem == "" || object.GetDeletionTimestamp() != nil || keepsSpec(request) {
		return nil
	}
	refused, mistyped := w.mistyped(ctx, request)
	if !mistyped {
		refused = admission.Errored(http.StatusBadRequest, errors.New(problem))
	}
	return &refused
}

// readStored reads an object as decode.Object does, but for the mark of a status alone that is lost: admission looks at no
// status.
func readStored(raw []byte, into v1alpha1.Object) error {
	if err := decode.Object(raw, into); err != nil {
		return err //nolint:wrapcheck // It says which Kind could not be read.
	}
	if v1alpha1.Undecodable(into) == "" {
		decode.Unmark(into)
	}
	return nil
}

// withoutMark is the patch that takes out of an object what somebody wrote under the name of the mark. Nothing reads it,
// and it would take place that no budget counts. The patch goes before others, which do not know of the annotation.
func withoutMark(raw []byte) admission.Response {
	var object metav1.PartialObjectMetadata
	if !bytes.Contains(raw, []byte(v1alpha1.UndecodableAnnotation)) || json.Unmarshal(raw, &object) != nil {
		return admission.Response{}
	}
	if _, written := object.Annotations[v1alpha1.UndecodableAnnotation]; !written {
		return admission.Response{}
	}
	return admission.PatchResponseFromRaw(
		[]byte(`{"metadata":{"annotations":{"`+v1alpha1.UndecodableAnnotation+`":""}}}`),
		[]byte(`{"metadata":{"annotations":{}}}`),
	)
}

// keepsSpec reports whether an update leaves the spec as it is stored.
func keepsSpec(request *admission.Request) bool {
	var old, object struct {
		Spec json.RawMessage `json:"spec"`
	}
	return request.Operation == admissionv1.Update && json.Unmarshal(request.OldObject.Raw, &old) == nil &&
		json.Unmarshal(request.Object.Raw, &object) == nil && bytes.Equal(old.Spec, object.Spec)
}

// mistyped refuses an object whose fields have other types than the Kind's, such as a variation's key that YAML reads
// as a boolean because it is not quoted. It tells of the other mistakes too. The schema, which is looked at next, would
// only name the types.
func (w *webhook[T, P]) mistyped(ctx context.Context, request *admission.Request) (admission.Response, bool) {
	fields := map[string]any{}
	if err := utiljson.Unmarshal(request.Object.Raw, &fields); err != nil {
		return admission.Response{}, false
	}
	object := P(new(T))
	list := validation.Types(fields, object)
	if len(list) == 0 {
		return admission.Response{}, false
	}
	if data, err := json.Marshal(fields); err == nil && json.Unmarshal(data, object) == nil {
		setDefaults(object)
		if further, err := w.rules.mistakes(ctx, nil, object); err == nil {
			list = validation.Merge(list, further)
		}
	}
	return refusal(apierrors.NewInvalid(w.kind, request.Name, list)), true
}

// refusal answers with an error of the API.
func refusal(err error) admission.Response {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		result := status.Status()
		return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &result}}
	}
	return admission.Denied(err.Error())
}

// quoted is an answer that cannot act on the terminal or in the log that shows it, whatever the manifest holds that it
// repeats.
func quoted(response admission.Response) admission.Response {
	if result := response.Result; result != nil {
		result.Message = quote.Line(result.Message)
		if result.Details != nil {
			result.Details.Name = quote.Line(result.Details.Name)
			for i := range result.Details.Causes {
				cause := &result.Details.Causes[i]
				cause.Message, cause.Field = quote.Line(cause.Message), quote.Line(cause.Field)
			}
		}
	}
	for i, warning := range response.Warnings {
		response.Warnings[i] = quote.Line(warning)
	}
	return response
}
