// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

type blastRadiusInput struct {
	lookup.Scope
	Body struct {
		Unused

		Condition      server.Optional[filters.Group] `json:"condition,omitzero" doc:"The group. Its share and variant do not matter. Null is everybody."`
		Filters        *filters.Filters               `json:"filters,omitempty" doc:"The people of any of its groups, where there is no condition. Shares and variants do not matter."`
		GroupTypeIndex *int                           `json:"group_type_index,omitempty" nullable:"true" doc:"Only null is possible."`
	}
}

type blastRadiusOutput struct {
	Body struct {
		UsersAffected int `json:"users_affected"`
		TotalUsers    int `json:"total_users"`
	}
}

// blastRadius counts over the contexts that were evaluated here lately.
func (v *view) blastRadius(ctx context.Context, input *blastRadiusInput) (*blastRadiusOutput, error) {
	at, err := v.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	if input.Body.GroupTypeIndex != nil {
		return nil, server.InvalidField("group_type_index", "flags are released to people, not to groups of them")
	}
	output := &blastRadiusOutput{}
	path := "filters.groups[0]"
	of := input.Body.Filters
	switch {
	case input.Body.Condition.Sent:
		path, of = condition, &filters.Filters{Groups: []filters.Group{input.Body.Condition.Value}}
	case of == nil:
		return nil, server.InvalidField(
			condition, "is missing; give a group, null for everybody, or the filters of a flag",
		)
	}
	flag, mistakes := v.ruleOf(ctx, at, of, path)
	if len(mistakes) > 0 {
		return nil, server.Invalid(mistakes...)
	}
	if at.Served == nil {
		return output, nil
	}
	contexts, subjects := v.telemetry.Sample(at.Served)
	document, err := v.clients.Published.Document(at.Served)
	if err != nil {
		return nil, err
	}
	engine, err := evaluate.New(
		&datafile.Document{Flags: map[string]*datafile.Flag{blastKey: flag}, Audiences: document.Audiences},
	)
	if err != nil {
		return nil, server.InvalidField(path, "%v", err)
	}
	affected := 0
	spending := v.server.Spend(ctx, at.Served, server.StepsOfAll)
	defer spending.End()
	group, _ := engine.Flag(blastKey)
	for _, context := range contexts {
		result, err := group.EvaluateWithin(context, v.clock.Now(), &spending.Budget)
		if err != nil {
			return nil, server.Refusal(err)
		}
		if result.Variation != nil && result.Variation.Value == true {
			affected++
		}
	}
	output.Body.TotalUsers = subjects
	if len(contexts) > 0 {
		output.Body.UsersAffected = int(math.Round(float64(affected) * float64(subjects) / float64(len(contexts))))
	}
	return output, nil
}

const (
	// blastKey is the key of the flag that a group is tested by.
	blastKey = "group"
	// condition is the field that has the group.
	condition = "condition"
)

// ruleOf is a flag that is true for the people of the groups of filters, of which the first has the path in mistakes.
func (v *view) ruleOf(
	ctx context.Context,
	at *lookup.Place,
	of *filters.Filters,
	path string,
) (*datafile.Flag, []server.FieldError) {
	flag := &v1alpha1.FeatureFlag{}
	flag.Name, flag.Spec.Key = blastKey, blastKey
	filters.NewFlag(flag, nil)
	everybody := *of
	everybody.Groups, everybody.Multivariate, everybody.Payloads = slices.Clone(of.Groups), nil, nil
	for i := range everybody.Groups {
		group := &everybody.Groups[i]
		group.RolloutPercentage, group.Variant, group.SortKey = nil, nil, ""
	}
	config := server.Part(flag, at.Environment.Name)
	config.Enabled = true
	w := &filters.Writer{
		References: *v.change(ctx, at, nil, false).References,
		Flag:       flag,
		Config:     config,
		Shown:      &filters.Description{},
		Filters:    &everybody,
	}
	w.Write()
	form := filters.AsOn(flag, at.Environment.Name)
	if form == nil && len(w.Mistakes) == 0 {
		where := "filters.groups"
		if path == condition {
			where = condition + ".properties"
		}
		w.Refuse(where, "a value is not of the form that its operator takes")
	}
	for i := range w.Mistakes {
		w.Mistakes[i].Field = strings.Replace(w.Mistakes[i].Field, "filters.groups[0]", path, 1)
	}
	return form, w.Mistakes
}
