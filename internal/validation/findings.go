// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// DatafileWarningPercent of datafile.MaxConfigMapBytes is the size of a datafile from which on its authors are warned.
	DatafileWarningPercent = 80

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

// datafileSize warns where a datafile grows by so many bytes that it comes near to what a ConfigMap holds.
func (f *findings) datafileSize(environment *v1alpha1.FlagEnvironment, growth int) {
	projected := environment.Status.Datafile.Bytes + int64(growth)
	if percent := projected * 100 / datafile.MaxConfigMapBytes; growth > 0 && percent >= DatafileWarningPercent {
		f.add(
			DatafileSize,
			specPath,
			"the datafile of environment %q grows to about %d bytes, %d %% of what a ConfigMap holds; archive flags or split the project",
			environment.Name,
			projected,
			percent,
		)
	}
}

// flagFinder looks for what there is to warn of about one flag.
type flagFinder struct {
	findings
	namespace Namespace
	old, flag *v1alpha1.FeatureFlag
	key       string
	// environments are those of the namespace by name.
	environments map[string]*v1alpha1.FlagEnvironment
	// holders are the flags that hold a key, as far as they were looked up; nil where there is none.
	holders map[string]*v1alpha1.FeatureFlag
	// proposed counts for how many names the nearest ones were looked for.
	proposed int
}

// keyTaken warns where another flag holds the key. It reports whether this flag holds it.
func (f *flagFinder) keyTaken(ctx context.Context) (bool, error) {
	flags, err := f.namespace.FlagsWithKey(ctx, f.key)
	if err != nil {
		return false, fmt.Errorf("find flags with key %q: %w", f.key, err)
	}
	holder := Holder(
		f.flag,
		slices.DeleteFunc(
			slices.Clone(flags),
			func(other *v1alpha1.FeatureFlag) bool { return other.Name == f.flag.Name },
		)...)
	f.holders[f.key] = holder
	if holder == f.flag {
		return true, nil
	}
	f.add(
		KeyTaken,
		specPath.Child("key"),
		"FeatureFlag %q holds the key %q already; this flag is not served until that one is gone",
		holder.Name,
		f.key,
	)
	return false, nil
}

// holder returns the flag that holds key, or nil.
func (f *flagFinder) holder(ctx context.Context, key string) (*v1alpha1.FeatureFlag, error) {
	if holder, known := f.holders[key]; known {
		return holder, nil
	}
	flags, err := f.namespace.FlagsWithKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find flags with key %q: %w", key, err)
	}
	var holder *v1alpha1.FeatureFlag
	if len(flags) > 0 {
		holder = Holder(flags[0], flags[1:]...)
	}
	f.holders[key] = holder
	return holder, nil
}

// cycles warns where the flag requires itself in an environment, directly or through other flags.
func (f *flagFinder) cycles(ctx context.Context) error {
	if f.flag.Spec.Archived {
		return nil
	}
	for i := range f.flag.Spec.Environments {
		environment := f.flag.Spec.Environments[i].Name
		path, err := f.cycle(ctx, environment)
		if err != nil {
			return err
		}
		if path != nil {
			f.add(
				PrerequisiteCycle,
				specPath.Child("environments").Index(i).Child("prerequisites"),
				"the flag requires itself in environment %q: %s; none of these flags changes there until one of the prerequisites is removed",
				environment,
				Truncate(strings.Join(path, " → "), maxShown),
			)
		}
	}
	return nil
}

// cycle returns the keys of the shortest way from the flag back to itself, or nil. It searches breadth first.
func (f *flagFinder) cycle(ctx context.Context, environment string) ([]string, error) {
	requiredBy := map[string]string{}
	for queue := []string{f.key}; len(queue) > 0 && len(requiredBy) < maxVisited; queue = queue[1:] {
		flag, err := f.holder(ctx, queue[0])
		if err != nil {
			return nil, err
		}
		for _, key := range requirements(flag, environment) {
			if _, known := requiredBy[key]; known {
				continue
			}
			requiredBy[key] = queue[0]
			if key != f.key {
				queue = append(queue, key)
				continue
			}
			path := []string{f.key}
			for step := queue[0]; step != f.key; step = requiredBy[step] {
				path = append(path, step)
			}
			path = append(path, f.key)
			slices.Reverse(path)
			return path, nil
		}
	}
	return nil, nil
}

// requirements returns the keys of the flags that a flag, if there is one, requires in an environment.
func requirements(flag *v1alpha1.FeatureFlag, environment string) []string {
	if flag == nil || flag.Spec.Archived {
		return nil
	}
	var keys []string
	for i := range flag.Spec.Environments {
		if flag.Spec.Environments[i].Name == environment {
			for _, prerequisite := range flag.Spec.Environments[i].Prerequisites {
				keys = append(keys, prerequisite.Flag)
			}
		}
	}
	return keys
}

// required warns where this change archives the flag, or removes a variation, while others require it.
func (f *flagFinder) required(ctx context.Context) error {
	archives := f.flag.Spec.Archived && (f.old == nil || !f.old.Spec.Archived)
	removed := map[string]struct{}{}
	if f.old != nil && !f.flag.Spec.Archived {
		for i := range f.old.Spec.Variations {
			removed[f.old.Spec.Variations[i].Key] = struct{}{}
		}
		for i := range f.flag.Spec.Variations {
			delete(removed, f.flag.Spec.Variations[i].Key)
		}
	}
	if !archives && len(removed) == 0 {
		return nil
	}
	flags, err := f.namespace.FlagsRequiring(ctx, f.key)
	if err != nil {
		return fmt.Errorf("find flags that require %q: %w", f.key, err)
	}
	var all []string
	byVariation := map[string][]string{}
	for _, flag := range flags {
		if flag.Name == f.flag.Name || flag.DeletionTimestamp != nil {
			continue
		}
		all = append(all, flag.Name)
		for i := range flag.Spec.Environments {
			for _, prerequisite := range flag.Spec.Environments[i].Prerequisites {
				for _, variation := range prerequisite.Variations {
					if _, gone := removed[variation]; gone && prerequisite.Flag == f.key {
						byVariation[variation] = append(byVariation[variation], flag.Name)
					}
				}
			}
		}
	}
	if archives && len(all) > 0 {
		slices.Sort(all)
		f.add(
			ArchivedButRequired,
			specPath.Child("archived"),
			"required by %s, for which an archived flag is a prerequisite that is not met",
			joinQuoted(all),
		)
	}
	for _, variation := range slices.Sorted(maps.Keys(byVariation)) {
		names := byVariation[variation]
		slices.Sort(names)
		f.add(
			VariationRequired,
			specPath.Child("variations"),
			"variation %q was removed and is required by %s",
			shown(variation),
			joinQuoted(slices.Compact(names)),
		)
	}
	return nil
}

// references warns of everything that the flag names and that is not there, once each.
func (f *flagFinder) references(ctx context.Context) error {
	for _, name := range f.flag.ForceDisabled() {
		if f.environments[name] == nil {
			f.add(
				NotFound,
				metadataPath.Child("annotations").Key(v1alpha1.ForceDisabledAnnotation),
				"FlagEnvironment %q does not exist%s",
				name,
				f.meant(name, f.environmentNames),
			)
		}
	}
	if f.flag.Spec.Archived {
		return nil
	}
	audiences, events := map[string]struct{}{}, map[string]struct{}{}
	for i := range f.flag.Spec.Environments {
		environment, path := &f.flag.Spec.Environments[i], specPath.Child("environments").Index(i)
		if f.environments[environment.Name] == nil {
			f.add(NotFound, path.Child("name"), "FlagEnvironment %q does not exist%s",
				shown(environment.Name), f.meant(environment.Name, f.environmentNames))
		}
		for j := range environment.Prerequisites {
			if err := f.prerequisite(ctx, path.Child("prerequisites").Index(j), &environment.Prerequisites[j]); err != nil {
				return err
			}
		}
		for j := range environment.Rules {
			rule, path := &environment.Rules[j], path.Child("rules").Index(j)
			for k, name := range rule.Audiences {
				if _, known := audiences[name]; known {
					continue
				}
				audiences[name] = struct{}{}
				found, err := f.namespace.HasAudience(ctx, name)
				if err != nil {
					return fmt.Errorf("find audience %q: %w", name, err)
				}
				if !found {
					f.add(
						NotFound,
						path.Child("audiences").Index(k),
						"FlagAudience %q does not exist, and holds for nobody until it does%s",
						shown(name),
						f.meant(name, func() ([]string, error) { return f.namespace.Audiences(ctx) }),
					)
				}
			}
			for k, key := range rule.Metrics {
				if _, known := events[key]; known {
					continue
				}
				events[key] = struct{}{}
				found, err := f.namespace.EventsWithKey(ctx, key)
				if err != nil {
					return fmt.Errorf("find event %q: %w", key, err)
				}
				if len(found) == 0 {
					f.add(NotFound, path.Child("metrics").Index(k), "no FlagEvent has the key %q%s", shown(key),
						f.meant(key, func() ([]string, error) { return f.namespace.EventKeys(ctx) }))
				}
			}
		}
	}
	return nil
}

func (f *flagFinder) prerequisite(ctx context.Context, path *field.Path, prerequisite *v1alpha1.Prerequisite) error {
	other, err := f.holder(ctx, prerequisite.Flag)
	if err != nil {
		return err
	}
	switch {
	case other == nil:
		f.add(
			NotFound,
			path.Child("flag"),
			"no FeatureFlag has the key %q; the prerequisite is not met until one does%s",
			shown(prerequisite.Flag),
			f.meant(prerequisite.Flag, func() ([]string, error) { return f.namespace.FlagKeys(ctx) }),
		)
	case other.Spec.Archived:
		f.add(
			NotFound,
			path.Child("flag"),
			"flag %q is archived, so that the prerequisite is not met",
			shown(prerequisite.Flag),
		)
	default:
		for i, key := range prerequisite.Variations {
			if !slices.ContainsFunc(
				other.Spec.Variations,
				func(variation v1alpha1.Variation) bool { return variation.Key == key },
			) {
				f.add(
					NotFound,
					path.Child("variations").Index(i),
					"flag %q has no variation %q%s",
					shown(prerequisite.Flag),
					shown(key),
					nearestOnly(key, variationKeys(other)),
				)
			}
		}
	}
	return nil
}

// rules warns of rules that are never reached and of variations that a split gives to nobody.
func (f *flagFinder) rules() {
	for i := range f.flag.Spec.Environments {
		rules, path := f.flag.Spec.Environments[i].Rules, specPath.Child("environments").Index(i).Child("rules")
		decider := ""
		for _, ruleType := range []v1alpha1.RuleType{v1alpha1.RuleTypeABTest, v1alpha1.RuleTypeTargetedDelivery} {
			for j := range rules {
				rule := &rules[j]
				if cmp.Or(rule.Type, v1alpha1.RuleTypeTargetedDelivery) != ruleType || !rule.IsEnabled() {
					continue
				}
				if decider != "" {
					f.add(
						Unreachable,
						path.Index(j),
						"rule %q is never reached, because rule %q decides for everybody before",
						rule.Name,
						decider,
					)
				} else if decidesForEverybody(rule) {
					decider = rule.Name
				}
			}
		}
	}
	for i := range f.flag.Spec.Environments {
		for j := range f.flag.Spec.Environments[i].Rules {
			for k, entry := range f.flag.Spec.Environments[i].Rules[j].Split {
				if entry.Weight == 0 {
					f.add(
						ZeroWeight,
						specPath.Child("environments").Index(i).Child("rules").Index(j).Child("split").Index(k).Child("weight"),
						"is 0, so that nobody gets variation %q",
						shown(entry.Variation),
					)
				}
			}
		}
	}
}

// decidesForEverybody reports whether no context gets past the rule. A split lets pass who has no hash attribute; that
// of a targeting key is taken for granted.
func decidesForEverybody(rule *v1alpha1.Rule) bool {
	traffic, err := rule.Traffic.Thousandths()
	return err == nil && traffic == v1alpha1.FullTraffic && len(rule.Audiences) == 0 && len(rule.Conditions) == 0 &&
		(len(rule.Split) == 0 || rule.HashAttribute == "" || rule.HashAttribute == "targetingKey")
}

// sizes warns of a large spec and of datafiles that come near to what a ConfigMap holds. How much a datafile grows is
// estimated by the specs' JSON, of which each datafile holds what concerns its environment.
func (f *flagFinder) sizes() {
	common, entries := specSizes(f.flag)
	oldCommon, oldEntries := specSizes(f.old)
	for _, name := range slices.Sorted(maps.Keys(f.environments)) {
		f.datafileSize(f.environments[name], common+entries[name]-oldCommon-oldEntries[name])
	}
	f.largeSpec(jsonSize(&f.flag.Spec))
}

// specSizes returns about how many bytes a flag, if there is one, takes in every datafile, and how many more in that of
// each environment.
func specSizes(flag *v1alpha1.FeatureFlag) (int, map[string]int) {
	if flag == nil || flag.Spec.Archived {
		return 0, nil
	}
	entries := make(map[string]int, len(flag.Spec.Environments))
	for i := range flag.Spec.Environments {
		entries[flag.Spec.Environments[i].Name] = jsonSize(&flag.Spec.Environments[i])
	}
	common := flag.Spec
	common.Description, common.Environments = "", nil
	return jsonSize(&common), entries
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
		f.datafileSize(environment, growth)
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
