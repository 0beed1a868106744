// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// lines shows changes as "path: from -> to".
func lines(changes []history.Change) []string {
	var texts []string
	for _, change := range changes {
		texts = append(texts, fmt.Sprintf("%s: %s -> %s", change.Path, change.From, change.To))
	}
	return texts
}

func TestCompareFlags(t *testing.T) {
	base := func() *v1alpha1.FeatureFlag {
		return builders.MakeFlag("x", "shop").Boolean().
			Environment("staging").
			Environment("production").Disabled().Override("bob", "on").
			Rule(
				builders.MakeRule("a").Serve("on"),
				builders.MakeRule("b").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("off"),
			).
			Defaulted().Obj()
	}
	for name, tc := range map[string]struct {
		change      func(*v1alpha1.FeatureFlag)
		wantAction  history.Action
		wantEnables bool
		want        []string
	}{
		"a toggle": {
			change:     func(f *v1alpha1.FeatureFlag) { f.Spec.Environments[1].Enabled = true },
			wantAction: history.FlagToggled, wantEnables: true,
			want: []string{"spec.environments[production].enabled: false -> true"},
		},
		"a kill": {
			change: func(f *v1alpha1.FeatureFlag) {
				f.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: "staging", "example.com/note": "n", v1alpha1.ChangesAnnotation: "[]"}
			},
			wantAction: history.FlagToggled,
			want:       []string{`metadata.annotations[flags.jackstaff.dev/force-disabled]:  -> "staging"`},
		},
		"archiving, whatever else changes": {
			change: func(f *v1alpha1.FeatureFlag) {
				f.Spec.Archived, f.Spec.Description, f.Spec.Variations[0].DisplayName = true, "old", "Off"
			},
			wantAction: history.FlagArchived,
			want: []string{
				"spec.archived: false -> true", `spec.description:  -> "old"`, `spec.variations[off].displayName:  -> "Off"`,
			},
		},
		"rules: one gone, one changed, one new": {
			change: func(f *v1alpha1.FeatureFlag) {
				rules := f.Spec.Environments[1].Rules
				rules[1].Conditions[0].Values = []string{"enterprise"}
				f.Spec.Environments[1].Rules = []v1alpha1.Rule{rules[1], {Name: "c", Variation: "on"}}
			},
			wantAction: history.FlagRulesChanged,
			want: []string{
				`spec.environments[production].rules[a]: {"enabled":true,"name":"a","traffic":"100%","type":"TargetedDelivery","variation":"on"} -> `,
				`spec.environments[production].rules[b].conditions: [{"attribute":"plan","operator":"In","values":["beta"]}] -> ` +
					`[{"attribute":"plan","operator":"In","values":["enterprise"]}]`,
				`spec.environments[production].rules[c]:  -> {"name":"c","variation":"on"}`,
			},
		},
		"the order of rules": {
			change: func(f *v1alpha1.FeatureFlag) {
				rules := f.Spec.Environments[1].Rules
				rules[0], rules[1] = rules[1], rules[0]
			},
			wantAction: history.FlagRulesChanged,
			want:       []string{`spec.environments[production].rules: ["a","b"] -> ["b","a"]`},
		},
		"a value": {
			change:     func(f *v1alpha1.FeatureFlag) { f.Spec.Variations[1].Value = v1alpha1.JSON{Raw: []byte(`{"a":1e2}`)} },
			wantAction: history.FlagVariationsChanged,
			want:       []string{`spec.variations[on].value: true -> {"a":1e2}`},
		},
		"an override": {
			change:     func(f *v1alpha1.FeatureFlag) { f.Spec.Environments[1].Overrides[0].Variation = "off" },
			wantAction: history.FlagOverridesChanged,
			want:       []string{`spec.environments[production].overrides[bob].variation: "on" -> "off"`},
		},
		"several kinds at once": {
			change: func(f *v1alpha1.FeatureFlag) {
				f.Spec.Environments[1].Overrides = nil
				f.Spec.Environments[1].Enabled = true
				f.Spec.Tags = []string{"t"}
			},
			wantAction: history.FlagUpdated, wantEnables: true,
			want: []string{
				"spec.environments[production].enabled: false -> true",
				`spec.environments[production].overrides[bob]: {"targetingKey":"bob","variation":"on"} -> `,
				`spec.tags[t]:  -> "t"`,
			},
		},
		"an entry of a map": {
			change:     func(f *v1alpha1.FeatureFlag) { f.Spec.Metadata = map[string]string{"jira.issue": "SHOP-12"} },
			wantAction: history.FlagUpdated,
			want:       []string{`spec.metadata[jira.issue]:  -> "SHOP-12"`},
		},
		"a label": {
			change:     func(f *v1alpha1.FeatureFlag) { f.Labels = map[string]string{"a": "b"} },
			wantAction: history.FlagUpdated,
			want:       []string{`metadata.labels[a]:  -> "b"`},
		},
		"nothing of ours": {
			change: func(f *v1alpha1.FeatureFlag) {
				f.Annotations = map[string]string{"example.com/note": "n"}
				f.Generation, f.Status.Phase = 7, v1alpha1.PhaseActive
			},
		},
		"what deletes the flag with an owner, and what holds it": {
			change: func(f *v1alpha1.FeatureFlag) {
				f.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "app", UID: "1-2"}}
				f.Finalizers = []string{"example.com/hold"}
			},
			wantAction: history.FlagUpdated,
			want: []string{
				`metadata.finalizers[example.com/hold]:  -> "example.com/hold"`,
				`metadata.ownerReferences[1-2]:  -> {"apiVersion":"v1","kind":"ConfigMap","name":"app","uid":"1-2"}`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			after := base()
			tc.change(after)
			record, changed, err := history.Compare(base(), after)
			if err != nil {
				t.Fatal(err)
			}
			if changed != (tc.want != nil) || record.Action != tc.wantAction || record.Enables != tc.wantEnables {
				t.Errorf("got changed %t, action %q, enables %t", changed, record.Action, record.Enables)
			}
			if diff := cmp.Diff(tc.want, lines(record.Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareRestores(t *testing.T) {
	record, _, err := history.Compare(
		builders.MakeFlag("x", "shop").Boolean().Archived().Obj(),
		builders.MakeFlag("x", "shop").Boolean().Obj(),
	)
	if err != nil || record.Action != history.FlagRestored {
		t.Errorf("got %q, %v", record.Action, err)
	}
}

func TestCompareCreationAndDeletion(t *testing.T) {
	flag := builders.MakeFlag("x", "shop").Boolean().Environment("staging").Obj()
	created, changed, err := history.Compare(nil, flag)
	if err != nil || !changed || created.Action != history.FlagCreated || !created.Enables {
		t.Errorf("got %+v, %t, %v", created, changed, err)
	}
	want := []string{
		`spec.defaultVariation:  -> "off"`,
		`spec.environments[staging]:  -> {"enabled":true,"name":"staging"}`,
		`spec.type:  -> "Boolean"`,
		`spec.variations[off]:  -> {"key":"off","value":false}`,
		`spec.variations[on]:  -> {"key":"on","value":true}`,
	}
	if diff := cmp.Diff(want, lines(created.Changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	deleted, changed, err := history.Compare(flag, nil)
	if err != nil || !changed || deleted.Action != history.FlagDeleted || deleted.Changes != nil {
		t.Errorf("got %+v, %t, %v", deleted, changed, err)
	}
}

func TestCompareEnvironments(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.FlagEnvironment)
		want   history.Action
	}{
		"a request to publish": {func(e *v1alpha1.FlagEnvironment) {
			e.Annotations = map[string]string{v1alpha1.PublishRequestedAtAnnotation: "2026-11-01T12:00:00Z"}
		}, history.EnvironmentPublished},
		"a pin":        {func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Revision = new(int64(3)) }, history.EnvironmentPinned},
		"a suspension": {func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Suspend = true }, history.EnvironmentSuspended},
		"a suspension with a reason and an end": {func(e *v1alpha1.FlagEnvironment) {
			e.Spec.Publish.Suspend, e.Spec.Publish.SuspendReason = true, "black friday"
			e.Spec.Publish.SuspendUntil = &metav1.Time{Time: time.Date(2027, 1, 2, 9, 0, 0, 0, time.UTC)}
		}, history.EnvironmentSuspended},
		"else": {func(e *v1alpha1.FlagEnvironment) { e.Spec.Order = 3 }, history.EnvironmentUpdated},
		"both a pin and a suspension": {func(e *v1alpha1.FlagEnvironment) {
			e.Spec.Publish.Suspend, e.Spec.Publish.Revision = true, new(int64(3))
		}, history.EnvironmentUpdated},
	} {
		t.Run(name, func(t *testing.T) {
			before := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
			after := before.DeepCopy()
			tc.change(after)
			if record, changed, err := history.Compare(before, after); err != nil || !changed || record.Action != tc.want {
				t.Errorf("got %q, %t, %v", record.Action, changed, err)
			}
		})
	}
}

func TestCompareNamesTheMembersThatCameAndWent(t *testing.T) {
	record, _, err := history.Compare(
		builders.MakeAudience(
			"beta",
			"shop",
		).Members(
			"alice",
			"bob",
		).Obj(),
		builders.MakeAudience("beta", "shop").Members("carol", "alice").Obj(),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`spec.members[bob]: "bob" -> `, `spec.members[carol]:  -> "carol"`}
	if diff := cmp.Diff(want, lines(record.Changes)); diff != "" || record.Action != history.AudienceUpdated {
		t.Errorf("action %s, changes (-want +got):\n%s", record.Action, diff)
	}
}

func TestCompareEvents(t *testing.T) {
	before, after := builders.MakeEvent("purchase", "shop").Obj(), builders.MakeEvent("purchase", "shop").Obj()
	after.Spec.Unit = "EUR"
	record, changed, err := history.Compare(before, after)
	if err != nil || !changed || record.Action != history.EventUpdated {
		t.Fatalf("got %t, %s, %v", changed, record.Action, err)
	}
	if diff := cmp.Diff([]string{`spec.unit:  -> "EUR"`}, lines(record.Changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
