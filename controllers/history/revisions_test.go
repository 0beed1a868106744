// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"reflect"
	"slices"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// The first revision that names a change published it. What is folded, of another object, or no datafile, says nothing.
func TestPublishedByIsTheFirstRevisionOfEachEnvironment(t *testing.T) {
	of := history.Named{Kind: "FeatureFlag", Name: "checkout"}
	datafile := func(environment string, revision int, ids ...string) metav1.PartialObjectMetadata {
		key := types.NamespacedName{Namespace: "shop", Name: environment}
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "flags-" + environment + "-r" + strconv.Itoa(revision),
			Labels: ownership.DatafileLabels(key, v1alpha1.DatafileHistory),
			Annotations: map[string]string{
				v1alpha1.RevisionAnnotation: strconv.Itoa(revision),
				v1alpha1.BroughtAnnotation:  history.Brought{of.String(): ids, "FlagEvent/checkout": {"other"}}.Encode(),
			},
		}}
	}
	change := func(name, state string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{v1alpha1.HistoryLabel: state},
		}}
	}
	changes := []metav1.PartialObjectMetadata{
		change(
			"a",
			v1alpha1.HistoryRecorded,
		),
		change("b", v1alpha1.HistoryRecorded),
		change("other", v1alpha1.HistoryRecorded),
		change("folded", v1alpha1.HistoryFolded),
		change("requested", v1alpha1.HistoryRequested),
	}
	foreign := datafile("staging", 9, "a")
	foreign.Labels = nil
	got := publishedBy(of, []metav1.PartialObjectMetadata{
		datafile(
			"production",
			43,
			"a",
			"b",
		),
		datafile("production", 42, "a", "folded", "requested"),
		datafile("staging", 7, "b", "gone"),
		foreign,
	}, changes)
	want := map[string]map[string]int64{"a": {"production": 42}, "b": {"production": 43, "staging": 7}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it says %v, want %v", got, want)
	}
}

// A change is read once for each environment that publishes it, however often the histories change: a history of a
// thousand flags is looked at with each of them.
func TestChangesAreToldOnce(t *testing.T) {
	key := types.NamespacedName{Namespace: "shop", Name: "checkout"}
	in := func(environments ...string) map[string]int64 {
		by := map[string]int64{}
		for i, environment := range environments {
			by[environment] = int64(i + 1)
		}
		return by
	}
	told := told{}
	for _, step := range []struct {
		what      string
		published map[string]map[string]int64
		want      []string
	}{
		{"what nobody knows", map[string]map[string]int64{"b": in("production"), "a": in("production")}, []string{"a", "b"}},
		{"the same again", map[string]map[string]int64{"b": in("production"), "a": in("production")}, nil},
		{"another environment", map[string]map[string]int64{"b": in("production", "staging"), "a": in("production")}, []string{"b"}},
		{"a revision that is pruned", map[string]map[string]int64{"b": in("staging")}, nil},
		{"another change", map[string]map[string]int64{"b": in("staging"), "c": in("staging")}, []string{"c"}},
		{"nothing left", nil, nil},
	} {
		if got := told.news(key, step.published); !slices.Equal(got, step.want) {
			t.Errorf("%s: it reads %v, want %v", step.what, got, step.want)
		}
		told.set(key, step.published)
	}
	if len(told.byObject) != 0 {
		t.Errorf("%d objects are remembered that have no history", len(told.byObject))
	}
}
