// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var production = types.NamespacedName{Namespace: "shop", Name: "production"}

func object(namespace, name string, labels map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}

// TestRevisionsOfNames fails where the number in a name is taken for one that no environment publishes. The next
// revision is one more: it would be negative, or a number that was used before.
func TestRevisionsOfNames(t *testing.T) {
	for name, want := range map[string]int64{
		"flags-production-r1":                    1,
		"flags-production-r42":                   42,
		"flags-production-r9007199254740991":     MaxRevision,
		"flags-production-r9007199254740992":     0,
		"flags-production-r9223372036854775807":  0,
		"flags-production-r9223372036854775808":  0,
		"flags-production-r-9223372036854775808": 0,
		"flags-production-r42.gz":                42,
		"flags-production-r42.gz.gz":             0,
		"flags-production-r.gz":                  0,
		"flags-production.gz":                    0,
		"flags-production-r0":                    0,
		"flags-production-r-1":                   0,
		"flags-production-r+1":                   0,
		"flags-production-r01":                   0,
		"flags-production-r1x":                   0,
		"flags-production-r":                     0,
		"flags-production":                       0,
		"flags-staging-r1":                       0,
		"1":                                      0,
	} {
		if revision, found := HistoryRevision("production", name); revision != want || found != (want > 0) {
			t.Errorf("%s counts as revision %d (%t), want %d", name, revision, found, want)
		}
		kept := object("shop", name, DatafileLabels(production, v1alpha1.DatafileHistory))
		kept.Annotations = map[string]string{v1alpha1.RevisionAnnotation: "7"}
		if revision := RevisionOf(kept); revision != want {
			t.Errorf("the history entry %s counts as revision %d, want %d", name, revision, want)
		}
	}
}

// TestOrigin fails where a ConfigMap is taken for the datafile of an environment in another namespace, so that whoever
// may write in the one namespace writes what the other serves.
func TestOrigin(t *testing.T) {
	for _, kind := range []string{v1alpha1.DatafileServed, v1alpha1.DatafileHistory, v1alpha1.DatafileCopy} {
		for _, namespace := range []string{"shop", "elsewhere"} {
			datafile := object(namespace, "flags-production", DatafileLabels(production, kind))
			want := (namespace == "elsewhere") == (kind == v1alpha1.DatafileCopy)
			environment, found, is := Origin(datafile)
			if is != want || is && (environment != production || found != kind) {
				t.Errorf("%s in %s: origin %v, %q, %t", kind, namespace, environment, found, is)
			}
			if IsCopyOf(production, datafile) != (want && kind == v1alpha1.DatafileCopy) {
				t.Errorf("%s in %s: it is taken for a copy, or is not", kind, namespace)
			}
			for label := range datafile.Labels {
				less := maps.Clone(datafile.Labels)
				delete(less, label)
				if _, _, is := Origin(object(namespace, "flags-production", less)); is {
					t.Errorf("%s in %s without the label %s is taken for a datafile", kind, namespace, label)
				}
			}
		}
	}
}

// A tenant who relabels a served file must neither stop its environment nor give it to another one.
func TestIsMislabelled(t *testing.T) {
	environment := types.NamespacedName{Namespace: "shop", Name: "production"}
	for name, tc := range map[string]struct {
		namespace string
		change    func(labels map[string]string)
		want      bool
	}{
		"nothing changed":            {"shop", func(map[string]string) {}, false},
		"another manager":            {"shop", func(l map[string]string) { l[v1alpha1.ManagedByLabel] = "Helm" }, true},
		"no manager":                 {"shop", func(l map[string]string) { delete(l, v1alpha1.ManagedByLabel) }, true},
		"another project":            {"shop", func(l map[string]string) { l[v1alpha1.ProjectLabel] = "other" }, true},
		"no environment":             {"shop", func(l map[string]string) { delete(l, v1alpha1.EnvironmentLabel) }, true},
		"another environment":        {"shop", func(l map[string]string) { l[v1alpha1.EnvironmentLabel] = "staging" }, false},
		"another kind":               {"shop", func(l map[string]string) { l[v1alpha1.DatafileLabel] = "x" }, true},
		"two labels":                 {"shop", func(l map[string]string) { delete(l, v1alpha1.ManagedByLabel); delete(l, v1alpha1.ProjectLabel) }, false},
		"none of ours":               {"shop", func(l map[string]string) { clear(l) }, false},
		"another manager, elsewhere": {"web", func(l map[string]string) { l[v1alpha1.ManagedByLabel] = "Helm" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			labels := DatafileLabels(environment, v1alpha1.DatafileServed)
			tc.change(labels)
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: tc.namespace, Labels: labels}}
			if got := IsMislabelled(environment, object, v1alpha1.DatafileServed); got != tc.want {
				t.Errorf("mislabelled: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestRevisionsAsText(t *testing.T) {
	for want, revisions := range map[string][]int64{
		"none": nil, "7": {7}, "3, 7-9, 12": {12, 3, 8, 7, 9, 9}, "1-2": {1, 2},
	} {
		if got := RevisionsText(revisions); got != want {
			t.Errorf("%v are %q, want %q", revisions, got, want)
		}
	}
}
