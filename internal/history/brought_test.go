// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// What kubectl get flagchanges shows as REVISION says the first revision of each environment.
func TestWithRevisionsSaysTheFirstOfEachEnvironment(t *testing.T) {
	one := []v1alpha1.ChangeRevision{{Environment: "production", Revision: 42}}
	for name, tc := range map[string]struct {
		before  []v1alpha1.ChangeRevision
		by      map[string]int64
		want    string
		changed bool
	}{
		"none":                        {nil, nil, "", false},
		"the first":                   {nil, map[string]int64{"production": 42}, "production/42", true},
		"another environment":         {one, map[string]int64{"staging": 7}, "production/42 staging/7", true},
		"environments in their order": {one, map[string]int64{"canary": 7}, "canary/7 production/42", true},
		"the same again":              {one, map[string]int64{"production": 42}, "", false},
		"a later one":                 {one, map[string]int64{"production": 43}, "", false},
		"an earlier one":              {one, map[string]int64{"production": 41}, "production/41", true},
	} {
		t.Run(name, func(t *testing.T) {
			status, changed := history.WithRevisions(v1alpha1.FlagChangeStatus{Revisions: tc.before}, tc.by)
			if changed != tc.changed || status.Published != tc.want {
				t.Errorf("it says %q (changed: %t), want %q", status.Published, changed, tc.want)
			}
		})
	}
	many := map[string]int64{}
	for i := range 60 {
		many[fmt.Sprintf("%02d%s", i, strings.Repeat("a", 61))] = 1 << 53
	}
	status, _ := history.WithRevisions(v1alpha1.FlagChangeStatus{}, many)
	if len(status.Revisions) != 50 || len(status.Published) > 4096 {
		t.Errorf("%d revisions in %d bytes", len(status.Revisions), len(status.Published))
	}
}

// Somebody who may write ConfigMaps must not make the operator work without bounds.
func TestBroughtIsBounded(t *testing.T) {
	brought := history.Brought{"FeatureFlag/checkout": {"a", "b"}, "FlagAudience/staff": {"c"}}
	read := history.DecodeBrought(brought.Encode())
	if !slices.Equal(read["FeatureFlag/checkout"], []string{"a", "b"}) ||
		!slices.Equal(read.Names("FlagAudience"), []string{"staff"}) {
		t.Errorf("%v was read as %v", brought, read)
	}
	tooMany, err := json.Marshal(history.Brought{"FeatureFlag/checkout": make([]string, history.MaxBrought+1)})
	if err != nil {
		t.Fatal(err)
	}
	for name, annotation := range map[string]string{
		"nothing": "", "no JSON": "{", "a list": `["a"]`, "too many": string(tooMany),
		"too large": `{"FeatureFlag/` + strings.Repeat("a", 200<<10) + `":["a"]}`,
	} {
		if read := history.DecodeBrought(annotation); read != nil {
			t.Errorf("%s was read as %d objects", name, len(read))
		}
	}
	if (history.Brought{}).Encode() != "" {
		t.Error("a revision that brings nothing has an annotation")
	}
}

// A change of staging's part is not told as part of production's next revision.
func TestRecordConcerns(t *testing.T) {
	flag := v1alpha1.ChangedObject{Kind: "FeatureFlag", Name: "checkout"}
	for name, tc := range map[string]struct {
		of      v1alpha1.ChangedObject
		omitted int
		paths   []string
		want    bool
	}{
		"its part":                {flag, 0, []string{"spec.environments[production].enabled"}, true},
		"another's part":          {flag, 0, []string{"spec.environments[staging].enabled"}, false},
		"another's part and more": {flag, 0, []string{"spec.environments[staging].enabled", "spec.rules[a]"}, true},
		"rules of all":            {flag, 0, []string{"spec.rules[a]"}, true},
		"what is not known":       {flag, 1, []string{"spec.environments[staging].enabled"}, true},
		"itself":                  {v1alpha1.ChangedObject{Kind: "FlagEnvironment", Name: "production"}, 0, []string{"spec.publish.mode"}, true},
		"another environment":     {v1alpha1.ChangedObject{Kind: "FlagEnvironment", Name: "staging"}, 0, []string{"spec.publish.mode"}, false},
		"an audience":             {v1alpha1.ChangedObject{Kind: "FlagAudience", Name: "staff"}, 0, []string{"spec.members[a]"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			record := history.Record{Omitted: tc.omitted}
			for _, path := range tc.paths {
				record.Changes = append(record.Changes, history.Change{Path: path})
			}
			if got := record.Concerns(tc.of, "production"); got != tc.want {
				t.Errorf("it concerns production: %t, want %t", got, tc.want)
			}
		})
	}
}

// After a restart, what waits for a publish is found in the history.
func TestMovedFindsWhatIsNewerThanWhatIsServed(t *testing.T) {
	served := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	moved := func(name, uid, state, environments string, at time.Time) metav1.PartialObjectMetadata {
		change := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{v1alpha1.UIDLabel: uid, v1alpha1.HistoryLabel: state},
			Annotations: map[string]string{v1alpha1.ChangedAtAnnotation: at.Format(metav1.RFC3339Micro)},
		}}
		if environments != "" {
			change.Annotations[v1alpha1.EnvironmentsAnnotation] = environments
		}
		return change
	}
	found := history.Moved([]metav1.PartialObjectMetadata{
		moved("second", "uid", v1alpha1.HistoryRecorded, "", served.Add(2*time.Second)),
		moved("first", "uid", v1alpha1.HistoryRecorded, "canary,production", served),
		moved("older", "uid", v1alpha1.HistoryRecorded, "", served.Add(-time.Second)),
		moved("elsewhere", "uid", v1alpha1.HistoryRecorded, "staging", served.Add(time.Second)),
		moved("another-object", "other", v1alpha1.HistoryRecorded, "", served.Add(time.Second)),
		moved("folded", "uid", v1alpha1.HistoryFolded, "", served.Add(time.Second)),
		{ObjectMeta: metav1.ObjectMeta{Name: "broken"}},
	}, "uid", "production", served)
	if len(found) != 2 || found[0].ID != "first" || found[1].ID != "second" {
		t.Errorf("it finds %v", found)
	}
}
