// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	maxOrder                = 10000
	maxRevisionHistoryLimit = 100
	maxDatafileNameLength   = 253
	maxDatafileFormats      = 2
	maxMembers              = 20000
	maxGroups               = 50
	maxUnitLength           = 32
)

// dottedDatafileName matches names of datafiles that no environment has by default, because an environment's name has
// no dot.
var dottedDatafileName = regexp.MustCompile(`^flags-[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$`)

// FlagEnvironment returns everything that is wrong with an environment by itself, in the order of its fields.
func FlagEnvironment(environment *v1alpha1.FlagEnvironment) field.ErrorList {
	if lost := undecodable(environment); lost != nil {
		return lost
	}
	m := &mistakes{}
	m.metadata(environment, nil)
	m.environmentSpec(environment)
	return m.result()
}

// FlagEnvironmentUpdate returns everything that forbids replacing old by environment. As in FeatureFlagUpdate, what
// does not change is not judged again.
func FlagEnvironmentUpdate(old, environment *v1alpha1.FlagEnvironment) field.ErrorList {
	if environment.DeletionTimestamp != nil {
		return nil
	}
	if v1alpha1.Undecodable(old) != "" && v1alpha1.Undecodable(environment) == "" {
		return FlagEnvironment(environment)
	}
	m := &mistakes{}
	m.metadata(environment, old)
	if !equality.Semantic.DeepEqual(old.Spec, environment.Spec) {
		m.environmentSpec(environment)
	}
	return m.result()
}

func (m *mistakes) environmentSpec(environment *v1alpha1.FlagEnvironment) {
	spec := &environment.Spec
	m.characters(specPath.Child("displayName"), spec.DisplayName, maxDisplayNameLength)
	between(m, specPath.Child("order"), &spec.Order, 0, maxOrder)

	publish := specPath.Child("publish")
	oneOf(m, publish.Child("mode"), spec.Publish.Mode, false, v1alpha1.PublishModeAutomatic, v1alpha1.PublishModeManual,
		v1alpha1.PublishModeNone)
	m.characters(publish.Child("suspendReason"), spec.Publish.SuspendReason, MaxSuspendReason)
	between(m, publish.Child("revision"), spec.Publish.Revision, 1, math.MaxInt64)
	between(m, publish.Child("revisionHistoryLimit"), spec.Publish.RevisionHistoryLimit, 1, maxRevisionHistoryLimit)

	datafile := specPath.Child("datafile")
	if name := spec.Datafile.Name; len(name) > maxDatafileNameLength {
		m.add(field.TooLong(datafile.Child("name"), name, maxDatafileNameLength))
	} else if name != "" && name != "flags-"+environment.Name && !dottedDatafileName.MatchString(name) {
		m.invalid(
			datafile.Child("name"),
			name,
			"must begin with flags- and have a dot, such as flags-shop.web, so that no other environment can need the name",
		)
	}
	m.count(datafile.Child("formats"), len(spec.Datafile.Formats), maxDatafileFormats)
	formats := seen{}
	for i, format := range spec.Datafile.Formats {
		path := datafile.Child("formats").Index(i)
		oneOf(m, path, format, true, v1alpha1.DatafileFormatNative, v1alpha1.DatafileFormatFlagd)
		formats.check(m, string(format), path)
	}
	oneOf(m, datafile.Child("compression"), spec.Datafile.Compression, false,
		v1alpha1.CompressionAuto, v1alpha1.CompressionAlways, v1alpha1.CompressionNever)
	oneOf(
		m,
		datafile.Child("clientMembers"),
		spec.Datafile.ClientMembers,
		false,
		v1alpha1.ClientMembersDeny,
		v1alpha1.ClientMembersAllow,
	)

	for _, err := range metav1validation.ValidateLabelSelector(spec.Delivery.NamespaceSelector,
		metav1validation.LabelSelectorValidationOptions{}, specPath.Child("delivery", "namespaceSelector")) {
		m.add(err)
	}
	oneOf(
		m,
		specPath.Child("deletionPolicy"),
		spec.DeletionPolicy,
		false,
		v1alpha1.DeletionPolicyRetain,
		v1alpha1.DeletionPolicyDelete,
	)
}

// NewRevision returns the revision that environment newly asks for in spec.publish.revision, or 0 where it asks for
// none or old, which is nil on creation, asked for the same. The caller looks for it in the history and reports
// RevisionNotHeld.
func NewRevision(old, environment *v1alpha1.FlagEnvironment) int64 {
	revision := environment.Spec.Publish.Revision
	if revision == nil || environment.DeletionTimestamp != nil {
		return 0
	}
	if old != nil && old.Spec.Publish.Revision != nil && *old.Spec.Publish.Revision == *revision {
		return 0
	}
	return *revision
}

// maxHeld bounds how many revisions a message lists.
const maxHeld = 20

// RevisionNotHeld is the mistake of asking for a revision that the history does not hold. Held are those that it holds,
// the newest first.
func RevisionNotHeld(revision int64, held ...int64) *field.Error {
	detail := "the history does not hold this revision"
	if len(held) > 0 {
		texts := make([]string, 0, maxHeld)
		for _, number := range held[:min(len(held), maxHeld)] {
			texts = append(texts, strconv.FormatInt(number, 10))
		}
		detail += "; it holds " + join(texts, len(held)-len(texts))
	}
	return field.Invalid(specPath.Child("publish", "revision"), revision, detail)
}

// productionNames are what production is called, and notProduction the words that say it is not meant.
var (
	productionNames = []string{"prod", "production", "live", "prd"}
	notProduction   = []string{"pre", "non", "no", "not", "like", "test"}
)

// IsNamedLikeProduction reports whether people take an environment of that name for production.
func IsNamedLikeProduction(name string) bool {
	words := strings.Split(name, "-")
	among := func(list []string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(list, word) })
	}
	return among(productionNames) && !among(notProduction)
}

// FlagEnvironmentFindings warns of an environment that can be changed or deleted without the verb publish, although
// production is or was served by it. Left is the name of a ConfigMap that a production environment of that name left
// behind, and empty where there is none.
func FlagEnvironmentFindings(environment *v1alpha1.FlagEnvironment, left string) []Finding {
	var found []Finding
	if !environment.Spec.Production && left == "" && IsNamedLikeProduction(environment.Name) {
		found = append(found, Finding{
			NamedLikeProduction, specPath.Child("production").String(), fmt.Sprintf(
				"is not true, so that whoever edits flags changes what %q serves; set production: true to ask for the verb publish",
				environment.Name,
			),
		})
	}
	if !environment.Spec.Production && left != "" {
		found = append(found, Finding{
			Unguarded,
			specPath.Child("production").String(),
			fmt.Sprintf(
				"a production environment of this name has left ConfigMap %q; without production: true, editors change what "+
					"it serves",
				left,
			),
		})
	}
	if owners := environment.OwnerReferences; environment.Spec.Production && len(owners) > 0 {
		found = append(found, Finding{Unguarded, metadataPath.Child("ownerReferences").String(), fmt.Sprintf(
			"whoever deletes %s %q deletes this production environment with it", owners[0].Kind, owners[0].Name,
		)})
	}
	return found
}

// FlagAudience returns everything that is wrong with an audience by itself, in the order of its fields.
func FlagAudience(audience *v1alpha1.FlagAudience) field.ErrorList {
	if lost := undecodable(audience); lost != nil {
		return lost
	}
	m := &mistakes{}
	m.metadata(audience, nil)
	m.audienceSpec(&audience.Spec)
	return m.result()
}

// FlagAudienceUpdate returns everything that forbids replacing old by audience. As in FeatureFlagUpdate, what does not
// change is not judged again.
func FlagAudienceUpdate(old, audience *v1alpha1.FlagAudience) field.ErrorList {
	if audience.DeletionTimestamp != nil {
		return nil
	}
	if v1alpha1.Undecodable(old) != "" && v1alpha1.Undecodable(audience) == "" {
		return FlagAudience(audience)
	}
	m := &mistakes{}
	m.metadata(audience, old)
	if !equality.Semantic.DeepEqual(old.Spec, audience.Spec) {
		m.audienceSpec(&audience.Spec)
	}
	return m.result()
}

func (m *mistakes) audienceSpec(spec *v1alpha1.FlagAudienceSpec) {
	m.characters(specPath.Child("displayName"), spec.DisplayName, maxDisplayNameLength)
	members := specPath.Child("members")
	m.count(members, len(spec.Members), maxMembers)
	for i, member := range spec.Members {
		if member == "" || len(member) > maxTargetingKeyBytes {
			m.targetingKey(members.Index(i), member)
		}
	}
	groups := specPath.Child("matchAny")
	var conditions [][]v1alpha1.Condition
	m.count(groups, len(spec.MatchAny), maxGroups)
	for i := range spec.MatchAny {
		path := groups.Index(i).Child("conditions")
		if len(spec.MatchAny[i].Conditions) == 0 {
			m.add(field.Required(path, "a group has at least one condition"))
		}
		m.conditions(path, spec.MatchAny[i].Conditions)
		conditions = append(conditions, spec.MatchAny[i].Conditions)
	}
	m.steps(groups, "an audience", conditions...)
	m.size(spec)
}

// FlagEvent returns everything that is wrong with an event by itself, in the order of its fields.
func FlagEvent(event *v1alpha1.FlagEvent) field.ErrorList {
	if lost := undecodable(event); lost != nil {
		return lost
	}
	m := &mistakes{}
	m.metadata(event, nil)
	m.eventSpec(&event.Spec)
	return m.result()
}

// FlagEventUpdate returns everything that forbids replacing old by event: what is wrong with event by itself, and a
// changed key or type. As in FeatureFlagUpdate, what does not change is not judged again.
func FlagEventUpdate(old, event *v1alpha1.FlagEvent) field.ErrorList {
	if event.DeletionTimestamp != nil {
		return nil
	}
	if v1alpha1.Undecodable(old) != "" && v1alpha1.Undecodable(event) == "" {
		return mended(FlagEvent(event), old, specPath.Child("key"), event.Key(), old.Key())
	}
	m := &mistakes{}
	m.metadata(event, old)
	if !equality.Semantic.DeepEqual(old.Spec, event.Spec) {
		m.eventSpec(&event.Spec)
		immutable(m, specPath.Child("key"), event.Key(), old.Key())
		immutable(m, specPath.Child("type"), event.Spec.Type, old.Spec.Type)
	}
	return m.result()
}

func (m *mistakes) eventSpec(spec *v1alpha1.FlagEventSpec) {
	if spec.Key != "" {
		m.key(specPath.Child("key"), spec.Key, eventKeyPattern, eventKeyForm)
	}
	m.characters(specPath.Child("displayName"), spec.DisplayName, maxDisplayNameLength)
	m.characters(specPath.Child("description"), spec.Description, maxDescriptionLength)
	oneOf(m, specPath.Child("type"), spec.Type, true, v1alpha1.EventTypeConversion, v1alpha1.EventTypeNumeric)
	m.characters(specPath.Child("unit"), spec.Unit, maxUnitLength)
}

// FeatureFlagDelete says what forbids deleting flag: it has been enabled, is not archived and nothing confirms. Of
// sameKey, the other flags with its key, one that keeps the key served allows it: one that holds the key already, or
// takes it over unarchived.
func FeatureFlagDelete(flag *v1alpha1.FeatureFlag, sameKey []*v1alpha1.FeatureFlag) field.ErrorList {
	if flag.Spec.Archived || isDraft(flag) || confirmed(flag) {
		return nil
	}
	for _, other := range sameKey {
		if other.Name != flag.Name && other.DeletionTimestamp == nil && other.Key() == flag.Key() &&
			(!other.Spec.Archived || Holder(flag, other) == other) {
			return nil
		}
	}
	return field.ErrorList{
		confirmFirst(flag, "the flag has been enabled, and code may ask for it; archive it first (spec.archived: true)"),
	}
}

// isDraft reports whether a flag was never enabled. Its status may lag behind its spec, so that both have to say so.
func isDraft(flag *v1alpha1.FeatureFlag) bool {
	if flag.Status.FirstEnabledTime != nil || flag.Status.Phase == v1alpha1.PhaseActive ||
		flag.Status.Phase == v1alpha1.PhaseInactive {
		return false
	}
	for i := range flag.Spec.Environments {
		if flag.Spec.Environments[i].Enabled {
			return false
		}
	}
	return true
}

// FlagEnvironmentDelete says what forbids deleting environment: it is a production environment and nothing confirms.
func FlagEnvironmentDelete(environment *v1alpha1.FlagEnvironment) field.ErrorList {
	if !environment.Spec.Production || confirmed(environment) {
		return nil
	}
	return field.ErrorList{
		confirmFirst(environment, "this is a production environment; set spec.production to false first"),
	}
}

// FlagAudienceDelete says what forbids deleting audience: unarchived flags name it, of which names are the first, in
// order.
func FlagAudienceDelete(audience *v1alpha1.FlagAudience, names []string) field.ErrorList {
	return inUse(audience.Name, "named", names)
}

// FlagEventDelete says what forbids deleting event: unarchived flags measure it, of which names are the first, in
// order. Of sameKey, the other events with its key, one that is not being deleted takes its place and allows it.
func FlagEventDelete(event *v1alpha1.FlagEvent, sameKey []*v1alpha1.FlagEvent, names []string) field.ErrorList {
	for _, other := range sameKey {
		if other.Name != event.Name && other.DeletionTimestamp == nil && other.Key() == event.Key() {
			return nil
		}
	}
	return inUse(event.Name, "measured", names)
}

// NamesAudience reports whether flag forbids deleting the audience of that name: a rule of it names the audience, and
// the flag is neither archived nor being deleted.
func NamesAudience(flag *v1alpha1.FeatureFlag, name string) bool {
	return anyRule(flag, func(rule *v1alpha1.Rule) bool { return slices.Contains(rule.Audiences, name) })
}

// MeasuresEvent reports whether flag forbids deleting the event of that key: a rule of it measures the event, and the
// flag is neither archived nor being deleted.
func MeasuresEvent(flag *v1alpha1.FeatureFlag, key string) bool {
	return anyRule(flag, func(rule *v1alpha1.Rule) bool { return slices.Contains(rule.Metrics, key) })
}

func anyRule(flag *v1alpha1.FeatureFlag, holds func(*v1alpha1.Rule) bool) bool {
	if flag.Spec.Archived || flag.DeletionTimestamp != nil {
		return false
	}
	for i := range flag.Spec.Environments {
		for j := range flag.Spec.Environments[i].Rules {
			if holds(&flag.Spec.Environments[i].Rules[j]) {
				return true
			}
		}
	}
	return false
}

func inUse(name, how string, names []string) field.ErrorList {
	if len(names) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(metadataPath.Child("name"), name,
		fmt.Sprintf("is still %s by unarchived flags: %s; change or archive them first", how, joinQuoted(names)))}
}

// confirmed reports whether the object's annotation allows its deletion.
func confirmed(object metav1.Object) bool {
	return object.GetAnnotations()[v1alpha1.ConfirmDeleteAnnotation] == object.GetName()
}

func confirmFirst(object metav1.Object, why string) *field.Error {
	return field.Required(metadataPath.Child("annotations").Key(v1alpha1.ConfirmDeleteAnnotation),
		fmt.Sprintf("%s, or confirm the deletion by setting this annotation to %q", why, object.GetName()))
}
