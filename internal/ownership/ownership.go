// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ownership says which ConfigMaps are datafiles, whose they are, and what their names tell. Everything that
// reads or writes a datafile asks here.
//
// Labels and names are what any editor of ConfigMaps can write. That they fit says whose a datafile claims to be, and
// nothing about its contents.
package ownership

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// MaxRevision is the highest number that a revision can have. No counter reaches it, and one that were forged to stand
// there could still be told in JSON, whose readers know 53 bits.
const MaxRevision = 1<<53 - 1

// Labels are those of everything that the operator writes for an environment.
func Labels(environment types.NamespacedName) map[string]string {
	return map[string]string{
		v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
		v1alpha1.ProjectLabel:     environment.Namespace,
		v1alpha1.EnvironmentLabel: environment.Name,
	}
}

// DatafileLabels are those of an environment's datafiles of one kind: v1alpha1.DatafileServed, DatafileHistory or
// DatafileCopy.
func DatafileLabels(environment types.NamespacedName, kind string) map[string]string {
	labels := Labels(environment)
	labels[v1alpha1.DatafileLabel] = kind
	return labels
}

// Owns reports whether an object carries the labels of the environment.
func Owns(environment types.NamespacedName, object metav1.Object) bool {
	return environment.Name != "" && contains(object.GetLabels(), Labels(environment))
}

// IsMislabelled reports whether an object is a datafile of one kind of the environment of which somebody changed or
// removed a label: all the others say whose it is. Another environment's name in a label says the contrary.
func IsMislabelled(environment types.NamespacedName, object metav1.Object, kind string) bool {
	labels, differing := object.GetLabels(), 0
	for name, value := range DatafileLabels(environment, kind) {
		if labels[name] != value {
			differing++
		}
	}
	claims := labels[v1alpha1.EnvironmentLabel]
	return differing == 1 && environment.Name != "" && (claims == environment.Name || claims == "") &&
		(object.GetNamespace() == environment.Namespace) != (kind == v1alpha1.DatafileCopy)
}

// IsDatafile reports whether an object is a datafile of one kind of the environment. Copies are in any namespace but
// the environment's, all others in that one.
func IsDatafile(environment types.NamespacedName, object metav1.Object, kind string) bool {
	return Owns(environment, object) && object.GetLabels()[v1alpha1.DatafileLabel] == kind &&
		(object.GetNamespace() == environment.Namespace) != (kind == v1alpha1.DatafileCopy)
}

// IsCopyOf reports whether an object is a copy of the environment's datafile.
func IsCopyOf(environment types.NamespacedName, object metav1.Object) bool {
	return IsDatafile(environment, object, v1alpha1.DatafileCopy)
}

// Origin is the environment that a datafile was published for, and its kind. It finds none for what is no datafile.
func Origin(object metav1.Object) (environment types.NamespacedName, kind string, found bool) {
	labels := object.GetLabels()
	environment = types.NamespacedName{Namespace: labels[v1alpha1.ProjectLabel], Name: labels[v1alpha1.EnvironmentLabel]}
	kind = labels[v1alpha1.DatafileLabel]
	if kind == "" || !IsDatafile(environment, object, kind) {
		return types.NamespacedName{}, "", false
	}
	return environment, kind, true
}

// HistoryRevision is the revision in the name of a history entry of the environment of that name, 1 to MaxRevision. It
// finds none in a name that is not one of HistoryNames.
func HistoryRevision(environment, name string) (revision int64, found bool) {
	digits, found := strings.CutPrefix(name, strings.TrimSuffix(historyName(environment, 0), "0"))
	if !found {
		return 0, false
	}
	revision = parse(strings.TrimSuffix(digits, compressedSuffix))
	return revision, revision != 0
}

// RevisionOf is the revision that the metadata of a datafile claims: a history entry by its name, which nobody can
// edit, and the others by an annotation. It is 0 where they claim none.
func RevisionOf(object metav1.Object) int64 {
	labels := object.GetLabels()
	if labels[v1alpha1.DatafileLabel] == v1alpha1.DatafileHistory {
		revision, _ := HistoryRevision(labels[v1alpha1.EnvironmentLabel], object.GetName())
		return revision
	}
	return parse(object.GetAnnotations()[v1alpha1.RevisionAnnotation])
}

// RevisionsText names revisions to a person, in order: "3, 7-12", and "none" where there are none.
func RevisionsText(revisions []int64) string {
	if len(revisions) == 0 {
		return "none"
	}
	revisions = slices.Compact(slices.Sorted(slices.Values(revisions)))
	var words []string
	for i := 0; i < len(revisions); {
		last := i
		for last+1 < len(revisions) && revisions[last+1] == revisions[last]+1 {
			last++
		}
		word := strconv.FormatInt(revisions[i], 10)
		if last > i {
			word += "-" + strconv.FormatInt(revisions[last], 10)
		}
		words, i = append(words, word), last+1
	}
	return strings.Join(words, ", ")
}

// ConfigMap is an empty object for the metadata of a ConfigMap, by which a cache knows what to hold.
func ConfigMap() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return metadata
}

// ConfigMaps is an empty list for the metadata of ConfigMaps.
func ConfigMaps() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	return list
}

// Selecting are the list options for an environment's datafiles of one kind. Copies are looked for in all namespaces.
func Selecting(environment types.NamespacedName, kind string) []client.ListOption {
	options := []client.ListOption{client.MatchingLabels(DatafileLabels(environment, kind))}
	if kind != v1alpha1.DatafileCopy {
		options = append(options, client.InNamespace(environment.Namespace))
	}
	return options
}

func historyName(environment string, revision int64) string {
	return (&v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Name: environment}}).HistoryName(revision)
}

// parse reads a revision as it is written: no sign, no leading zero. It is 0 for anything else.
func parse(text string) int64 {
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 1 || revision > MaxRevision || strconv.FormatInt(revision, 10) != text {
		return 0
	}
	return revision
}

// contains reports whether all has every entry of some.
func contains(all, some map[string]string) bool {
	for name, value := range some {
		if actual, ok := all[name]; !ok || actual != value {
			return false
		}
	}
	return true
}
