// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is an object of one of the Kinds.
//
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object

	// SpecValue returns the object's spec, which shares memory with it.
	SpecValue() any
}

// Kind is what is known of a Kind that people write. FlagChange, which only the operator writes, is none of these.
//
// +kubebuilder:object:generate=false
type Kind struct {
	// Name is the Kind's name in a manifest, such as FeatureFlag.
	Name string
	// Resource is its plural in paths and in rights, such as featureflags.
	Resource string
	// ShortName is what kubectl takes for the resource, such as ffl.
	ShortName string
	// Word and Words are what people call one and many of them, such as flag and flags.
	Word, Words string
	// Label names an object of the Kind on what is made for it: change records, datafiles, copies.
	Label string

	// New makes an empty object, and NewList an empty list.
	New     func() Object
	NewList func() List
}

// List is a list of objects of one of the Kinds.
//
// +kubebuilder:object:generate=false
type List interface {
	metav1.ListInterface
	runtime.Object
}

// Kinds are the Kinds that people write, the most used first. What ranges over it takes a further Kind up by itself.
var Kinds = []Kind{
	{
		Name: "FeatureFlag", Resource: "featureflags", ShortName: "ffl", Word: "flag", Words: "flags", Label: FlagLabel,
		New:     func() Object { return &FeatureFlag{} },
		NewList: func() List { return &FeatureFlagList{} },
	},
	{
		Name: "FlagEnvironment", Resource: "flagenvironments", ShortName: "ffe", Word: "environment", Words: "environments",
		Label:   EnvironmentLabel,
		New:     func() Object { return &FlagEnvironment{} },
		NewList: func() List { return &FlagEnvironmentList{} },
	},
	{
		Name: "FlagAudience", Resource: "flagaudiences", ShortName: "ffa", Word: "audience", Words: "audiences",
		Label:   AudienceLabel,
		New:     func() Object { return &FlagAudience{} },
		NewList: func() List { return &FlagAudienceList{} },
	},
	{
		Name: "FlagEvent", Resource: "flagevents", ShortName: "ffev", Word: "event", Words: "events", Label: EventLabel,
		New:     func() Object { return &FlagEvent{} },
		NewList: func() List { return &FlagEventList{} },
	},
}

// KindNamed returns the Kind of that name, and false where people write no such Kind.
func KindNamed(name string) (Kind, bool) {
	for _, kind := range Kinds {
		if kind.Name == name {
			return kind, true
		}
	}
	return Kind{}, false
}

// KindOf returns the Kind of an object, and false where it is of none that people write.
func KindOf(object any) (Kind, bool) {
	switch object.(type) {
	case *FeatureFlag:
		return KindNamed("FeatureFlag")
	case *FlagEnvironment:
		return KindNamed("FlagEnvironment")
	case *FlagAudience:
		return KindNamed("FlagAudience")
	case *FlagEvent:
		return KindNamed("FlagEvent")
	default:
		return Kind{}, false
	}
}

// SpecValue implements Object.
func (f *FeatureFlag) SpecValue() any { return &f.Spec }

// SpecValue implements Object.
func (e *FlagEnvironment) SpecValue() any { return &e.Spec }

// SpecValue implements Object.
func (a *FlagAudience) SpecValue() any { return &a.Spec }

// SpecValue implements Object.
func (e *FlagEvent) SpecValue() any { return &e.Spec }
