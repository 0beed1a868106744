// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package avsb is the REST view whose paths begin with /api/orgs/, and the heartbeat that SDKs send. docs/rest/avsb.md
// says how it maps to the Kinds.
package avsb

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

const (
	projectPath     = "/api/orgs/{orgId}/projects/{projectId}"
	flagPath        = projectPath + "/flags/{flagId}"
	environmentPath = flagPath + "/envs/{envId}"
	rulePath        = environmentPath + "/rules/{ruleId}"
)

// Failure is the envelope of errors.
type Failure struct {
	Error string `json:"error" doc:"What is wrong, with the fields that are."`
}

// Data is the envelope of answers.
type Data[T any] struct {
	Data T `json:"data"`
}

// answer is an answer without an ETag.
type answer[T any] struct {
	Body Data[T]
}

// tagged is an answer with the ETag of what it speaks of.
type tagged[T any] struct {
	ETag string `header:"ETag" doc:"What If-Match takes."`
	Body Data[T]
}

// view is what the operations work on.
type view struct {
	cluster    *server.Cluster
	store      *store.Store
	heartbeats *heartbeat.Gatherer
	clock      clock.PassiveClock
}

// New makes the view.
func New(deps server.Deps) *server.View {
	v := &view{
		cluster: deps.Server.Cluster, store: deps.Datafiles, heartbeats: deps.Heartbeats, clock: deps.Clock,
	}
	api := server.NewView(
		deps.Server,
		"avsb",
		"Flags, variations, rules and environments in the envelope {data} or {error}.",
		"application/json",
		func(e *server.Error) Failure { return Failure{Error: e.Text()} },
	)
	v.registerFlags(api)
	v.registerConfigs(api)
	v.registerRules(api)
	v.registerEnvironments(api)
	v.registerCatalogue(api)
	v.registerHeartbeat(api)
	api.Words = words()
	api.Serve("/api/orgs/")
	api.ServeWith(anyOrigin(api), heartbeatPath)
	return api
}

// operation describes an operation.
func operation(id, method, path, summary string) huma.Operation {
	described := huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary}
	if method == http.MethodDelete {
		described.DefaultStatus = http.StatusNoContent
	}
	return described
}

// creation describes an operation that answers 201.
func creation(id, path, summary string) huma.Operation {
	described := operation(id, http.MethodPost, path, summary)
	described.DefaultStatus = http.StatusCreated
	return described
}

// ProjectPath names a project.
type ProjectPath struct {
	OrgID     string `path:"orgId" doc:"The organization: the label flags.jackstaff.dev/organization of the namespace, or default."`
	ProjectID string `path:"projectId" doc:"The name or UID of the namespace."`
}

// FlagPath names a flag.
type FlagPath struct {
	ProjectPath
	FlagID string `path:"flagId" doc:"The id, key or name of the flag."`
}

// EnvironmentPath names an environment of a flag.
type EnvironmentPath struct {
	FlagPath
	EnvID string `path:"envId" doc:"The id or key of the environment."`
}

// RulePath names a rule of a flag in an environment.
type RulePath struct {
	EnvironmentPath
	RuleID string `path:"ruleId" doc:"The id or name of the rule."`
}

// Precondition makes a write hold only for what the caller has read.
type Precondition struct {
	IfMatch string `header:"If-Match" doc:"The ETag of what was read; where it has changed, the answer is 412."`
}

// project finds the project of a path. One of another organization is none.
func (v *view) project(ctx context.Context, path *ProjectPath) (*server.Project, error) {
	project, err := v.cluster.Project(ctx, path.ProjectID)
	if err != nil || project.UID == "" || project.Organization == path.OrgID {
		return project, err
	}
	absent := *project
	absent.UID = ""
	return &absent, nil
}

// flag finds the flag of a path.
func (v *view) flag(ctx context.Context, path *FlagPath) (*server.Project, *v1alpha1.FeatureFlag, error) {
	project, err := v.project(ctx, &path.ProjectPath)
	if err != nil {
		return nil, nil, err
	}
	flag, err := v.cluster.Flag(ctx, project, path.FlagID)
	return project, flag, err
}

// target is a flag in an environment.
type target struct {
	project     *server.Project
	flag        *v1alpha1.FeatureFlag
	environment *v1alpha1.FlagEnvironment
}

// target finds the flag and the environment of a path.
func (v *view) target(ctx context.Context, path *EnvironmentPath) (*target, error) {
	project, flag, err := v.flag(ctx, &path.FlagPath)
	if err != nil {
		return nil, err
	}
	environment, err := v.cluster.Environment(ctx, project, path.EnvID)
	if err != nil {
		return nil, err
	}
	return &target{project, flag, environment}, nil
}

// surroundings are what a flag is shown with.
type surroundings struct {
	environments []*v1alpha1.FlagEnvironment
	// audiences are those that rules name and the caller may read, by name.
	audiences map[string]*v1alpha1.FlagAudience
}

// surroundings reads what a flag is shown with.
func (v *view) surroundings(
	ctx context.Context,
	project *server.Project,
	flag *v1alpha1.FeatureFlag,
) (*surroundings, error) {
	environments, err := v.cluster.EnvironmentsOf(ctx, project, flag)
	if err != nil {
		return nil, err
	}
	around := &surroundings{environments: environments}
	if around.audiences, err = v.cluster.AudiencesOf(ctx, project, namedAudiences(flag)); err != nil {
		return nil, err
	}
	return around, nil
}

// namedAudiences are the names of audiences in the rules of a flag, some of them often.
func namedAudiences(flag *v1alpha1.FeatureFlag) []string {
	var names []string
	for i := range flag.Spec.Environments {
		for j := range flag.Spec.Environments[i].Rules {
			names = append(names, flag.Spec.Environments[i].Rules[j].Audiences...)
		}
	}
	return names
}

// edit is a change to one part of a flag.
type edit struct {
	ifMatch string
	// part is what the change replaces, and nil where it replaces nothing.
	part  func(*v1alpha1.FeatureFlag) any
	apply func(*v1alpha1.FeatureFlag) error
}

// change makes a change to a flag as the caller.
func (v *view) change(ctx context.Context, flag *v1alpha1.FeatureFlag, of edit) (*v1alpha1.FeatureFlag, error) {
	if of.part == nil {
		of.part = func(*v1alpha1.FeatureFlag) any { return nil }
	}
	return server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
		Apply: of.apply, Part: of.part, Rename: rename, IfMatch: of.ifMatch,
	})
}
