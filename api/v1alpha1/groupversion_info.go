// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the Kinds of Jackstaff: FeatureFlag, FlagEnvironment, FlagAudience and FlagEvent, and
// FlagChange, the record of a change of these.
//
// +kubebuilder:object:generate=true
// +groupName=flags.jackstaff.dev
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package="../applyconfiguration"
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the API group and version of every Kind in this package.
	GroupVersion = schema.GroupVersion{Group: "flags.jackstaff.dev", Version: "v1alpha1"}

	// SchemeGroupVersion is GroupVersion under the name that generated code expects.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects the functions that add this package's Kinds to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds this package's Kinds to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&FeatureFlag{}, &FeatureFlagList{},
		&FlagEnvironment{}, &FlagEnvironmentList{},
		&FlagAudience{}, &FlagAudienceList{},
		&FlagEvent{}, &FlagEventList{},
		&FlagChange{}, &FlagChangeList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
