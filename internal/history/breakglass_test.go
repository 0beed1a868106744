// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// On call asks afterwards who switched what off at night. A record that does not say it, or that has no place for the
// one flag that matters among many, leaves that to guesses.
func TestTheRecordOfABreakGlass(t *testing.T) {
	at := time.Date(2027, 1, 1, 3, 0, 0, 0, time.UTC)
	many := make([]ServedFlag, 3000)
	for i := range many {
		many[i] = ServedFlag{
			Key: fmt.Sprintf("flag-%d", i), Before: json.RawMessage(`{"a":1}`), After: json.RawMessage(`{"a":2}`),
		}
	}
	many = append(many, ServedFlag{Key: "payments", WasOn: true})
	for name, tc := range map[string]struct {
		flags   []ServedFlag
		want    string
		enables bool
	}{
		"off":           {[]ServedFlag{{Key: "payments", WasOn: true}}, "break glass: payments off", false},
		"on again":      {[]ServedFlag{{Key: "payments", IsOn: true}}, "break glass: payments on", true},
		"other rules":   {many[:1], "break glass: flag-0 changed", false},
		"a flag more":   {[]ServedFlag{{Key: "x", After: json.RawMessage(`{}`)}}, "break glass: x added", false},
		"a flag less":   {[]ServedFlag{{Key: "x", Before: json.RawMessage(`{}`)}}, "break glass: x removed", false},
		"a key with ]":  {[]ServedFlag{{Key: "a].enabled", WasOn: true}}, "break glass: a].enabled off", false},
		"nobody knows":  {nil, "break glass", false},
		"one among all": {many, "break glass: payments off; flag-0 changed", false},
	} {
		t.Run(name, func(t *testing.T) {
			record, err := NewBreakGlass("id", Actor{Name: "alice"}, at, tc.flags, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := record.summary(); !strings.HasPrefix(got, tc.want) || len(tc.flags) < 2 && got != tc.want {
				t.Errorf("the record says %q, want %q", got, tc.want)
			}
			if record.Enables != tc.enables || !record.Time.Time.Equal(at) || record.Actor.Name != "alice" {
				t.Errorf("the record has %+v", record)
			}
			// Of several who wrote while the operator was away it sees the last. She must not be blamed for all.
			several, err := NewBreakGlass("id", Actor{Name: "alice"}, at, tc.flags, 3)
			want := strings.Replace(record.summary(), "break glass", "break glass since revision 3", 1)
			if err != nil || several.summary() != want {
				t.Errorf("after others it says %q (error %v), want %q", several.summary(), err, want)
			}
			data, err := json.Marshal(several)
			if err != nil || len(data) > MaxRecordBytes {
				t.Errorf("it takes %d bytes, %v", len(data), err)
			}
		})
	}
	if a, b := BreakGlassID("production", 7, "alice"), BreakGlassEndID("production", 7); !isID(a) || !isID(b) || a == b {
		t.Errorf("%q and %q do not name records", a, b)
	}
}
