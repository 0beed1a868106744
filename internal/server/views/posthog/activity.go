// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"encoding/json"

	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// Activity is one change of a flag.
type Activity struct {
	ID        string         `json:"id"`
	User      ActivityUser   `json:"user"`
	Activity  string         `json:"activity" enum:"created,updated,deleted,restored"`
	Scope     string         `json:"scope" enum:"FeatureFlag"`
	ItemID    string         `json:"item_id" doc:"The id of the flag."`
	Detail    ActivityDetail `json:"detail"`
	CreatedAt string         `json:"created_at" format:"date-time"`
}

// ActivityUser is who made a change.
type ActivityUser struct {
	FirstName string `json:"first_name" doc:"The user name."`
	Email     string `json:"email" doc:"The user name where it is an email address."`
}

// ActivityDetail is what changed.
type ActivityDetail struct {
	Changes []ActivityChange `json:"changes" nullable:"false"`
	Name    string           `json:"name" doc:"The key of the flag, or its name where it is gone."`
}

// ActivityChange is one changed field.
type ActivityChange struct {
	Type   string          `json:"type" enum:"FeatureFlag"`
	Action string          `json:"action" enum:"created,changed,deleted"`
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before" doc:"The value before. Large ones are shown as sha256:…"`
	After  json.RawMessage `json:"after"`
}

// Page is a part of a list.
type Page struct {
	Limit int `query:"limit" default:"10" minimum:"1" maximum:"100" doc:"How many changes."`
	Page  int `query:"page" default:"1" minimum:"1" maximum:"100000" doc:"Which of the pages, from 1 on."`
}

type activityInput struct {
	lookup.Scope
	Page
}

type flagActivityInput struct {
	lookup.FlagScope
	Page
}

type activityOutput struct {
	Body struct {
		Results    []Activity `json:"results" nullable:"false"`
		Next       *string    `json:"next"`
		Previous   *string    `json:"previous"`
		TotalCount int        `json:"total_count"`
	}
}

func (v *view) activity(ctx context.Context, input *activityInput) (*activityOutput, error) {
	project, err := v.Project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := v.Cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	changes, err := v.changesOf(ctx, project.Name, flags)
	if err != nil {
		return nil, err
	}
	return v.page(ctx, &input.Scope, changes, &input.Page), nil
}

func (v *view) flagActivity(ctx context.Context, input *flagActivityInput) (*activityOutput, error) {
	project, err := v.Project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.Flag(ctx, project, input.ID)
	if err != nil {
		return nil, err
	}
	changes, err := v.changesOfFlag(ctx, flag)
	if err != nil {
		return nil, err
	}
	return v.page(ctx, &input.Scope, changes, &input.Page), nil
}

// page is a part of the changes, newest first.
func (v *view) page(ctx context.Context, scope *lookup.Scope, changes []changed, page *Page) *activityOutput {
	environment := ""
	if at, err := v.Place(ctx, scope); err == nil {
		environment = at.Environment.Name
	}
	output := &activityOutput{}
	output.Body.Results, output.Body.TotalCount = []Activity{}, len(changes)
	from, to := min((page.Page-1)*page.Limit, len(changes)), min(page.Page*page.Limit, len(changes))
	for i := range changes[from:to] {
		output.Body.Results = append(output.Body.Results, changes[from+i].show(environment))
	}
	if to < len(changes) {
		output.Body.Next = link(ctx, "page", page.Page+1)
	}
	if page.Page > 1 {
		output.Body.Previous = link(ctx, "page", page.Page-1)
	}
	return output
}
