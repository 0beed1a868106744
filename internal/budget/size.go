// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"encoding/json"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// freeRequestBytes is how long a request in an annotation may be without taking place. A brake may name fifty
// environments.
const freeRequestBytes = 4 << 10

// requests are the annotations by which whoever is on call acts.
var requests = []string{
	v1alpha1.ForceDisabledAnnotation, v1alpha1.PublishRequestedAtAnnotation, v1alpha1.ConfirmVanishedAnnotation,
	v1alpha1.ConfirmDeleteAnnotation, v1alpha1.RotateKeysRequestedAtAnnotation, v1alpha1.RevokeKeysBeforeAnnotation,
}

// sizeOf is the size of what people write into an object, in bytes: its spec, labels and annotations. The change records
// that it carries for a while are the operator's. What whoever is on call writes takes no place, so that a full namespace
// does not refuse it: switches, brakes, freezes and rollbacks.
func sizeOf(object client.Object) int64 {
	size := metadataSize(object)
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		spec := object.Spec
		spec.Environments = slices.Clone(spec.Environments)
		for i := range spec.Environments {
			spec.Environments[i].Enabled = true // It is left out where it is false.
		}
		size += encoded(spec)
	case *v1alpha1.FlagEnvironment:
		spec := object.Spec
		spec.Publish = v1alpha1.Publish{}
		size += encoded(spec)
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
		switch {
		case key == v1alpha1.ChangesAnnotation:
		case slices.Contains(requests, key):
			size += int64(max(0, len(value)-freeRequestBytes))
		default:
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
