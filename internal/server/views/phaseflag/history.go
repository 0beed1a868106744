// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// Event is one change of a flag.
type Event struct {
	ID        string                 `json:"id"`
	Action    string                 `json:"action" doc:"What was done, such as flag.toggled."`
	Actor     Actor                  `json:"actor"`
	Changes   map[string]FieldChange `json:"changes" doc:"What changed, by field. Fields of other environments begin with environments."`
	Timestamp time.Time              `json:"timestamp"`
}

// Actor is who made a change.
type Actor struct {
	ID    string  `json:"id" doc:"The UID of the user, or the user name where there is none."`
	Email *string `json:"email" doc:"The user name where it is an email address."`
	Name  string  `json:"name" doc:"The user name."`
}

// FieldChange is one changed field.
type FieldChange struct {
	From json.RawMessage `json:"from" doc:"The value before, and null where there was none. Large values are shown as sha256:…"`
	To   json.RawMessage `json:"to" doc:"The value after, and null where there is none."`
}

type historyInput struct {
	FlagScope
	Paging
}

type historyOutput struct {
	Body struct {
		Data []Event `json:"data" nullable:"false"`
		Meta Meta    `json:"meta"`
	}
}

func (v *view) changes(ctx context.Context, input *historyInput) (*historyOutput, error) {
	flag, environment, err := v.find(ctx, input.FlagScope)
	if err != nil {
		return nil, err
	}
	if err := v.cluster.Authorize(ctx, "list", server.Changes, flag.Namespace, ""); err != nil {
		return nil, err
	}
	records, err := history.List(ctx, v.history, flag.Namespace, "FeatureFlag", flag.Name)
	if err != nil {
		return nil, err
	}
	output := &historyOutput{}
	page, meta := slice(records, input.Paging)
	output.Body.Data, output.Body.Meta = make([]Event, len(page)), meta
	for i := range page {
		output.Body.Data[i] = showRecord(&page[i].Record, environment.Name)
	}
	return output, nil
}

// showRecord makes an event of a record, in the names that the view has in an environment.
func showRecord(record *history.Record, environment string) Event {
	event := Event{
		ID:        record.ID,
		Action:    string(record.Action),
		Timestamp: record.Time.UTC().Truncate(time.Second),
		Changes:   map[string]FieldChange{},
		Actor:     Actor{ID: cmp.Or(record.Actor.UID, record.Actor.Name), Name: record.Actor.Name},
	}
	if strings.Contains(record.Actor.Name, "@") {
		event.Actor.Email = &record.Actor.Name
	}
	for i := range record.Changes {
		change := &record.Changes[i]
		switch {
		case !isShown(change.Path):
		case isPart.MatchString(change.Path) && !change.Digested:
			showPart(event.Changes, change, environment)
		case change.Digested:
			event.Changes[showPath(change.Path, environment)] = FieldChange{From: change.From, To: change.To}
		default:
			event.Changes[showPath(change.Path, environment)] = FieldChange{
				From: showValue(change.Path, change.From), To: showValue(change.Path, change.To),
			}
		}
	}
	for i := range record.Changes {
		showBrake(event.Changes, &record.Changes[i], environment)
	}
	return event
}

// partOf is the path of a flag's part for an environment.
func partOf(environment string) string { return "spec.environments[" + environment + "]" }

// showPart shows an environment's part, which is new or gone as a whole, field by field. Without a part the flag is
// disabled.
func showPart(changes map[string]FieldChange, change *history.Change, environment string) {
	from, to := map[string]json.RawMessage{"enabled": disabled}, map[string]json.RawMessage{"enabled": disabled}
	// A side that is not there has no fields.
	_, _ = json.Unmarshal(change.From, &from), json.Unmarshal(change.To, &to)
	for _, fields := range []map[string]json.RawMessage{from, to} {
		for name := range fields {
			path := change.Path + "." + name
			if isShown(path) && string(from[name]) != string(to[name]) {
				changes[showPath(path, environment)] = FieldChange{From: showValue(name, from[name]), To: showValue(name, to[name])}
			}
		}
	}
}

// showBrake shows that a flag is forced off in environments, or no more, as what it is there for whoever asks. What the
// same record says of enabled stays where the brake does not contradict it.
func showBrake(changes map[string]FieldChange, change *history.Change, environment string) {
	off, ended := change.Brakes()
	for _, name := range off {
		changes[showPath(partOf(name)+".enabled", environment)] = FieldChange{From: enabled, To: disabled}
	}
	for _, name := range ended {
		path := showPath(partOf(name)+".enabled", environment)
		if _, isSaid := changes[path]; !isSaid {
			changes[path] = FieldChange{From: disabled, To: enabled}
		}
	}
}

var disabled, enabled = json.RawMessage("false"), json.RawMessage("true")

// showPath gives the view's name for a changed field. Elements of lists are in brackets, by their keys.
func showPath(path, environment string) string {
	if inPart, ok := strings.CutPrefix(path, partOf(environment)+"."); ok {
		path = inPart
	}
	path = strings.TrimPrefix(path, "spec.")
	if path == "type" {
		return "flag_type"
	}
	if before, rules, ok := strings.Cut(path, "rules["); ok && (before == "" || strings.HasSuffix(before, "].")) {
		path = before + "targeting_rules[" + ruleNames.Replace(rules)
	} else if before, ends := strings.CutSuffix(path, "rules"); ends && (before == "" || strings.HasSuffix(before, "].")) {
		path = before + "targeting_rules"
	}
	return snake(fieldNames.Replace(path))
}

// snake writes the names of a path as the view writes names, such as schedule.enable_at. What is in brackets is a key,
// and stays as it is.
func snake(path string) string {
	var written strings.Builder
	depth := 0
	for i := range len(path) {
		c := path[i]
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth == 0 && 'A' <= c && c <= 'Z':
			written.WriteByte('_')
			c += 'a' - 'A'
		}
		written.WriteByte(c)
	}
	return written.String()
}
