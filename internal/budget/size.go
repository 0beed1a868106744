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

// freeManagersBytes is how much an object's managed fields may take without taking place: what a few tools apply. The
// API server writes them, so that whoever is on call adds to them without meaning to.
const freeManagersBytes = 32 << 10

// requests are the annotations by which whoever is on call acts.
var requests = []string{
	v1alpha1.ForceDisabledAnnotation, v1alpha1.PublishRequestedAtAnnotation, v1alpha1.ConfirmVanishedAnnotation,
	v1alpha1.ConfirmDeleteAnnotation, v1alpha1.RotateKeysRequestedAtAnnotation, v1alpha1.RevokeKeysBeforeAnnotation,
}

// sizeOf is the size of what people write into an object, in bytes: its spec and its metadata. The change records
// that it carries for a while are the operator's. What whoever is on call writes takes no place, so that a full
// namespace does not refuse it: switches, brakes, freezes and rollbacks.
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

// metadataSize is the size of an object's metadata that people may let grow, in bytes: its name, labels, annotations,
// finalizers, owners, and what its managed fields take beyond those of a few tools.
func metadataSize(object client.Object) int64 {
	size := int64(len(object.GetName()))
	for _, name := range object.GetFinalizers() {
		size += int64(len(name))
	}
	for _, owner := range object.GetOwnerReferences() {
		size += int64(len(owner.APIVersion) + len(owner.Kind) + len(owner.Name) + len(owner.UID))
	}
	managers := int64(0)
	for _, entry := range object.GetManagedFields() {
		managers += int64(len(entry.Manager) + len(entry.APIVersion) + len(entry.Subresource))
		if entry.FieldsV1 != nil {
			managers += int64(entry.FieldsV1.Size())
		}
	}
	size += max(0, managers-freeManagersBytes)
	for key, value := range object.GetLabels() {
		size += int64(len(key) + len(value))
	}
	for key, value := range object.GetAnnotations() {
		switch {
		case key == v1alpha1.ChangesAnnotation, key == v1alpha1.UndecodableAnnotation: // The latter is never stored.
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
