// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

type listInput struct {
	Scope
	Paging
	Status   string `query:"status" enum:"active,inactive,archived" doc:"Only flags of this status."`
	FlagType string `query:"flag_type" enum:"boolean,string,number,json" doc:"Only flags of this type."`
	Search   string `query:"search" doc:"Only flags whose key or name contains this, in any case."`
	Sort     string `query:"sort" enum:"name,key,created_at,updated_at" default:"created_at" doc:"What the list is sorted by."`
	Order    string `query:"order" enum:"asc,desc" default:"desc" doc:"In which direction."`
}

type listOutput struct {
	Body struct {
		Data []*Flag `json:"data" nullable:"false"`
		Meta Meta    `json:"meta"`
	}
}

func (v *view) list(ctx context.Context, input *listInput) (*listOutput, error) {
	project, environment, err := v.cluster.EnvironmentAnywhere(ctx, input.EnvironmentID)
	if err != nil {
		return nil, err
	}
	flags, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	found := make([]*v1alpha1.FeatureFlag, 0, len(flags))
	for _, flag := range flags {
		if input.holds(flag) {
			found = append(found, flag)
		}
	}
	slices.SortStableFunc(found, func(a, b *v1alpha1.FeatureFlag) int {
		if input.Order == "asc" {
			return input.compare(a, b)
		}
		return input.compare(b, a)
	})
	output := &listOutput{}
	page, meta := slice(found, input.Paging)
	output.Body.Data, output.Body.Meta = make([]*Flag, len(page)), meta
	for i, flag := range page {
		output.Body.Data[i] = summarize(flag, environment, v.clock.Now())
	}
	return output, nil
}

// holds reports whether a flag is one of those that the request asks for.
func (i *listInput) holds(flag *v1alpha1.FeatureFlag) bool {
	search := strings.ToLower(i.Search)
	return (i.Status == "" || i.Status == statusOf(flag)) && (i.FlagType == "" || types[i.FlagType] == flag.Spec.Type) &&
		(strings.Contains(strings.ToLower(flag.Key()), search) || strings.Contains(strings.ToLower(displayName(flag)), search))
}

// compare orders flags by what the request asks for, and then by their keys.
func (i *listInput) compare(a, b *v1alpha1.FeatureFlag) int {
	order := 0
	switch i.Sort {
	case "name":
		order = cmp.Compare(displayName(a), displayName(b))
	case "created_at":
		order = a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	case "updated_at":
		order = server.UpdatedAt(a).Compare(server.UpdatedAt(b))
	}
	return cmp.Or(order, cmp.Compare(a.Key(), b.Key()), cmp.Compare(a.UID, b.UID))
}

type flagOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Data *Flag `json:"data"`
	}
}

func (v *view) output(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment) *flagOutput {
	shown := &flagOutput{ETag: server.ETag(flag)}
	shown.Body.Data = show(flag, environment, v.clock.Now())
	return shown
}

func (v *view) get(ctx context.Context, input *FlagScope) (*flagOutput, error) {
	flag, environment, err := v.find(ctx, *input)
	if err != nil {
		return nil, err
	}
	return v.output(flag, environment), nil
}

type createInput struct {
	Scope
	Body NewFlag
}

func (v *view) create(ctx context.Context, input *createInput) (*flagOutput, error) {
	project, environment, err := v.cluster.EnvironmentAnywhere(ctx, input.EnvironmentID)
	if err != nil {
		return nil, err
	}
	flag, err := input.Body.create(environment.Name)
	if err != nil {
		return nil, err
	}
	if err := server.CreateFlag(
		ctx, v.cluster, project, flag, names(flag, environment.Name, nil), `PUT {"archived": false} restores it`,
	); err != nil {
		return nil, err
	}
	return v.output(flag, environment), nil
}

type updateInput struct {
	FlagScope
	IfMatch string `header:"If-Match" doc:"The ETag of the state that the change is for."`
	Body    Update
}

func (v *view) update(ctx context.Context, input *updateInput) (*flagOutput, error) {
	flag, environment, err := v.find(ctx, input.FlagScope)
	if err != nil {
		return nil, err
	}
	rename := names(flag, environment.Name, nil)
	changed, err := server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
		Apply: func(flag *v1alpha1.FeatureFlag) error {
			if err := input.Body.check(flag, environment, v.clock.Now()); err != nil {
				return err
			}
			order, err := input.Body.apply(flag, environment.Name)
			rename = names(flag, environment.Name, order)
			return err
		},
		Part:    func(flag *v1alpha1.FeatureFlag) any { return input.Body.part(flag, environment.Name) },
		Rename:  func(path string) string { return input.Body.single(rename(path)) },
		IfMatch: input.IfMatch,
	})
	if err != nil {
		return nil, err
	}
	return v.output(changed, environment), nil
}

type archiveInput struct {
	FlagScope
	IfMatch string `header:"If-Match" doc:"The ETag of the state that the change is for."`
}

func (v *view) archive(ctx context.Context, input *archiveInput) (*struct{}, error) {
	flag, environment, err := v.find(ctx, input.FlagScope)
	if err != nil {
		return nil, err
	}
	_, err = server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
		Apply: func(flag *v1alpha1.FeatureFlag) error {
			flag.Spec.Archived = true
			return nil
		},
		Part:    func(flag *v1alpha1.FeatureFlag) any { return flag.Spec.Archived },
		Rename:  names(flag, environment.Name, nil),
		IfMatch: input.IfMatch,
	})
	return nil, err
}

type toggleInput struct {
	FlagScope
	IfMatch string `header:"If-Match" doc:"The ETag of the state that the change is for."`
	Body    struct {
		Enabled       bool `json:"enabled" doc:"Whether the flag is on in the environment."`
		ClearSchedule bool `json:"clear_schedule,omitempty" doc:"Removes the environment's schedule of the flag, which otherwise decides."`
	}
}

// Toggled is what switching a flag answers.
type Toggled struct {
	ID        string    `json:"id"`
	Enabled   bool      `json:"enabled"`
	UpdatedAt time.Time `json:"updated_at"`
}

type toggleOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Data Toggled `json:"data"`
	}
}

func (v *view) toggle(ctx context.Context, input *toggleInput) (*toggleOutput, error) {
	flag, environment, err := v.find(ctx, input.FlagScope)
	if err != nil {
		return nil, err
	}
	flag, err = v.switchFlag(ctx, flag, environment.Name, input)
	if err != nil {
		return nil, err
	}
	shown := &toggleOutput{ETag: server.ETag(flag)}
	shown.Body.Data = Toggled{
		ID:        string(flag.UID),
		Enabled:   server.EnabledAt(flag, environment.Name, v.clock.Now()),
		UpdatedAt: server.UpdatedAt(flag).UTC(),
	}
	return shown, nil
}

// switchFlag switches a flag on or off. One that its schedule keeps off is not switched on without a word.
func (v *view) switchFlag(
	ctx context.Context, flag *v1alpha1.FeatureFlag, environment string, input *toggleInput,
) (*v1alpha1.FeatureFlag, error) {
	rename := names(flag, environment, nil)
	if input.Body.Enabled {
		if err := server.CheckRestored(flag, "enabled", restoreHint); err != nil {
			return nil, err
		}
	}
	if input.Body.ClearSchedule {
		return server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
			Apply: func(flag *v1alpha1.FeatureFlag) error {
				clearSchedule(flag, environment, input.Body.Enabled)
				return nil
			},
			Part: func(flag *v1alpha1.FeatureFlag) any {
				if config := flag.In(environment); config != nil {
					return []any{config.Schedule, flag.EnabledIn(environment)}
				}
				return nil
			},
			Rename:  rename,
			IfMatch: input.IfMatch,
		})
	}
	if why := server.OffBySchedule(flag, environment, v.clock.Now()); input.Body.Enabled && why != "" {
		return nil, server.InvalidField(
			"enabled",
			`the flag stays off, because %s; send "clear_schedule": true with "enabled": true to enable it now`,
			why,
		)
	}
	return server.Toggle(ctx, v.cluster, flag, server.Switch{
		Environment: environment, Enabled: input.Body.Enabled, Rename: rename, IfMatch: input.IfMatch,
		IsOff: func(flag *v1alpha1.FeatureFlag) bool { return staysOff(flag, environment, v.clock.Now()) },
	})
}

// staysOff reports whether a flag is off in an environment, is shown so, and is not ahead of its schedule.
func staysOff(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	_, isAhead := server.ScheduledAt(flag, environment, now)
	return server.OffAnyway(flag, environment) || !isAhead && server.OffBySchedule(flag, environment, now) != ""
}

// restoreHint says how an archived flag is restored.
const restoreHint = `PUT {"archived": false} first`

// clearSchedule takes the schedule of a flag away, and switches the flag on or off. Off without a schedule it stays as
// it is.
func clearSchedule(flag *v1alpha1.FeatureFlag, environment string, enabled bool) {
	hadSchedule := false
	if config := flag.In(environment); config != nil {
		hadSchedule = config.Schedule != nil
		config.Schedule = nil
	}
	if enabled || hadSchedule || !server.OffAnyway(flag, environment) {
		server.SetEnabled(flag, environment, enabled)
	}
}
