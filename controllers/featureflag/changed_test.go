// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// CHANGED and BY name the person to ask in an incident. A brake raises no generation, and must not be credited to the
// author of the last edit of the spec.
func TestChangedAndByNameTheLastChange(t *testing.T) {
	start := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(after time.Duration) *metav1.Time { return &metav1.Time{Time: start.Add(after)} }
	record := func(by string, after time.Duration) history.Record {
		return history.Record{ID: "a", Action: history.FlagUpdated, Actor: history.Actor{Name: by},
			Time: metav1.NewMicroTime(start.Add(after + 400*time.Millisecond))}
	}
	before := v1alpha1.FeatureFlagStatus{ObservedGeneration: 2, LastChangedTime: at(0), LastChangedBy: "admin"}
	for name, tc := range map[string]struct {
		generation int64
		before     v1alpha1.FeatureFlagStatus
		records    []history.Record
		wantAt     *metav1.Time
		wantBy     string
	}{
		"an edit": {3, before, []history.Record{record("alice", time.Minute)}, at(time.Minute), "alice"},
		"a brake": {2, before, []history.Record{record("on-call", time.Minute)}, at(time.Minute), "on-call"},
		"an edit, then a brake": {
			3, before, []history.Record{record("alice", time.Minute), record("on-call", time.Hour)}, at(time.Hour), "on-call",
		},
		"no change":              {2, before, nil, at(0), "admin"},
		"an edit past admission": {3, before, nil, at(24 * time.Hour), ""},
		"nothing is known yet":   {2, v1alpha1.FeatureFlagStatus{}, nil, at(-time.Hour), ""},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("checkout", "shop").Boolean().Defaulted().Obj()
			flag.Generation, flag.CreationTimestamp = tc.generation, *at(-time.Hour)
			carried, err := history.Encode(tc.records)
			if err != nil {
				t.Fatal(err)
			}
			metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ChangesAnnotation, carried)
			computeStatus(&scope{flag: flag, now: start.Add(24 * time.Hour)}, time.Hour, &tc.before)
			if got := &tc.before; !got.LastChangedTime.Equal(tc.wantAt) || got.LastChangedBy != tc.wantBy {
				t.Errorf("changed %s by %q, want %s by %q", got.LastChangedTime, got.LastChangedBy, tc.wantAt, tc.wantBy)
			}
		})
	}
}
