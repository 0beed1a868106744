// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

var checkout = v1alpha1.ChangedObject{Kind: "FeatureFlag", Name: "new-checkout", Key: "new_checkout", UID: "f-1"}

// changeOf returns the FlagChange of a record.
func changeOf(t testing.TB, record *history.Record, spec string) *v1alpha1.FlagChange {
	t.Helper()
	change, err := history.NewChange("shop", checkout, v1alpha1.HistoryRecorded, record, json.RawMessage(spec))
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func TestChangeHoldsWhatItIsGiven(t *testing.T) {
	record := stamped(t, "a", nil, 2, 20)
	change := changeOf(t, &record, `{"key":"k"}`)
	if diff := cmp.Diff(change, changeOf(t, &record, `{"key":"k"}`)); diff != "" {
		t.Errorf("a second attempt makes another change:\n%s", diff)
	}
	entries := history.EntriesOf(change)
	if len(entries) != 1 {
		t.Fatalf("it holds %d changes", len(entries))
	}
	if diff := cmp.Diff(record, entries[0].Record); diff != "" {
		t.Errorf("read something else (-want +got):\n%s", diff)
	}
	if spec, err := history.Spec(change); err != nil || string(spec) != `{"key":"k"}` {
		t.Errorf("the spec is %s (%v)", spec, err)
	}
	if kind, name, is := history.Subject(change); kind != "FeatureFlag" || name != "new-checkout" || !is {
		t.Errorf("the change belongs to %s %s", kind, name)
	}
	change.Spec.SpecGzip = "bm8="
	if _, err := history.Spec(change); err == nil {
		t.Error("a spec that is broken was read")
	}
}

func TestChangeOfALongNameFitsItsLabels(t *testing.T) {
	audience := builders.MakeAudience(strings.Repeat("long-", 50)+"name", "shop").Obj()
	record := stamped(t, "a", nil, 0, 0)
	change, err := history.NewChange("shop", history.ObjectOf("FlagAudience", audience), "recorded", &record, nil)
	if err != nil {
		t.Fatal(err)
	}
	for label, value := range change.Labels {
		if len(value) > 63 {
			t.Errorf("label %s has %d characters", label, len(value))
		}
	}
	if _, name, _ := history.Subject(change); name != audience.Name {
		t.Errorf("the change belongs to %s", name)
	}
}

func TestFoldKeepsWhoWhatAndWhen(t *testing.T) {
	var sources []v1alpha1.FlagChange
	var records []history.Record
	for i := range history.MaxFolded + 10 {
		record := stamped(t, fmt.Sprintf("r-%d", i), records, 1, 20)
		records = append(records, record)
		sources = append(sources, *changeOf(t, &record, "{}"))
	}
	folded, err := history.Fold(sources)
	if err != nil {
		t.Fatal(err)
	}
	if len(folded) != 2 || len(folded[0].Spec.Older) != history.MaxFolded || len(folded[1].Spec.Older) != 10 {
		t.Fatalf("%d changes were folded into %d", len(sources), len(folded))
	}
	last := folded[1].Spec.Older[9]
	if last.ID != "r-259" || last.Actor.Name != "alice@example.com" || last.Action != "flag.updated" ||
		!last.Time.Equal(&records[259].Time) {
		t.Errorf("the last change is %+v", last)
	}
	if size, err := json.Marshal(folded[0]); err != nil || len(size) > 100<<10 {
		t.Errorf("%d changes take %d bytes (%v)", history.MaxFolded, len(size), err)
	}
	again, err := history.Fold(append([]v1alpha1.FlagChange{*folded[1]}, sources[250:]...))
	if err != nil || len(again) != 1 || again[0].Name != folded[1].Name {
		t.Errorf("folding what is folded makes something else: %v", err)
	}
}

func TestHistoryOfAnOlderReleaseIsRead(t *testing.T) {
	records := []history.Record{stamped(t, "a", nil, 1, 20)}
	records = append(records, stamped(t, "b", records, 0, 0))
	plain, err := json.Marshal(map[string]any{"records": records, "spec": map[string]any{"key": "new_checkout"}})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{"gzip": packed.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	revision := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: "jackstaff-history-b", Namespace: "shop",
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.HistoryLabel: v1alpha1.HistoryRequested,
				v1alpha1.FlagLabel: "new-checkout", v1alpha1.UIDLabel: "f-1",
			},
			Annotations: map[string]string{v1alpha1.NameAnnotation: "new-checkout"},
		},
		Data: runtime.RawExtension{Raw: data},
	}
	changes, err := history.FromControllerRevision(revision)
	if err != nil || len(changes) != 2 {
		t.Fatalf("it holds %d changes (%v)", len(changes), err)
	}
	if got := history.EntriesOf(changes[0]); len(got) != 1 || got[0].Object != checkout ||
		cmp.Diff(records[0], got[0].Record) != "" {
		t.Errorf("the first change is %+v", got)
	}
	if got := history.EntriesOf(changes[1]); got != nil {
		t.Errorf("a deletion that was only requested is told: %+v", got)
	}
	revision.Data.Raw = []byte(`{"gzip":"bm8="}`)
	if _, err := history.FromControllerRevision(revision); err == nil {
		t.Error("a revision that is broken was read")
	}
	revision.Labels = map[string]string{"app": "a-stateful-set"}
	if changes, err := history.FromControllerRevision(revision); err != nil || changes != nil {
		t.Errorf("a StatefulSet's revision was taken for history: %v", err)
	}
}

func TestSummarySaysWhatChanged(t *testing.T) {
	flag := func(changes ...history.Change) history.Record {
		return history.Record{Action: history.FlagUpdated, Changes: changes}
	}
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for name, tc := range map[string]struct {
		record           history.Record
		want             string
		wantEnvironments []string
	}{
		"a toggle": {
			record:           flag(history.Change{Path: "spec.environments[production].enabled", From: raw("false"), To: raw("true")}),
			want:             "production: off→on",
			wantEnvironments: []string{"production"},
		},
		"a freeze with a reason and an end": {
			record: flag(
				history.Change{Path: "spec.publish.suspend", From: raw("false"), To: raw("true")},
				history.Change{Path: "spec.publish.suspendReason", To: raw(`"black friday"`)},
				history.Change{Path: "spec.publish.suspendUntil", To: raw(`"2027-01-02T09:00:00Z"`)},
			),
			want: "freeze; frozen for black friday; frozen until 2027-01-02T09:00:00Z",
		},
		"a thaw": {
			record: flag(
				history.Change{Path: "spec.publish.suspend", From: raw("true"), To: raw("false")},
				history.Change{Path: "spec.publish.suspendReason", From: raw(`"black friday"`)},
				history.Change{Path: "spec.publish.suspendUntil", From: raw(`"2027-01-02T09:00:00Z"`)},
			),
			want: "thaw",
		},
		"a freeze that loses its end": {
			record: flag(history.Change{Path: "spec.publish.suspendUntil", From: raw(`"2027-01-02T09:00:00Z"`)}),
			want:   "frozen without end",
		},
		"a kill": {
			record: flag(history.Change{
				Path: "metadata.annotations[flags.jackstaff.dev/force-disabled]", To: raw(`"production, staging"`),
			}),
			want:             "production, staging: forced off",
			wantEnvironments: []string{"production", "staging"},
		},
		"a kill that is lifted in one of two": {
			record: flag(history.Change{
				Path: "metadata.annotations[flags.jackstaff.dev/force-disabled]", From: raw(`"production,staging"`), To: raw(`"staging"`),
			}),
			want:             "production: no longer forced off",
			wantEnvironments: []string{"production"},
		},
		"traffic of a rule": {
			record: flag(history.Change{
				Path: "spec.environments[production].rules[beta].traffic", From: raw(`"10%"`), To: raw(`"50%"`),
			}),
			want:             "production: rule[beta].traffic 10%→50%",
			wantEnvironments: []string{"production"},
		},
		"a new part": {
			record:           flag(history.Change{Path: "spec.environments[qa]", To: raw(`{"name":"qa","enabled":true}`)}),
			want:             "qa: added, on",
			wantEnvironments: []string{"qa"},
		},
		"a description and a structure": {
			record: flag(
				history.Change{Path: "spec.description", From: raw(`"a"`), To: raw(`"b\n"`)},
				history.Change{Path: "spec.variations[on].payload", To: raw(`{"a":1}`)},
			),
			want: `description a→b\n; variation[on].payload added`,
		},
		"more than a line holds": {
			record: flag(
				history.Change{Path: "spec.a", To: raw("1")}, history.Change{Path: "spec.b", To: raw("1")},
				history.Change{Path: "spec.c", To: raw("1")}, history.Change{Path: "spec.d", To: raw("1")},
				history.Change{Path: "spec.e", To: raw("1")},
			),
			want: "a none→1; b none→1; c none→1; d none→1 and 1 more",
		},
		"creation": {
			record: history.Record{Action: history.FlagCreated, Changes: []history.Change{
				{Path: "spec.environments[production]", To: raw(`{"name":"production","enabled":true}`)},
				{Path: "spec.environments[qa]", To: raw(`{"name":"qa"}`)},
			}},
			want:             "created, on in production",
			wantEnvironments: []string{"production", "qa"},
		},
		"a pin": {
			record: flag(history.Change{Path: "spec.publish.revision", To: raw("7")}),
			want:   "pin 7",
		},
		"a freeze": {
			record: flag(history.Change{Path: "spec.publish.suspend", From: raw("false"), To: raw("true")}),
			want:   "freeze",
		},
		"a label": {
			record: flag(history.Change{Path: "metadata.labels[team]", To: raw(`"checkout"`)}),
			want:   "labels[team] none→checkout",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.record.Stamp("a", history.Actor{Name: "alice"}, noon, nil); err != nil {
				t.Fatal(err)
			}
			change := changeOf(t, &tc.record, "")
			if change.Spec.Summary != tc.want {
				t.Errorf("the summary is %q; want %q", change.Spec.Summary, tc.want)
			}
			if !slices.Equal(change.Spec.Environments, tc.wantEnvironments) {
				t.Errorf("the environments are %q; want %q", change.Spec.Environments, tc.wantEnvironments)
			}
		})
	}
}

func TestSummaryIsOneShortLine(t *testing.T) {
	record := history.Record{Action: history.FlagUpdated, Omitted: 3}
	for i := range 4 {
		record.Changes = append(record.Changes, history.Change{
			Path: fmt.Sprintf("spec.metadata[%d%s]", i, strings.Repeat("ä", 200)),
			To:   json.RawMessage(`"` + strings.Repeat("\\n", 100) + `"`),
		})
	}
	if err := record.Stamp("a", history.Actor{}, noon.Add(time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	summary := changeOf(t, &record, "").Spec.Summary
	if len([]rune(summary)) > 256 || strings.Contains(summary, "\n") || !strings.HasSuffix(summary, "and 3 more") {
		t.Errorf("the summary is %q", summary)
	}
}
