// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"encoding/json"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// sizeOf is the size of what people write into an object, in bytes: its spec, labels and annotations. The change records
// that it carries for a while are the operator's.
func sizeOf(object client.Object) int64 {
	size := metadataSize(object)
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		size += encoded(object.Spec)
	case *v1alpha1.FlagEnvironment:
		size += encoded(object.Spec)
	case *v1alpha1.FlagEvent:
		size += encoded(object.Spec)
	case *v1alpha1.FlagAudience:
		spec := object.Spec
		spec.Members = nil // Counted without encoding: a list may have tens of thousands.
		size += encoded(spec)
		for _, member := range object.Spec.Members {
			size += int64(len(member) + len(`"",`))
		}
	}
	return size
}

// metadataSize is the size of an object's name, labels and annotations, in bytes.
func metadataSize(object client.Object) int64 {
	size := int64(len(object.GetName()))
	for key, value := range object.GetLabels() {
		size += int64(len(key) + len(value))
	}
	for key, value := range object.GetAnnotations() {
		if key != v1alpha1.ChangesAnnotation {
			size += int64(len(key) + len(value))
		}
	}
	return size
}

// encoded is the size of a spec as JSON.
func encoded(spec any) int64 {
	data, err := json.Marshal(spec)
	if err != nil {
		return 0 // A spec that was decoded can be encoded.
	}
	return int64(len(data))
}
