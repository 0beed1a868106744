// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"encoding/json"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// freeManagersBytes is how much an object's managed fields may take without taking place: what a few tools apply. The
// API server writes them, so that whoever is on call adds to them without meaning to.
const freeManagersBytes = 16 << 10

// freeBytes is how many bytes of each on-call annotation the budget does not count. A brake may name fifty
// environments; the others are a time, a digest or a name.
var freeBytes = map[string]int{
	v1alpha1.ForceDisabledAnnotation:         4 << 10,
	v1alpha1.PublishRequestedAtAnnotation:    256,
	v1alpha1.ConfirmVanishedAnnotation:       256,
	v1alpha1.ConfirmDeleteAnnotation:         256,
	v1alpha1.PinAgainAnnotation:              256,
	v1alpha1.RotateKeysRequestedAtAnnotation: 256,
	v1alpha1.RevokeKeysBeforeAnnotation:      256,
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

// heldSize is how many bytes of JSON an object takes about, but for its status, which the operator writes: nothing of
// it is free. Counted is its sizeOf.
func heldSize(object client.Object, counted int64) int64 {
	size := counted + min(managersSize(object), freeManagersBytes)
	for key, value := range object.GetAnnotations() {
		if free, is := freeBytes[key]; is {
			size += int64(len(key) + min(len(value), free))
		}
		if key == v1alpha1.ChangesAnnotation {
			size += int64(len(key) + len(value))
		}
	}
	if environment, is := object.(*v1alpha1.FlagEnvironment); is {
		size += encoded(environment.Spec.Publish)
	}
	return size
}

// managersSize is the size of an object's managed fields, in bytes.
func managersSize(object client.Object) int64 {
	size := int64(0)
	for _, entry := range object.GetManagedFields() {
		size += int64(len(entry.Manager) + len(entry.APIVersion) + len(entry.Subresource))
		if entry.FieldsV1 != nil {
			size += int64(entry.FieldsV1.Size())
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
	size += max(0, managersSize(object)-freeManagersBytes)
	for key, value := range object.GetLabels() {
		size += int64(len(key) + len(value))
	}
	for key, value := range object.GetAnnotations() {
		free, isFree := freeBytes[key]
		switch {
		case key == v1alpha1.ChangesAnnotation, key == v1alpha1.UndecodableAnnotation: // The latter is never stored.
		case isFree:
			size += int64(max(0, len(value)-free))
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
