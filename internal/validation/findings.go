// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// DatafileWarningPercent of datafile.MaxConfigMapBytes is the size of a datafile from which on its authors are warned.
	DatafileWarningPercent = 80

	// DraftBytes is how far drafts may fill the ConfigMap of a production environment. The rest is for what is published
	// with the permission, so that whoever lacks it cannot keep the others from publishing.
	DraftBytes = 900 << 10

	// maxFindings bounds what is found about one object.
	maxFindings = 100

	// maxWarningBytes is the length of a warning that the API server passes on uncut.
	maxWarningBytes = 256

	// maxVisited bounds the search for a prerequisite cycle, in flags.
	maxVisited = 1000
)

// FindingKind says what a Finding is about.
type FindingKind string

// The kinds of a Finding. REST refuses the first five, which make an object wrong among the others; the rest are
// advice.
const (
	// KeyTaken: another object of the namespace holds the key.
	KeyTaken FindingKind = "KeyTaken"
	// PrerequisiteCycle: the flag requires itself.
	PrerequisiteCycle FindingKind = "PrerequisiteCycle"
	// ArchivedButRequired: the flag is archived while others require it.
	ArchivedButRequired FindingKind = "ArchivedButRequired"
	// VariationRequired: a variation is removed while others require it.
	VariationRequired FindingKind = "VariationRequired"
	// NotFound: a reference leads to nothing yet.
	NotFound FindingKind = "NotFound"
	// Unreachable: an earlier rule decides for everybody.
	Unreachable FindingKind = "Unreachable"
	// ZeroWeight: a variation of a split is served to nobody.
	ZeroWeight FindingKind = "ZeroWeight"
	// DatafileSize: a datafile comes near to what a ConfigMap holds.
	DatafileSize FindingKind = "DatafileSize"
	// LeavesFlagd: the flag leaves a flagd file that it was in.
	LeavesFlagd FindingKind = "LeavesFlagd"
	// NotInFlagd: the flagd format cannot carry the flag, which was in no flagd file before.
	NotInFlagd FindingKind = "NotInFlagd"
	// UnusedVariation: nothing in an enabled flag serves a variation.
	UnusedVariation FindingKind = "UnusedVariation"
	// Shares: the weights of a split are not percents.
	Shares FindingKind = "Shares"
	// NullInValue: a value holds a null that client-side apply drops.
	NullInValue FindingKind = "NullInValue"
	// NamedLikeProduction: the environment has the name of a production environment and is none.
	NamedLikeProduction FindingKind = "NamedLikeProduction"
	// LargeSpec: the spec comes near to what client-side apply can carry.
	LargeSpec FindingKind = "LargeSpec"
	// Unguarded: what is or was served in production can be changed or deleted without the verb publish.
	Unguarded FindingKind = "Unguarded"
)

// Finding is something about an object that admission warns of.
type Finding struct {
	// Kind says what it is about.
	Kind FindingKind
	// Field is the path of the field that it is about.
	Field string
	// Detail says what is found, and what to do.
	Detail string
}

// Refused reports whether REST, which acts on one object at a time, refuses what admission warns of.
func (f Finding) Refused() bool {
	switch f.Kind {
	case KeyTaken, PrerequisiteCycle, ArchivedButRequired, VariationRequired, NotFound:
		return true
	case Unreachable, ZeroWeight, DatafileSize, LeavesFlagd, NotInFlagd, UnusedVariation, Shares, NullInValue,
		NamedLikeProduction, LargeSpec, Unguarded:
		return false
	}
	return false
}

// IsAdvice reports whether the finding is about the manifest rather than about who gets what, so that it is told after
// the effects of a change.
func (f Finding) IsAdvice() bool {
	switch f.Kind {
	case NotInFlagd, UnusedVariation, Shares, NullInValue, LargeSpec:
		return true
	case KeyTaken, PrerequisiteCycle, ArchivedButRequired, VariationRequired, NotFound, Unreachable, ZeroWeight,
		DatafileSize, LeavesFlagd, NamedLikeProduction, Unguarded:
	}
	return false
}

// FieldError returns the finding as the field error with which REST refuses it.
func (f Finding) FieldError() *field.Error {
	return &field.Error{Type: field.ErrorTypeInvalid, Field: f.Field, BadValue: field.OmitValueType{}, Detail: f.Detail}
}

// Warning returns the finding as the text of an admission warning, at most 256 bytes.
func (f Finding) Warning() string { return Warning(f.Field + ": " + f.Detail) }

// Warning cuts a text to the length of an admission warning.
func Warning(text string) string { return Truncate(text, maxWarningBytes) }

// Compatibility says why the flagd format cannot carry a flag. Nil means that it can.
type Compatibility func(flag *v1alpha1.FeatureFlag) error

// Namespace gives the objects of one namespace. What it returns is not changed.
type Namespace interface {
	// FlagsWithKey returns all flags with that key.
	FlagsWithKey(ctx context.Context, key string) ([]*v1alpha1.FeatureFlag, error)
	// FlagsRequiring returns the unarchived flags that require the flag of that key in any environment.
	FlagsRequiring(ctx context.Context, key string) ([]*v1alpha1.FeatureFlag, error)
	// Environments returns all environments.
	Environments(ctx context.Context) ([]*v1alpha1.FlagEnvironment, error)
	// HasAudience reports whether there is an audience of that name.
	HasAudience(ctx context.Context, name string) (bool, error)
	// EventsWithKey returns all events with that key.
	EventsWithKey(ctx context.Context, key string) ([]*v1alpha1.FlagEvent, error)
	// Audiences returns the names of all audiences, FlagKeys the keys of all flags, and EventKeys those of all events,
	// each at most once and in no order. They are asked only where a reference leads to nothing.
	Audiences(ctx context.Context) ([]string, error)
	FlagKeys(ctx context.Context) ([]string, error)
	EventKeys(ctx context.Context) ([]string, error)
}

// Holder returns the object that holds a key among those that have it: the one with the oldest creation time, then the
// lowest UID, then the lowest name. An object that was not created yet is the youngest. There is at least one object.
func Holder[T metav1.Object](first T, further ...T) T {
	holder := first
	for _, object := range further {
		if compareAge(object, holder) < 0 {
			holder = object
		}
	}
	return holder
}

func compareAge(a, b metav1.Object) int {
	createdA, createdB := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	switch {
	case createdA.IsZero() != createdB.IsZero():
		if createdB.IsZero() {
			return -1
		}
		return 1
	case !createdA.Equal(&createdB):
		return createdA.Compare(createdB.Time)
	}
	return cmp.Or(cmp.Compare(a.GetUID(), b.GetUID()), cmp.Compare(a.GetName(), b.GetName()))
}

// FeatureFlagFindings returns what there is to warn of about flag, which is valid by itself, at most 100 findings. Old
// is what it replaces, or nil; where neither the spec nor what switches the flag off changes there is nothing to warn
// of. Without compatible, no look is taken at the flagd format. It fails where namespace does.
func FeatureFlagFindings(
	ctx context.Context,
	namespace Namespace,
	compatible Compatibility,
	old, flag *v1alpha1.FeatureFlag,
) ([]Finding, error) {
	if old != nil && equality.Semantic.DeepEqual(old.Spec, flag.Spec) &&
		old.Annotations[v1alpha1.ForceDisabledAnnotation] == flag.Annotations[v1alpha1.ForceDisabledAnnotation] {
		return nil, nil
	}
	environments, err := namespace.Environments(ctx)
	if err != nil {
		return nil, fmt.Errorf("find environments: %w", err)
	}
	f := &flagFinder{
		namespace: namespace,
		old:       old,
		flag:      flag,
		key:       flag.Key(),
		environments: make(
			map[string]*v1alpha1.FlagEnvironment,
			len(environments),
		),
		holders: map[string]*v1alpha1.FeatureFlag{},
	}
	for _, environment := range environments {
		f.environments[environment.Name] = environment
	}
	holds, err := f.keyTaken(ctx)
	if err != nil {
		return nil, err
	}
	if holds {
		if err := f.cycles(ctx); err != nil {
			return nil, err
		}
		if err := f.required(ctx); err != nil {
			return nil, err
		}
	}
	if err := f.references(ctx); err != nil {
		return nil, err
	}
	f.rules()
	f.shares()
	f.unusedVariations()
	f.nulls()
	f.sizes()
	f.leavesFlagd(compatible)
	return f.result(), nil
}

// findings collects at most maxFindings findings, each once.
type findings struct{ list []Finding }

func (f *findings) add(kind FindingKind, path *field.Path, format string, arguments ...any) {
	if len(f.list) < maxFindings {
		f.list = append(f.list, Finding{Kind: kind, Field: path.String(), Detail: fmt.Sprintf(format, arguments...)})
	}
}

func (f *findings) result() []Finding { return f.list }

// largeSpec warns of a spec over LargeSpecBytes.
func (f *findings) largeSpec(size int) {
	if size > LargeSpecBytes {
		f.add(
			LargeSpec,
			specPath,
			"has %d bytes as JSON; kubectl apply without --server-side fails as soon as all annotations pass 256 KiB",
			size,
		)
	}
}

// datafileSize warns where a datafile grows by so many bytes that it comes near to what a ConfigMap holds, or that it has
// no room for a draft.
func (f *findings) datafileSize(environment *v1alpha1.FlagEnvironment, growth int, isDraft bool) {
	projected := environment.Status.Datafile.Bytes + int64(growth)
	if isDraft && growth > 0 && projected > DraftBytes && environment.Spec.Production {
		f.add(
			DatafileSize,
			specPath,
			"with this draft the datafile of environment %q has about %d bytes, and drafts may fill %d: it is published once "+
				"it is enabled or there is room; archive flags or split the project",
			environment.Name,
			projected,
			DraftBytes,
		)
		return
	}
	if percent := projected * 100 / datafile.MaxConfigMapBytes; growth > 0 && percent >= DatafileWarningPercent {
		f.add(
			DatafileSize,
			specPath,
			"the datafile of environment %q grows to about %d bytes, %d %% of what a ConfigMap holds; archive flags or split "+
				"the project",
			environment.Name,
			projected,
			percent,
		)
	}
}

// FlagAudienceFindings returns what there is to warn of about audience, which is valid by itself. Old is what it
// replaces, or nil. It fails where namespace does.
func FlagAudienceFindings(
	ctx context.Context,
	namespace Namespace,
	old, audience *v1alpha1.FlagAudience,
) ([]Finding, error) {
	if old != nil && equality.Semantic.DeepEqual(old.Spec, audience.Spec) {
		return nil, nil
	}
	environments, err := namespace.Environments(ctx)
	if err != nil {
		return nil, fmt.Errorf("find environments: %w", err)
	}
	f := &findings{}
	size := jsonSize(&audience.Spec)
	growth := size
	if old != nil {
		growth -= jsonSize(&old.Spec)
	}
	byName := func(a, b *v1alpha1.FlagEnvironment) int { return cmp.Compare(a.Name, b.Name) }
	for _, environment := range slices.SortedFunc(slices.Values(environments), byName) {
		f.datafileSize(environment, growth, false)
	}
	f.largeSpec(size)
	return f.result(), nil
}

// FlagEventFindings returns what there is to warn of about event, which is valid by itself. Old is what it replaces, or
// nil. It fails where namespace does.
func FlagEventFindings(ctx context.Context, namespace Namespace, old, event *v1alpha1.FlagEvent) ([]Finding, error) {
	if old != nil && equality.Semantic.DeepEqual(old.Spec, event.Spec) {
		return nil, nil
	}
	key := event.Key()
	events, err := namespace.EventsWithKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find events with key %q: %w", key, err)
	}
	f := &findings{}
	holder := Holder(
		event,
		slices.DeleteFunc(slices.Clone(events), func(other *v1alpha1.FlagEvent) bool { return other.Name == event.Name })...)
	if holder != event {
		f.add(
			KeyTaken,
			specPath.Child("key"),
			"FlagEvent %q holds the key %q already; this event is not published until that one is gone",
			holder.Name,
			key,
		)
	}
	return f.result(), nil
}
