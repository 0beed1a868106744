// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// A client that sends back what it read must not be refused because time, the operator or another object has changed
// what is shown of the flag, under the same ETag. What asks for something must not be taken and forgotten.
func TestWhatMovesUnderAnETagIsTaken(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		age                    time.Duration
		shows                  Flag
		field, sent            string
		wantTaken, wantIfMatch bool
	}{
		"stale meanwhile":        {0, Flag{Status: "STALE"}, "status", `"ACTIVE"`, true, true},
		"evaluated meanwhile":    {2 * staleAfter, Flag{Status: "ACTIVE"}, "status", `"STALE"`, true, true},
		"never stale":            {time.Hour, Flag{Status: "ACTIVE"}, "status", `"STALE"`, false, false},
		"deleted by its status":  {0, Flag{Status: "ACTIVE"}, "status", `"DELETED"`, false, false},
		"restored by its status": {0, Flag{Status: "DELETED"}, "status", `"ACTIVE"`, false, false},
		"annotated meanwhile":    {0, Flag{UpdatedAt: "2026-01-02T15:04:05Z"}, "updated_at", `"2026-01-01T15:04:05Z"`, false, true},
		"what a rule names":      {0, Flag{EvaluatedByServer: []string{"x"}}, "evaluated_by_server", `[]`, false, true},
		"what is not shown":      {0, Flag{NotShown: []string{"x"}}, "not_shown", `[]`, false, true},
		"another flag":           {0, Flag{ID: 7}, "id", `8`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("x", "shop").Boolean().Created(now.Add(-tc.age), "uid").Obj()
			asked := ReadOnly{}
			if err := json.Unmarshal([]byte(`{"`+tc.field+`": `+tc.sent+`}`), &asked); err != nil {
				t.Fatal(err)
			}
			if err := asked.check(flag, &tc.shows, "", now); (err == nil) != tc.wantTaken {
				t.Errorf("the answer is %v", err)
			}
			if err := asked.check(flag, &tc.shows, server.ETag(flag), now); (err == nil) != tc.wantIfMatch {
				t.Errorf("with If-Match the answer is %v", err)
			}
		})
	}
}
