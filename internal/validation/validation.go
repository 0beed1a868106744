// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation holds every rule about the four Kinds, for the webhooks, the REST views, the compiler and the
// command line.
//
// FeatureFlag, FlagEnvironment, FlagAudience and FlagEvent say what is wrong with one object by itself, including all
// that the Kind's schema says, so that they hold where no API server has looked. The Update functions add what an
// update may not do, the Delete functions say what forbids a deletion. All of these are mistakes: admission denies
// them.
//
// What depends on other objects is a Finding: admission only warns of it, because GitOps tools apply objects in any
// order.
package validation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// MaxSpecBytes is the size of the largest spec that is admitted, as JSON.
	MaxSpecBytes = 768 << 10

	// LargeSpecBytes is the size of a spec, as JSON, from which on its author is warned: client-side apply keeps the
	// manifest in an annotation too, and all annotations together hold 256 KiB.
	LargeSpecBytes = 150 << 10

	// maxMistakes bounds what is reported of one object; who has made more reads the rest after correcting these.
	maxMistakes = 100

	// maxTargetingKeyBytes bounds overrides and the members of audiences.
	maxTargetingKeyBytes = 256

	// maxViewAnnotationBytes bounds what a REST view keeps in an annotation.
	maxViewAnnotationBytes = 16 << 10

	// maxShown bounds how much of a wrong value a message repeats, in bytes.
	maxShown = 100

	// maxNamed bounds how many objects a message names.
	maxNamed = 5
)

var (
	// A key is in JSON, in paths, where it is encoded, and in logs. Labels hold names instead.
	flagKeyPattern      = regexp.MustCompile(`^[^\p{C}\p{Z}.](( |[^\p{C}\p{Z}])*[^\p{C}\p{Z}])?$`)
	variationKeyPattern = regexp.MustCompile(`^( |[^\p{C}\p{Z}])+$`)
	eventKeyPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`)
	labelPattern        = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	percentPattern      = regexp.MustCompile(`^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$`)
	timePattern         = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$`)
	historyNamePattern  = regexp.MustCompile(`-r[0-9]+$`)

	metadataPath = field.NewPath("metadata")
	specPath     = field.NewPath("spec")
)

const (
	flagKeyForm = "must be 1 to 128 printable characters that do not begin with a dot, and neither begin nor end " +
		"with a space"
	variationKeyForm = "must be 1 to 128 printable characters"
	eventKeyForm     = "must begin with a letter or digit and go on with letters, digits and . _ / -, at most 128 " +
		"characters"
	labelForm = "must be a DNS label: lower-case letters, digits and -, beginning and ending with a letter or " +
		"digit, at most 63 characters"
	subdomainForm = "a name in Kubernetes has lower-case letters, digits, - and . only, and begins and ends with a " +
		"letter or digit"
	percentForm     = "must be a percent from 0% to 100% with up to three decimals, such as 12.5%"
	environmentForm = "must be a DNS label of at most 63 characters that does not end in -r and digits, because the " +
		"history's datafiles are named so"
)

// mistakes collects field errors, at most maxMistakes of them.
type mistakes struct {
	list field.ErrorList
	more int
}

func (m *mistakes) add(err *field.Error) {
	if len(m.list) == maxMistakes {
		m.more++
		return
	}
	m.list = append(m.list, err)
}

// result returns what was collected, and says so where something was left out.
func (m *mistakes) result() field.ErrorList {
	if m.more > 0 {
		return append(
			m.list,
			field.Invalid(specPath, field.OmitValueType{}, fmt.Sprintf("has %d more mistakes, which are left out here", m.more)),
		)
	}
	return m.list
}

func (m *mistakes) invalid(path *field.Path, value, detail string) {
	m.add(field.Invalid(path, shown(value), detail))
}

// characters refuses a text of more than limit characters, which is how the API server counts.
func (m *mistakes) characters(path *field.Path, text string, limit int) {
	if len(text) > limit && utf8.RuneCountInString(text) > limit {
		m.add(field.TooLongCharacters(path, text, limit))
	}
}

// key refuses a key that is not of its form or has more than maxKeyLength characters.
func (m *mistakes) key(path *field.Path, key string, pattern *regexp.Regexp, form string) {
	if utf8.RuneCountInString(key) > maxKeyLength || !utf8.ValidString(key) || !pattern.MatchString(key) {
		m.invalid(path, key, form)
	}
}

// name refuses a text that is empty or has more than limit characters.
func (m *mistakes) name(path *field.Path, text string, limit int) {
	if text == "" {
		m.add(field.Required(path, ""))
	}
	m.characters(path, text, limit)
}

// targetingKey refuses a targeting key that is empty or has more than maxTargetingKeyBytes.
func (m *mistakes) targetingKey(path *field.Path, key string) {
	if key == "" {
		m.add(field.Required(path, "a targeting key is not empty"))
	} else if len(key) > maxTargetingKeyBytes {
		m.add(field.TooLong(path, key, maxTargetingKeyBytes))
	}
}

func (m *mistakes) count(path *field.Path, have, limit int) {
	if have > limit {
		m.add(field.TooMany(path, have, limit))
	}
}

// set refuses a list that has an entry twice, or one that is empty or has more than limit characters.
func (m *mistakes) set(path *field.Path, entries []string, maxEntries, limit int) {
	m.count(path, len(entries), maxEntries)
	seen := seen{}
	for i, entry := range entries {
		m.name(path.Index(i), entry, limit)
		seen.check(m, entry, path.Index(i))
	}
}

// between refuses a number that is given and lies outside of low and high.
func between[T int32 | int64](m *mistakes, path *field.Path, value *T, low, high T) {
	if value != nil && (*value < low || *value > high) {
		m.add(field.Invalid(path, *value, fmt.Sprintf("must be between %d and %d", low, high)))
	}
}

// oneOf refuses a value that is not one of supported. The empty value stands for the default, except where it is
// required.
func oneOf[T ~string](m *mistakes, path *field.Path, value T, required bool, supported ...T) bool {
	switch {
	case value == "" && !required, slices.Contains(supported, value):
		return true
	case value == "":
		m.add(field.Required(path, "one of "+joinQuoted(supported)))
	default:
		m.add(field.NotSupported(path, shown(string(value)), supported))
	}
	return false
}

// seen finds keys that a list has twice.
type seen map[string]struct{}

func (s seen) check(m *mistakes, key string, path *field.Path) {
	if _, twice := s[key]; twice && key != "" {
		m.add(field.Duplicate(path, shown(key)))
	}
	s[key] = struct{}{}
}

// metadata refuses the name of a new object that the API server would refuse, and annotations of ours that make no
// sense. Old is what the object replaces, or nil; what did not change since is not looked at, so that what was once
// stored can be mended bit by bit.
func (m *mistakes) metadata(object, old metav1.Object) {
	var before map[string]string
	if old != nil {
		before = old.GetAnnotations()
	} else if name := object.GetName(); name != "" || object.GetGenerateName() == "" {
		m.objectName(object, name) // Who asks the API server for a name has none yet.
	}
	annotations := object.GetAnnotations()
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		value := annotations[name]
		if stored, same := before[name]; same && stored == value {
			continue
		}
		m.annotation(object, name, value)
	}
}

// undecodable is what is wrong with an object whose stored form does not fit its type. Nothing else is told of it, for
// what was lost is not known.
func undecodable(object metav1.Object) field.ErrorList {
	problem := v1alpha1.Undecodable(object)
	if problem == "" {
		return nil
	}
	return field.ErrorList{{
		Type: field.ErrorTypeTypeInvalid, Field: specPath.String(), BadValue: field.OmitValueType{},
		Detail: "what is stored does not fit this version of the Kind; apply the object again as it is to be: " + problem,
	}}
}

// mended adds to what is wrong with an object, which takes the place of one that did not fit its type, that its key is
// another one. A key that was lost may be any.
func mended(wrong field.ErrorList, old metav1.Object, path *field.Path, is, was string) field.ErrorList {
	if v1alpha1.Lost(old, path.String()) {
		return wrong
	}
	m := &mistakes{}
	immutable(m, path, is, was)
	return append(wrong, m.result()...)
}

func (m *mistakes) objectName(object metav1.Object, name string) {
	path := metadataPath.Child("name")
	switch object.(type) {
	case *v1alpha1.FlagEnvironment:
		if !isEnvironmentName(name) {
			m.badName(path, name, environmentForm, false)
		}
		return
	case *v1alpha1.FeatureFlag:
		if len(name) > validation.DNS1123LabelMaxLength {
			m.add(field.TooLong(path, name, validation.DNS1123LabelMaxLength))
			return
		}
	}
	for _, detail := range validation.IsDNS1123Subdomain(name) {
		if label := Label(name); label != "" && label != name && len(name) <= validation.DNS1123SubdomainMaxLength {
			m.badName(path, name, subdomainForm, lacksKey(object))
			continue
		}
		m.invalid(path, name, detail)
	}
}

// lacksKey reports whether the object's name stands for its key, be it that admission has set it so.
func lacksKey(object metav1.Object) bool {
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		return object.Key() == object.Name
	case *v1alpha1.FlagEvent:
		return object.Key() == object.Name
	}
	return false
}

func (m *mistakes) annotation(object metav1.Object, name, value string) {
	path := metadataPath.Child("annotations").Key(name)
	_, isFlag := object.(*v1alpha1.FeatureFlag)
	environment, isEnvironment := object.(*v1alpha1.FlagEnvironment)
	switch {
	case isFlag && name == v1alpha1.ForceDisabledAnnotation && value != "": // An empty value lifts every brake.
		for environment := range strings.SplitSeq(value, ",") {
			if !isEnvironmentName(strings.TrimSpace(environment)) {
				m.invalid(path, environment, "must be names of environments, separated by commas")
			}
		}
	case isEnvironment && (name == v1alpha1.PublishRequestedAtAnnotation || name == v1alpha1.RotateKeysRequestedAtAnnotation ||
		name == v1alpha1.RevokeKeysBeforeAnnotation):
		if !isTime(value) {
			m.invalid(path, value, timeForm)
		}
	case isEnvironment && name == v1alpha1.PinAgainAnnotation && value != "":
		if _, is := revisionIn(value); !is {
			m.invalid(path, value, pinAgainForm(environment))
		}
	case strings.HasPrefix(name, v1alpha1.ViewAnnotationPrefix) && len(value) > maxViewAnnotationBytes:
		m.add(field.TooLong(path, value, maxViewAnnotationBytes))
	}
}

// isEnvironmentName reports whether a FlagEnvironment can have that name.
func isEnvironmentName(name string) bool {
	return len(name) <= validation.DNS1123LabelMaxLength && labelPattern.MatchString(name) &&
		!historyNamePattern.MatchString(name)
}

// isTime reports whether text is an RFC 3339 time. By itself time.Parse takes more than that, such as an hour of one
// digit.
func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil && timePattern.MatchString(text)
}

// immutable refuses a value that is not what it was.
func immutable[T comparable](m *mistakes, path *field.Path, value, old T) {
	if value != old {
		m.add(field.Invalid(path, value, fmt.Sprintf("is immutable; it was %q", fmt.Sprint(old))))
	}
}

// shown bounds what a message repeats of a value.
func shown(value string) string { return Truncate(value, maxShown) }

// Truncate returns at most limit bytes of text, cut between characters and ended by … where something was cut.
func Truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// joinQuoted returns the first maxNamed of names in quotes, separated by commas, and how many more there are.
func joinQuoted[T ~string](names []T) string {
	quoted := make([]string, 0, maxNamed)
	for _, name := range names[:min(len(names), maxNamed)] {
		quoted = append(quoted, strconv.Quote(string(name)))
	}
	return join(quoted, len(names)-len(quoted))
}

func join(texts []string, more int) string {
	text := strings.Join(texts, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
