// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "cmp"

// The defaulting webhook and every reader of manifest files set defaults by the functions below. What is constant is
// also in the Kinds' schemas, so that kubectl explain shows it; a test holds the two together.

// Default sets what a flag leaves out.
func (f *FeatureFlag) Default() {
	spec := &f.Spec
	setDefault(&spec.Key, f.Name)
	setDefault(&spec.Classification, ClassificationRelease)
	setDefault(&spec.Runtime, RuntimeAll)
	setDefault(&spec.Bucketing, BucketingMurmur3)
	setDefault(&spec.HistoryLimit, new(int32(25)))
	if spec.Type == FlagTypeBoolean && len(spec.Variations) == 0 {
		spec.Variations = []Variation{
			{Key: "off", Value: JSON{Raw: []byte("false")}}, {Key: "on", Value: JSON{Raw: []byte("true")}},
		}
		setDefault(&spec.DefaultVariation, "off")
	}
	for i := range spec.Environments {
		for j := range spec.Environments[i].Rules {
			rule := &spec.Environments[i].Rules[j]
			setDefault(&rule.Type, RuleTypeTargetedDelivery)
			setDefault(&rule.Enabled, new(true))
			setDefault(&rule.Traffic, "100%")
		}
	}
}

// Default sets what an environment leaves out.
func (e *FlagEnvironment) Default() {
	spec := &e.Spec
	setDefault(&spec.Publish.Mode, PublishModeAutomatic)
	setDefault(&spec.Publish.RevisionHistoryLimit, new(int32(10)))
	setDefault(&spec.Datafile.Compression, CompressionAuto)
	setDefault(&spec.Datafile.ClientMembers, ClientMembersDeny)
	setDefault(&spec.DeletionPolicy, DeletionPolicyRetain)
	if !spec.Publish.Suspend {
		spec.Publish.SuspendReason, spec.Publish.SuspendUntil = "", nil
	}
	if len(spec.Datafile.Formats) == 0 {
		spec.Datafile.Formats = []DatafileFormat{DatafileFormatNative, DatafileFormatFlagd}
	}
}

// Default sets what an event leaves out.
func (e *FlagEvent) Default() {
	setDefault(&e.Spec.Key, e.Name)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Key is what code asks for: spec.key, or the name of a flag on which defaults were not set.
func (f *FeatureFlag) Key() string { return cmp.Or(f.Spec.Key, f.Name) }

// Key is what code tracks: spec.key, or the name of an event on which defaults were not set.
func (e *FlagEvent) Key() string { return cmp.Or(e.Spec.Key, e.Name) }
