// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// Records stay with a flag until its status has read them. Somebody who writes faster than that would push out who
// changed what before.
func TestManyRecordsAreStoredBeforeTheStatusKnowsThem(t *testing.T) {
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		count      int
		isTimed    bool
		wantStored int
		wantOnFlag bool
	}{
		"few that the status does not know":  {count: 3, wantOnFlag: true},
		"many that the status does not know": {count: 400, wantStored: 400, wantOnFlag: true},
		"few that it knows":                  {count: 3, isTimed: true, wantStored: 3},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			var records []history.Record
			for i := range tc.count {
				record := history.Record{Action: history.FlagUpdated}
				actor := history.Actor{Name: "eve@example.com"}
				if err := record.Stamp("change-"+strconv.Itoa(i), actor, at, records); err != nil {
					t.Fatal(err)
				}
				records = append(records, record)
			}
			text, err := history.Encode(records)
			if err != nil {
				t.Fatal(err)
			}
			flag := builders.MakeFlag("checkout", "shop").Boolean().Annotation(v1alpha1.ChangesAnnotation, text).Obj()
			flag.Status.LastChangedTime = &metav1.Time{Time: at.Add(-time.Hour)}
			if tc.isTimed {
				flag.Status.LastChangedTime = &metav1.Time{Time: at.Add(time.Hour)}
			}
			cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(flag).Build()
			kind, _ := v1alpha1.KindNamed("FeatureFlag")
			r := &Reconciler{Client: cluster, Kind: kind, Clock: clocktesting.NewFakePassiveClock(at.Add(time.Hour))}
			s := &scope{key: client.ObjectKeyFromObject(flag), object: flag, uid: flag.UID, now: r.Clock.Now()}
			for range 2 {
				if err := r.move(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			stored := &v1alpha1.FlagChangeList{}
			if err := cluster.List(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			if err := cluster.Get(t.Context(), s.key, flag); err != nil {
				t.Fatal(err)
			}
			onFlag := flag.Annotations[v1alpha1.ChangesAnnotation] != ""
			if len(stored.Items) != tc.wantStored || onFlag != tc.wantOnFlag {
				t.Errorf("%d records are stored, and the flag carries some: %t", len(stored.Items), onFlag)
			}
			if s.carries != tc.wantOnFlag && tc.wantStored > 0 {
				t.Error("what the flag carries still would be folded, and made again")
			}
		})
	}
}
