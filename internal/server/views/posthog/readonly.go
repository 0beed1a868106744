// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// ReadOnly are the fields that answers have and nobody can write. A PATCH takes them where they are as they were read,
// so that what was read can be sent back. A POST does not look at them.
type ReadOnly struct {
	ID                server.Optional[json.RawMessage] `json:"id,omitzero" doc:"As it was read."`
	UpdatedAt         server.Optional[json.RawMessage] `json:"updated_at,omitzero" doc:"As it was read."`
	Status            server.Optional[json.RawMessage] `json:"status,omitzero" doc:"As it was read."`
	NotShown          server.Optional[json.RawMessage] `json:"not_shown,omitzero" doc:"As it was read."`
	EvaluatedByServer server.Optional[json.RawMessage] `json:"evaluated_by_server,omitzero" doc:"As it was read."`
	ManagedBy         server.Optional[json.RawMessage] `json:"managed_by,omitzero" doc:"As it was read."`
}

// Exported are fields that PostHog's own answers have, and this server's have not. They are not looked at.
type Exported struct {
	TeamID                 any `json:"team_id,omitempty" doc:"Ignored."`
	CreatedBy              any `json:"created_by,omitempty" doc:"Ignored."`
	LastModifiedBy         any `json:"last_modified_by,omitempty" doc:"Ignored."`
	IsSimpleFlag           any `json:"is_simple_flag,omitempty" doc:"Ignored."`
	RolloutPercentage      any `json:"rollout_percentage,omitempty" doc:"Ignored."`
	ExperimentSet          any `json:"experiment_set,omitempty" doc:"Ignored."`
	ExperimentSetMetadata  any `json:"experiment_set_metadata,omitempty" doc:"Ignored."`
	Surveys                any `json:"surveys,omitempty" doc:"Ignored."`
	Features               any `json:"features,omitempty" doc:"Ignored."`
	UsageDashboard         any `json:"usage_dashboard,omitempty" doc:"Ignored."`
	UserAccessLevel        any `json:"user_access_level,omitempty" doc:"Ignored."`
	CanEdit                any `json:"can_edit,omitempty" doc:"Ignored."`
	IsUsedInReplaySettings any `json:"is_used_in_replay_settings,omitempty" doc:"Ignored."`
	EvaluationContexts     any `json:"evaluation_contexts,omitempty" doc:"Ignored; evaluation_tags are read."`
}

// unguarded are the fields that move while the ETag of a flag stays: with its metadata, and with what its rules name.
var unguarded = []string{"updated_at", "not_shown", "evaluated_by_server"}

// check fails with an *Error of status 422 that names the fields which are not as the flag shows them. Where If-Match
// says which state was read, those that move meanwhile are not looked at.
func (r *ReadOnly) check(flag *v1alpha1.FeatureFlag, shows *Flag, ifMatch string, now time.Time) error {
	is, err := fieldsShown(shows)
	if err != nil {
		return err
	}
	var mistakes []server.FieldError
	fields := reflect.ValueOf(*r)
	for i := range fields.NumField() {
		name := jsonName(fields.Type().Field(i))
		sent, _ := reflect.TypeAssert[server.Optional[json.RawMessage]](fields.Field(i))
		if !sent.Sent || sent.Null && string(is[name]) == "null" || isSameJSON(sent.Value, is[name]) ||
			ifMatch != "" && slices.Contains(unguarded, name) ||
			name == "status" && wasStatus(flag, shows.Status, string(sent.Value), now) {
			continue
		}
		mistakes = append(mistakes, server.FieldError{
			Field: name, Message: fmt.Sprintf("cannot be written; it is %s, leave it out", is[name]),
		})
	}
	if len(mistakes) > 0 {
		return server.Invalid(mistakes...)
	}
	return nil
}

// wasStatus reports whether a flag may have had a status, as JSON text, while it was what it is: time alone makes it
// stale, and replicas differ in when they last evaluated it.
func wasStatus(flag *v1alpha1.FeatureFlag, is, sent string, now time.Time) bool {
	switch sent {
	case `"ACTIVE"`:
		return is == "STALE"
	case `"STALE"`:
		return is == "ACTIVE" && now.Sub(flag.CreationTimestamp.Time) > staleAfter
	default:
		return false
	}
}

// fieldsShown are the fields of a flag in an answer, by name.
func fieldsShown(shows *Flag) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(shows)
	if err != nil {
		return nil, fmt.Errorf("encode the flag: %w", err)
	}
	is := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &is); err != nil {
		return nil, fmt.Errorf("encode the flag: %w", err)
	}
	return is, nil
}

// jsonName is the name that a field has in JSON.
func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// isSameJSON reports whether two texts are the same JSON value.
func isSameJSON(a, b json.RawMessage) bool {
	var inA, inB any
	return json.Unmarshal(a, &inA) == nil && json.Unmarshal(b, &inB) == nil && reflect.DeepEqual(inA, inB)
}
