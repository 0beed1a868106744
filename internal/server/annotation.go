// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxViewFields is the size of a view's annotation, in bytes.
const maxViewFields = 16 << 10

// ViewFields reads what a view keeps of an object that the Kind has no field for. What was never written, or cannot be
// read, is the zero value.
func ViewFields[T any](object metav1.Object, view string) T {
	var fields, none T
	if err := json.Unmarshal([]byte(object.GetAnnotations()[v1alpha1.ViewAnnotationPrefix+view]), &fields); err != nil {
		return none
	}
	return fields
}

// SetViewFields writes what ViewFields reads. It fails with an *Error of status 422 where it has more than 16 KiB.
func SetViewFields[T any](object metav1.Object, view string, fields T) error {
	data, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the fields of view %s: %w", view, err)
	}
	if len(data) > maxViewFields {
		return Errorf(
			http.StatusUnprocessableEntity,
			"fields that only this API has are %d bytes; the limit is %d",
			len(data),
			maxViewFields,
		)
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.ViewAnnotationPrefix+view] = string(data)
	object.SetAnnotations(annotations)
	return nil
}
