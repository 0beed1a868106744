// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// An editor who creates a flag that is on in staging and off in production goes on working on it without a permission
// for production, from the first look of the operator on, while the flag still carries the record of its creation.
func TestAFlagThatIsOnElsewhereIsADraft(t *testing.T) {
	created := builders.MakeFlag("gift-cards", "shop").Boolean().
		Environment("staging").Environment("production").Disabled().Defaulted().Obj()
	enabled := created.DeepCopy()
	enabled.Spec.Environments[1].Enabled = true
	production := []string{"production"}
	flags := func(all ...*v1alpha1.FeatureFlag) []*v1alpha1.FeatureFlag { return all }
	for name, tc := range map[string]struct {
		history      []*v1alpha1.FeatureFlag // The flag after each change, the last of which is now.
		before, want []string                // What the status says already, and is to say.
	}{
		"it was created":                 {flags(created), nil, production},
		"it is looked at again":          {flags(created), production, production},
		"it was switched on":             {flags(created, enabled), production, nil},
		"it was on for a moment":         {flags(created, enabled, created), production, nil},
		"it was created on, and is off":  {flags(enabled, created), nil, nil},
		"it was on before, says nothing": {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{flag: created.DeepCopy(), environments: []environment{
				{FlagEnvironment: builders.MakeEnvironment("staging", "shop").Obj()},
				{FlagEnvironment: builders.MakeEnvironment("production", "shop").Obj()},
			}}
			var records []history.Record
			var before history.Object
			for _, after := range tc.history {
				record, _, err := history.Compare(before, after)
				if err != nil {
					t.Fatal(err)
				}
				record.ID, record.Time = string(rune('a'+len(records))), metav1.NewMicroTime(time.Now())
				records, before, s.flag = append(records, record), after, after.DeepCopy()
			}
			carried, err := history.Encode(records)
			if err != nil {
				t.Fatal(err)
			}
			metav1.SetMetaDataAnnotation(&s.flag.ObjectMeta, v1alpha1.ChangesAnnotation, carried)
			status := &v1alpha1.FeatureFlagStatus{NeverEnabledIn: tc.before}
			if tc.before != nil || tc.history == nil {
				status.FirstEnabledTime = &metav1.Time{Time: time.Now()}
			}
			setNeverEnabledIn(s, status)
			if !slices.Equal(status.NeverEnabledIn, tc.want) {
				t.Errorf("never enabled in %v, want %v", status.NeverEnabledIn, tc.want)
			}
		})
	}
}
