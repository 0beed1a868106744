// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagmint shows the flags of a project, and makes them from templates.
package flagmint

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// view has what the operations need.
type view struct {
	cluster *server.Cluster
	clock   clock.PassiveClock
}

// New makes the view.
func New(deps server.Deps) *server.View {
	v := &view{cluster: deps.Server.Cluster, clock: deps.Clock}
	shown := server.NewView(
		deps.Server,
		"flagmint",
		"The flags of a project, and templates for new ones.",
		"application/json",
		envelope,
	)
	server.Register(shown, huma.Operation{
		OperationID:   "create-flag",
		Method:        http.MethodPost,
		Path:          "/projects/{projectId}/flags",
		DefaultStatus: http.StatusCreated,
		Summary:       "Create a flag",
		Description:   "In the environment that envId names, else in all of them.",
	}, v.create)
	server.Register(shown, huma.Operation{
		OperationID: "list-flags",
		Method:      http.MethodGet,
		Path:        "/projects/{projectId}/flags",
		Summary:     "List the flags of a project",
	}, v.list)
	server.Register(shown, huma.Operation{
		OperationID: "get-flag", Method: http.MethodGet, Path: "/projects/{projectId}/flags/{flagId}", Summary: "Get a flag",
	}, v.get)
	shown.Serve("/projects/")
	return shown
}

// Envelope is around everything.
type Envelope[T any] struct {
	StatusCode int    `json:"statusCode" doc:"The HTTP status."`
	Message    string `json:"message" doc:"OK, or what is wrong."`
	Data       T      `json:"data"`
}

// Problem is how errors are written.
type Problem struct {
	StatusCode int                 `json:"statusCode" doc:"The HTTP status."`
	Message    string              `json:"message" doc:"What is wrong, and what to do."`
	Data       any                 `json:"data" doc:"Null."`
	Errors     []server.FieldError `json:"errors,omitempty" nullable:"false" doc:"The fields that are wrong."`
}

func envelope(e *server.Error) *Problem {
	return &Problem{StatusCode: e.Status, Message: e.Text(), Errors: e.Fields}
}

// Scope is the project that a request speaks of.
type Scope struct {
	ProjectID string `path:"projectId" doc:"The project: a UID or name."`
}

type flagOutput struct {
	ETag string `header:"ETag"`
	Body Envelope[*Flag]
}

func (v *view) output(
	status int,
	flag *v1alpha1.FeatureFlag,
	project *server.Project,
	environments []*v1alpha1.FlagEnvironment,
) *flagOutput {
	return &flagOutput{
		ETag: server.ETag(
			flag,
		),
		Body: Envelope[*Flag]{StatusCode: status, Message: "OK", Data: show(flag, project, environments, v.clock.Now())},
	}
}

// find finds a project and its environments.
func (v *view) find(ctx context.Context, scope Scope) (*server.Project, []*v1alpha1.FlagEnvironment, error) {
	project, err := v.cluster.Project(ctx, scope.ProjectID)
	if err != nil {
		return nil, nil, err
	}
	environments, err := v.cluster.Environments(ctx, project)
	return project, environments, err
}

type createInput struct {
	Scope
	Body NewFlag
}

func (v *view) create(ctx context.Context, input *createInput) (*flagOutput, error) {
	project, environments, err := v.find(ctx, input.Scope)
	if err != nil {
		return nil, err
	}
	within, err := v.within(ctx, project, environments, input.Body.EnvID)
	if err != nil {
		return nil, err
	}
	flag, err := input.Body.create(within, environments)
	if err != nil {
		return nil, err
	}
	if err := server.CreateFlag(ctx, v.cluster, project, flag, rename); err != nil {
		return nil, err
	}
	return v.output(http.StatusCreated, flag, project, environments), nil
}

// within are the environments in which a flag is created: that of an id, else all.
func (v *view) within(
	ctx context.Context, project *server.Project, environments []*v1alpha1.FlagEnvironment, id string,
) ([]*v1alpha1.FlagEnvironment, error) {
	if id == "" {
		return environments, nil
	}
	environment, err := v.cluster.Environment(ctx, project, id)
	if refused := (*server.Error)(nil); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, server.InvalidField("envId", "%s", refused.Message)
	}
	return []*v1alpha1.FlagEnvironment{environment}, err
}

type listOutput struct {
	Body Envelope[[]*Flag]
}

func (v *view) list(ctx context.Context, input *Scope) (*listOutput, error) {
	project, environments, err := v.find(ctx, *input)
	if err != nil {
		return nil, err
	}
	flags, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	output := &listOutput{Body: Envelope[[]*Flag]{StatusCode: http.StatusOK, Message: "OK", Data: []*Flag{}}}
	for _, flag := range flags {
		output.Body.Data = append(output.Body.Data, show(flag, project, environments, v.clock.Now()))
	}
	return output, nil
}

type getInput struct {
	Scope
	FlagID string `path:"flagId" doc:"The flag: a UID, key or name."`
}

func (v *view) get(ctx context.Context, input *getInput) (*flagOutput, error) {
	project, err := v.cluster.Project(ctx, input.ProjectID)
	if err != nil {
		return nil, err
	}
	flag, err := v.cluster.Flag(ctx, project, input.FlagID)
	if err != nil {
		return nil, err
	}
	environments, err := v.cluster.EnvironmentsOf(ctx, project, flag)
	if err != nil {
		return nil, err
	}
	return v.output(http.StatusOK, flag, project, environments), nil
}
