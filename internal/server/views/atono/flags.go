// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package atono

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// field is what every mistake in a change is about.
const field = "data.attributes.configuration"

// Scope is the project that a request speaks of.
type Scope struct {
	Project string `header:"X-Jackstaff-Project" doc:"The project. Default: the namespace of the calling service account, else that of the server."`
}

// FlagScope is the flag that a request speaks of.
type FlagScope struct {
	Scope
	ID string `path:"id" doc:"The flag: a UID, key or name."`
}

// SliceScope is the environment of a flag that a request speaks of.
type SliceScope struct {
	FlagScope
	Environment string `path:"environment" doc:"The environment: a name or UID, or the id of the flag_environment."`
}

type listInput struct {
	Scope
	Include string `query:"include" enum:"slices" doc:"Adds the configuration of each flag in each environment."`
}

type listOutput struct {
	Body struct {
		Data     []*Flag  `json:"data" nullable:"false"`
		Included []*Slice `json:"included,omitzero" nullable:"false"`
	}
}

func (v *view) list(ctx context.Context, input *listInput) (*listOutput, error) {
	project, err := v.cluster.ProjectOf(ctx, input.Project)
	if err != nil {
		return nil, err
	}
	flags, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	environments, err := v.cluster.Environments(ctx, project)
	if err != nil {
		return nil, err
	}
	output := &listOutput{}
	output.Body.Data = []*Flag{}
	if input.Include != "" {
		output.Body.Included = []*Slice{}
	}
	for _, flag := range flags {
		output.Body.Data = append(output.Body.Data, showFlag(flag, environments))
		if input.Include != "" {
			output.Body.Included = append(output.Body.Included, v.slices(flag, environments)...)
		}
	}
	return output, nil
}

// slices are the configurations of a flag in environments.
func (v *view) slices(flag *v1alpha1.FeatureFlag, environments []*v1alpha1.FlagEnvironment) []*Slice {
	shown, now := []*Slice{}, v.clock.Now()
	for _, environment := range environments {
		shown = append(shown, showSlice(flag, environment, now))
	}
	return shown
}

type flagOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Data     *Flag    `json:"data"`
		Included []*Slice `json:"included" nullable:"false"`
	}
}

type getInput struct {
	FlagScope
	Include string `query:"include" enum:"slices" doc:"The configuration in each environment, which the answer always has."`
}

func (v *view) get(ctx context.Context, input *getInput) (*flagOutput, error) {
	flag, environments, err := v.find(ctx, input.FlagScope)
	if err != nil {
		return nil, err
	}
	output := &flagOutput{ETag: server.ETag(flag)}
	output.Body.Data, output.Body.Included = showFlag(flag, environments), v.slices(flag, environments)
	return output, nil
}

type slicesOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Data []*Slice `json:"data" nullable:"false"`
	}
}

func (v *view) environments(ctx context.Context, input *FlagScope) (*slicesOutput, error) {
	flag, environments, err := v.find(ctx, *input)
	if err != nil {
		return nil, err
	}
	output := &slicesOutput{ETag: server.ETag(flag)}
	output.Body.Data = v.slices(flag, environments)
	return output, nil
}

type sliceOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Data *Slice `json:"data"`
	}
}

func (v *view) output(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment) *sliceOutput {
	output := &sliceOutput{ETag: server.ETag(flag)}
	output.Body.Data = showSlice(flag, environment, v.clock.Now())
	return output
}

func (v *view) environment(ctx context.Context, input *SliceScope) (*sliceOutput, error) {
	flag, environment, err := v.findSlice(ctx, *input)
	if err != nil {
		return nil, err
	}
	return v.output(flag, environment), nil
}

type configureInput struct {
	SliceScope
	ContentType string `header:"Content-Type" hidden:"true"`
	IfMatch     string `header:"If-Match" doc:"The ETag of the state that the change is for."`
	Replace     bool   `query:"replace" doc:"Lets on remove the rules, overrides, prerequisites and schedule of the environment."`
	Body        SliceUpdate
}

func (v *view) configure(ctx context.Context, input *configureInput) (*sliceOutput, error) {
	if err := checkMediaType(input.ContentType); err != nil {
		return nil, err
	}
	flag, environment, err := v.findSlice(ctx, input.SliceScope)
	if err != nil {
		return nil, err
	}
	// JSON:API asks for a conflict where the body is of another resource than the path.
	if given := input.Body.Data; given.Type != sliceType {
		return nil, conflict("data.type", "it is "+sliceType)
	} else if id := sliceID(flag, environment); given.ID != "" && given.ID != id {
		return nil, conflict("data.id", "that of the path is "+id)
	}
	readOnly := input.Body.Data.SliceReadOnly
	readOnly.Links = nil
	if err := server.CheckReadOnly(readOnly, showSlice(flag, environment, v.clock.Now()), nil); err != nil {
		return nil, inData(err)
	}
	if flag, err = v.change(ctx, flag, environment.Name, input); err != nil {
		return nil, err
	}
	return v.output(flag, environment), nil
}

// change switches a flag on or off in an environment.
func (v *view) change(
	ctx context.Context,
	flag *v1alpha1.FeatureFlag,
	environment string,
	input *configureInput,
) (*v1alpha1.FeatureFlag, error) {
	rename := func(string) string { return field }
	to := server.Switch{
		Environment: environment, Enabled: true, Rename: rename, IfMatch: input.IfMatch,
		IsOff: func(flag *v1alpha1.FeatureFlag) bool {
			now := v.clock.Now()
			return staysOff(flag, environment, now) || input.Body.isSentBack() && isShownOff(flag, environment, now)
		},
	}
	switch input.Body.Data.Attributes.Configuration {
	case mixed:
		// It is so already, and whoever may not change it may not say so either.
		return server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
			Apply: func(flag *v1alpha1.FeatureFlag) error {
				if configuration(flag, environment, v.clock.Now()) != mixed {
					return server.InvalidField(field, "MIXED is what rules make; set on or off")
				}
				return nil
			},
			Part:   func(flag *v1alpha1.FeatureFlag) any { return flag.In(environment) },
			Rename: rename, IfMatch: input.IfMatch,
		})
	case off:
		to.Enabled = false
		return server.Toggle(ctx, v.cluster, flag, to)
	}
	if err := server.CheckRestored(flag, field, "set spec.archived of the FeatureFlag to false first"); err != nil {
		return nil, err
	}
	if isOnOnceEnabled(flag, environment, v.clock.Now()) {
		return server.Toggle(ctx, v.cluster, flag, to)
	}
	return server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
		Apply:  func(flag *v1alpha1.FeatureFlag) error { return turnOn(flag, environment, input.Replace) },
		Part:   func(flag *v1alpha1.FeatureFlag) any { return flag.In(environment) },
		Rename: rename, IfMatch: input.IfMatch,
	})
}

// inData puts the fields of an error into the member data.
func inData(err error) error {
	if refused := (*server.Error)(nil); errors.As(err, &refused) {
		for i := range refused.Fields {
			refused.Fields[i].Field = "data." + refused.Fields[i].Field
		}
	}
	return err
}

func conflict(field, message string) error {
	return &server.Error{
		Status:  http.StatusConflict,
		Message: "the body is of another resource than the path",
		Fields:  []server.FieldError{{Field: field, Message: message}},
	}
}

// find finds a flag and the environments of its project.
func (v *view) find(ctx context.Context, scope FlagScope) (*v1alpha1.FeatureFlag, []*v1alpha1.FlagEnvironment, error) {
	project, err := v.cluster.ProjectOf(ctx, scope.Project)
	if err != nil {
		return nil, nil, err
	}
	flag, err := v.cluster.Flag(ctx, project, scope.ID)
	if err != nil {
		return nil, nil, err
	}
	environments, err := v.cluster.EnvironmentsOf(ctx, project, flag)
	return flag, environments, err
}

// findSlice finds a flag and one environment.
func (v *view) findSlice(
	ctx context.Context,
	scope SliceScope,
) (*v1alpha1.FeatureFlag, *v1alpha1.FlagEnvironment, error) {
	flag, environments, err := v.find(ctx, scope.FlagScope)
	if err != nil {
		return nil, nil, err
	}
	for _, environment := range environments {
		if id := scope.Environment; id == environment.Name || id == string(environment.UID) ||
			id == sliceID(flag, environment) {
			return flag, environment, nil
		}
	}
	// Who may not list environments may still read one by its name.
	project, err := v.cluster.ProjectOf(ctx, scope.Project)
	if err != nil {
		return nil, nil, err
	}
	environment, err := v.cluster.Environment(ctx, project, scope.Environment)
	return flag, environment, err
}
