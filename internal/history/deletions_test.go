// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// A flag that is gone is served on unless somebody deleted it. Taking a loss for a deletion takes it from users; taking
// a deletion for a loss serves what somebody has removed.
func TestDeletionsAreToldFromLosses(t *testing.T) {
	at := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	type change struct {
		uid, state string
		action     history.Action
		after      int // Minutes.
	}
	for name, tc := range map[string]struct {
		changes        []change
		hasUID, hasKey bool
	}{
		"no record": {},
		"it was only created and changed": {
			[]change{{"1", "recorded", history.FlagCreated, 0}, {"1", "recorded", history.FlagUpdated, 1}}, false, false,
		},
		"its deletion was admitted a moment ago": {
			[]change{{"1", "recorded", history.FlagCreated, 0}, {"1", "requested", history.FlagDeleted, 1}}, true, true,
		},
		"its deletion is recorded":                {[]change{{"1", "recorded", history.FlagDeleted, 1}}, true, true},
		"its deletion is recorded without detail": {[]change{{"1", "folded", history.FlagDeleted, 1}}, true, true},
		"it was made again, and is lost": {
			[]change{{"0", "recorded", history.FlagDeleted, 1}, {"1", "recorded", history.FlagCreated, 2}}, false, false,
		},
		"it was made again, and deleted": {
			[]change{
				{"1", "recorded", history.FlagDeleted, 3}, {"0", "recorded", history.FlagDeleted, 1},
				{"1", "recorded", history.FlagCreated, 2},
			}, true, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			for i, c := range tc.changes {
				record := history.Record{
					ID: string(rune('a' + i)), Action: c.action,
					Time: metav1.NewMicroTime(at.Add(time.Duration(c.after) * time.Minute)),
				}
				of := checkout
				of.UID = c.uid
				made, err := history.NewChange("shop", of, c.state, &record, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.state == v1alpha1.HistoryFolded {
					recorded, _ := history.NewChange("shop", of, v1alpha1.HistoryRecorded, &record, nil)
					folded, err := history.Fold([]v1alpha1.FlagChange{*recorded})
					if err != nil {
						t.Fatal(err)
					}
					made = folded[0]
				}
				objects = append(objects, made)
			}
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
			byUID, err := history.FindDeletions(t.Context(), reader, "shop", "FeatureFlag", "1")
			if err != nil || byUID.HasUID("1") != tc.hasUID {
				t.Errorf("by its UID it was deleted: %t, %v", byUID.HasUID("1"), err)
			}
			all, err := history.FindDeletions(t.Context(), reader, "shop", "FeatureFlag")
			if err != nil || all.HasKey("new_checkout") != tc.hasKey || all.HasKey("other") {
				t.Errorf("by its key it was deleted: %t, %v", all.HasKey("new_checkout"), err)
			}
			others, err := history.FindDeletions(t.Context(), reader, "shop", "FlagEnvironment")
			if err != nil || others.HasKey("new_checkout") {
				t.Errorf("the records of a flag are taken for those of an environment, %v", err)
			}
		})
	}
}

// Whoever removes all CRDs takes the records too. Then everything that is gone was lost.
func TestWithoutRecordsEverythingWasLost(t *testing.T) {
	reader := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "FlagChange"}}
		},
	}).Build()
	deletions, err := history.FindDeletions(t.Context(), reader, "shop", "FeatureFlag")
	if err != nil || deletions.HasKey("new_checkout") {
		t.Errorf("it is taken for deleted, %v", err)
	}
}
