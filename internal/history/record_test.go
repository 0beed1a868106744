// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/internal/history"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// stamped returns a record with changes changes of size bytes each.
func stamped(t testing.TB, id string, before []history.Record, changes, size int) history.Record {
	t.Helper()
	record := history.Record{Action: history.FlagUpdated}
	for i := range changes {
		value, err := json.Marshal(strings.Repeat("x", size))
		if err != nil {
			t.Fatal(err)
		}
		record.Changes = append(record.Changes, history.Change{Path: fmt.Sprintf("spec.metadata[%d]", i), To: value})
	}
	if err := record.Stamp(id, history.Actor{Name: "alice@example.com", UID: "u-1"}, noon, before); err != nil {
		t.Fatal(err)
	}
	return record
}

func TestStampBoundsARecord(t *testing.T) {
	for name, tc := range map[string]struct {
		changes, size             int
		wantChanges, wantDigested int
	}{
		"small values stay":                               {changes: 3, size: 100, wantChanges: 3},
		"a large value becomes its digest":                {changes: 1, size: 1000, wantChanges: 1, wantDigested: 1},
		"many middling values become digests":             {changes: 20, size: 400, wantChanges: 20, wantDigested: 20},
		"what finds no place even so is counted, not cut": {changes: 200, size: 10, wantChanges: 84},
	} {
		t.Run(name, func(t *testing.T) {
			record := stamped(t, "a", nil, tc.changes, tc.size)
			data, err := json.Marshal(record)
			if err != nil || len(data) > history.MaxRecordBytes {
				t.Errorf("the record has %d bytes (%v); the limit is %d", len(data), err, history.MaxRecordBytes)
			}
			digested := 0
			for _, change := range record.Changes {
				if change.Digested {
					digested++
				}
			}
			if len(record.Changes) != tc.wantChanges || digested != tc.wantDigested ||
				len(record.Changes)+record.Omitted != tc.changes {
				t.Errorf("got %d changes, %d of them digested, and %d omitted", len(record.Changes), digested, record.Omitted)
			}
		})
	}
}

func TestStampClipsNamesThatNothingBounds(t *testing.T) {
	record := history.Record{Action: history.FlagCreated}
	if err := record.Stamp("a", history.Actor{Name: strings.Repeat("é", 5000)}, noon, nil); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("é", 128); record.Actor.Name != want {
		t.Errorf("the actor's name has %d bytes", len(record.Actor.Name))
	}
}

func TestStampOrdersChangesOfOneMoment(t *testing.T) {
	first := stamped(t, "b", nil, 0, 0)
	second := stamped(t, "a", []history.Record{first}, 0, 0)
	if !second.Time.After(first.Time.Time) {
		t.Errorf("the later change has the time %v, the earlier one %v", second.Time, first.Time)
	}
}

func TestEncodeKeepsWhoWhatAndWhenLongest(t *testing.T) {
	var records []history.Record
	for i := range 40 {
		records = append(records, stamped(t, fmt.Sprintf("r-%d", i), records, 20, 80))
	}
	got := encodeAndDecode(t, records)
	if len(got) != len(records) || got[0].Changes != nil || got[0].Omitted != 20 ||
		got[0].Actor.Name != "alice@example.com" ||
		got[0].Lost != 0 {
		t.Errorf("of %d records %d stay; the oldest is %+v", len(records), len(got), got[0])
	}
	if diff := cmp.Diff(records[39], got[39]); diff != "" {
		t.Errorf("the newest record changed (-want +got):\n%s", diff)
	}
	if records[0].Changes == nil {
		t.Error("the caller's record was changed")
	}
}

func TestEncodeCountsTheRecordsThatItDrops(t *testing.T) {
	var records []history.Record
	for i := range 1000 {
		records = append(records, stamped(t, fmt.Sprintf("r-%d", i), records, 1, 10))
		if i%250 == 249 {
			records = encodeAndDecode(t, records) // As admission does after each change.
		}
	}
	if len(records) < 200 || records[0].Lost+len(records) != 1000 {
		t.Errorf("%d records stay, and the oldest says that %d are lost", len(records), records[0].Lost)
	}
	if records[len(records)-1].ID != "r-999" {
		t.Errorf("the newest record is %q", records[len(records)-1].ID)
	}
}

// Somebody who writes faster than the operator moves records must not hide who switched a flag on, nor that it was on.
func TestEncodeLosesLastWhoSwitchedAFlagOn(t *testing.T) {
	on := history.Record{Action: history.FlagToggled, Enables: true}
	if err := on.Stamp("on", history.Actor{Name: "pat@example.com"}, noon, nil); err != nil {
		t.Fatal(err)
	}
	records := []history.Record{on}
	for i := range 500 {
		records = append(records, stamped(t, fmt.Sprintf("r-%d", i), records, 1, 10))
	}
	records = encodeAndDecode(t, records)
	if records[0].ID != "on" || !records[0].Enables {
		t.Errorf("the oldest record is %+v", records[0])
	}
	for i := range 1000 {
		off := history.Record{Action: history.FlagToggled}
		if err := off.Stamp(fmt.Sprintf("off-%d", i), history.Actor{Name: "pat@example.com"}, noon, records); err != nil {
			t.Fatal(err)
		}
		if records = append(records, off); i%250 == 249 {
			records = encodeAndDecode(t, records)
		}
	}
	if records[0].ID == "on" {
		t.Fatal("nothing is lost")
	}
	lost := len(records)
	for i := range records {
		lost += records[i].Lost
	}
	if lost != 1501 {
		t.Errorf("%d records are kept or counted, want 1501", lost)
	}
	if !slices.ContainsFunc(records, func(record history.Record) bool { return record.EnablesIn("production") }) {
		t.Error("nothing tells any more that the flag may have been on")
	}
}

func encodeAndDecode(t *testing.T, records []history.Record) []history.Record {
	t.Helper()
	text, err := history.Encode(records)
	if err != nil || len(text) > history.MaxAnnotationBytes {
		t.Fatalf("the annotation has %d bytes: %v", len(text), err)
	}
	decoded, err := history.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestDecodeRefusesWhatIsNoHistory(t *testing.T) {
	for name, annotation := range map[string]string{
		"no JSON":                   "[",
		"another type":              `{"id": "a"}`,
		"no id":                     `[{"time": "2026-11-01T12:00:00.000000Z"}]`,
		"an id that cannot be name": `[{"id": "../a", "time": "2026-11-01T12:00:00.000000Z"}]`,
		"no time":                   `[{"id": "a"}]`,
		"too much":                  `[{"id": "a", "time": "2026-11-01T12:00:00.000000Z", "action": "` + strings.Repeat("x", history.MaxAnnotationBytes) + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := history.Decode(annotation); !errors.Is(err, history.ErrMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOnlyTheOldestMayBeTakenAway(t *testing.T) {
	var records []history.Record
	for _, id := range []string{"a", "b", "c"} {
		records = append(records, stamped(t, id, records, 0, 0))
	}
	forged := []history.Record{records[1], stamped(t, "d", nil, 0, 0)}
	for name, tc := range map[string]struct {
		shorter []history.Record
		want    bool
	}{
		"all":              {nil, true},
		"the oldest":       {records[1:], true},
		"nothing":          {records, false},
		"the newest":       {records[:2], false},
		"one for another":  {forged, false},
		"one of its own":   {forged[1:], false},
		"one more":         {append(records[:3:3], forged[1]), false},
		"all but the last": {records[2:], true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := history.IsShortened(records, tc.shorter); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	record := history.Record{
		Action:  history.FlagToggled,
		Changes: []history.Change{{Path: "spec.archived", To: json.RawMessage("true")}},
	}
	if err := record.Stamp("a", history.Actor{Name: "alice"}, noon, nil); err != nil {
		f.Fatal(err)
	}
	text, err := history.Encode([]history.Record{record, record})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{text, "[]", "null", `[{"id":"a","time":"9999-12-31T23:59:59.999999Z","changes":[{"path":"","from":null}]}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, annotation string) {
		records, err := history.Decode(annotation)
		if err != nil {
			return
		}
		encoded, err := history.Encode(records)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := history.Decode(encoded)
		if len(encoded) > history.MaxAnnotationBytes {
			return // A single record of somebody else's making is larger than any that admission makes.
		}
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if encodedAgain, err := history.Encode(again); err != nil || encodedAgain != encoded {
			t.Errorf("written again it is another text: %v\n%s\n%s", err, encoded, encodedAgain)
		}
	})
}

// Whether a change may have switched a flag on in production decides whether an editor may go on changing it there.
// What a record cannot tell counts as switched on.
func TestRecordsSayWhereTheyEnable(t *testing.T) {
	const production = "spec.environments[production]"
	enables := func(path, to string) history.Record {
		return history.Record{Enables: true, Changes: []history.Change{{Path: path, To: json.RawMessage(to)}}}
	}
	digested, omitted, nothing := enables(production, `"sha256:00"`), enables("spec.key", "1"), enables(production, "{}")
	digested.Changes[0].Digested, omitted.Omitted, nothing.Enables = true, 1, false
	for name, tc := range map[string]struct {
		record history.Record
		want   bool
	}{
		"it enables nothing":           {nothing, false},
		"one before it may have":       {history.Record{Lost: 1, LostEnables: true}, true},
		"those before it have not":     {history.Record{Lost: 1}, false},
		"it enables production":        {enables(production+".enabled", "true"), true},
		"it enables staging":           {enables("spec.environments[staging].enabled", "true"), false},
		"production is added, on":      {enables(production, `{"enabled":true}`), true},
		"production is added, off":     {enables(production, `{"name":"production"}`), false},
		"production is removed":        {enables(production, ""), false},
		"a rule of it is changed":      {enables(production+".rules[a]", `{"enabled":true}`), false},
		"all environments change":      {enables("spec.environments", "[]"), true},
		"the changes found no place":   {history.Record{Enables: true}, true},
		"some found no place":          {omitted, true},
		"the value is too large":       {digested, true},
		"the value is of another kind": {enables(production, "[]"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.record.EnablesIn("production"); got != tc.want {
				t.Errorf("it enables: %t, want %t", got, tc.want)
			}
		})
	}
}
