// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"cmp"
	"context"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

type getAudienceInput struct {
	ProjectPath
	AudienceID string `path:"audienceId" doc:"The id or key of the audience."`
}

type createEventInput struct {
	ProjectPath
	Body struct {
		Name        string `json:"name" minLength:"1"`
		Key         string `json:"key" minLength:"1" doc:"What code tracks."`
		Description string `json:"description,omitempty"`
		Type        string `json:"type" enum:"CONVERSION,NUMERIC" doc:"CONVERSION counts users that did it, NUMERIC takes the mean of a value."`
	}
}

type createAudienceInput struct {
	ProjectPath
	Body struct {
		Name     string   `json:"name" minLength:"1"`
		Key      string   `json:"key,omitempty" doc:"The name of the FlagAudience. Default: made from the name."`
		Members  []string `json:"members,omitempty" doc:"Targeting keys of at most 256 bytes, at most 20000."`
		MatchAny []Group  `json:"matchAny,omitempty" doc:"Whoever fits any of these groups is in the audience."`
	}
}

// registerCatalogue adds what rules refer to: events and audiences.
func (v *view) registerCatalogue(api *server.View) {
	server.Register(api, operation("list-events", http.MethodGet, projectPath+"/flag-events", "List events"), v.listEvents)
	server.Register(api, creation("create-event", projectPath+"/flag-events", "Create an event"), v.createEvent)
	server.Register(
		api,
		operation("list-audiences", http.MethodGet, projectPath+"/audiences", "List audiences"),
		v.listAudiences,
	)
	server.Register(api, creation("create-audience", projectPath+"/audiences", "Create an audience"), v.createAudience)
	server.Register(
		api,
		operation("get-audience", http.MethodGet, projectPath+"/audiences/{audienceId}", "Get an audience"),
		v.getAudience,
	)
}

func (v *view) listEvents(ctx context.Context, input *listInput) (*answer[[]Event], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	events, err := v.cluster.Events(ctx, project)
	if err != nil {
		return nil, err
	}
	shown := make([]Event, 0, len(events))
	for _, event := range events {
		shown = append(shown, showEvent(event))
	}
	return &answer[[]Event]{Body: Data[[]Event]{shown}}, nil
}

func (v *view) createEvent(ctx context.Context, input *createEventInput) (*answer[Event], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	body := &input.Body
	event := &v1alpha1.FlagEvent{
		ObjectMeta: metav1.ObjectMeta{Name: v.freeName(ctx, project, body.Key, "event", &v1alpha1.FlagEvent{})},
		Spec: v1alpha1.FlagEventSpec{
			Key:         body.Key,
			DisplayName: body.Name,
			Description: body.Description,
			Type:        eventTypes.kind(body.Type),
		},
	}
	if err := server.Create(ctx, v.cluster, project, event, rename); err != nil {
		return nil, err
	}
	return &answer[Event]{Body: Data[Event]{showEvent(event)}}, nil
}

func (v *view) listAudiences(ctx context.Context, input *listInput) (*answer[[]AudienceFields], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	audiences, err := v.cluster.Audiences(ctx, project)
	if err != nil {
		return nil, err
	}
	shown := make([]AudienceFields, 0, len(audiences))
	for _, audience := range audiences {
		shown = append(shown, showAudienceFields(audience))
	}
	return &answer[[]AudienceFields]{Body: Data[[]AudienceFields]{shown}}, nil
}

func (v *view) getAudience(ctx context.Context, input *getAudienceInput) (*tagged[Audience], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	audience, err := v.cluster.Audience(ctx, project, input.AudienceID)
	if err != nil {
		return nil, err
	}
	return &tagged[Audience]{ETag: server.ETag(audience), Body: Data[Audience]{showAudience(audience)}}, nil
}

func (v *view) createAudience(ctx context.Context, input *createAudienceInput) (*tagged[Audience], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	body := &input.Body
	audience := &v1alpha1.FlagAudience{
		ObjectMeta: metav1.ObjectMeta{
			Name: cmp.Or(body.Key, v.freeName(ctx, project, body.Name, "audience", &v1alpha1.FlagAudience{})),
		},
		Spec: v1alpha1.FlagAudienceSpec{DisplayName: body.Name, Members: body.Members},
	}
	for _, group := range body.MatchAny {
		audience.Spec.MatchAny = append(
			audience.Spec.MatchAny,
			v1alpha1.ConditionGroup{Conditions: readConditions(group.Conditions)},
		)
	}
	if err := server.Create(ctx, v.cluster, project, audience, rename); err != nil {
		return nil, err
	}
	return &tagged[Audience]{ETag: server.ETag(audience), Body: Data[Audience]{showAudience(audience)}}, nil
}
