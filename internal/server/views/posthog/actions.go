// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

func (v *view) registerActions(shell *server.View) {
	server.Register(
		shell,
		lookup.Operation(
			"enrich-usage-dashboard",
			http.MethodPost,
			lookup.FlagsPath+"/{id}/enrich_usage_dashboard",
			"Write a dashboard of a flag's evaluations",
		),
		v.enrich,
	)
	server.Register(
		shell,
		lookup.Operation(
			"has-active-dependents",
			http.MethodPost,
			lookup.FlagsPath+"/{id}/has_active_dependents",
			"Whether flags that are on depend on this one",
		),
		v.hasDependents,
	)
	server.Register(
		shell,
		lookup.Operation(
			"dependent-flags",
			http.MethodGet,
			lookup.FlagsPath+"/{id}/dependent_flags",
			"The flags that are on and depend on this one",
		),
		v.dependents,
	)
	statusOperation := lookup.Operation(
		"status",
		http.MethodGet,
		lookup.FlagsPath+"/{id}/status",
		"Where a flag is in its life",
	)
	statusOperation.Responses = map[string]*huma.Response{strconv.Itoa(http.StatusNotFound): {
		Description: "There is no such flag, of which the status is unknown; or no such project.",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
		},
	}}
	server.Register(
		shell,
		statusOperation,
		v.status,
	)
	bulkKeys := lookup.Operation("bulk-keys", http.MethodPost, lookup.FlagsPath+"/bulk_keys", "The keys of flags by id")
	bulkKeys.Responses = map[string]*huma.Response{strconv.Itoa(http.StatusBadRequest): {
		Description: "None of the ids can be that of a flag, which the field error says; or the request is malformed.",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
		},
	}}
	server.Register(shell, bulkKeys, v.bulkKeys)
	server.Register(
		shell,
		lookup.Operation(
			"user-blast-radius",
			http.MethodPost,
			lookup.FlagsPath+"/user_blast_radius",
			"How many people a group is",
		),
		v.blastRadius,
	)
	server.Register(
		shell,
		lookup.Operation("activity", http.MethodGet, lookup.FlagsPath+"/activity", "The changes of all flags"),
		v.activity,
	)
	server.Register(
		shell,
		lookup.Operation("flag-activity", http.MethodGet, lookup.FlagsPath+"/{id}/activity", "The changes of a flag"),
		v.flagActivity,
	)
	server.Register(
		shell,
		lookup.Operation("my-flags", http.MethodGet, lookup.FlagsPath+"/my_flags", "What each flag is for the caller"),
		v.myFlags,
	)
}

// Unused are the fields of a flag, which the reference lists as the body of actions too. They are not used there, and
// so may be anything.
type Unused struct {
	Name                       any `json:"name,omitempty"`
	Key                        any `json:"key,omitempty"`
	Filters                    any `json:"filters,omitempty"`
	Deleted                    any `json:"deleted,omitempty"`
	Active                     any `json:"active,omitempty"`
	CreatedAt                  any `json:"created_at,omitempty"`
	Version                    any `json:"version,omitempty"`
	EnsureExperienceContinuity any `json:"ensure_experience_continuity,omitempty"`
	RollbackConditions         any `json:"rollback_conditions,omitempty"`
	PerformedRollback          any `json:"performed_rollback,omitempty"`
	Tags                       any `json:"tags,omitempty"`
	EvaluationTags             any `json:"evaluation_tags,omitempty"`
	AnalyticsDashboards        any `json:"analytics_dashboards,omitempty"`
	HasEnrichedAnalytics       any `json:"has_enriched_analytics,omitempty"`
	CreationContext            any `json:"creation_context,omitempty"`
	IsRemoteConfiguration      any `json:"is_remote_configuration,omitempty"`
	HasEncryptedPayloads       any `json:"has_encrypted_payloads,omitempty"`
	EvaluationRuntime          any `json:"evaluation_runtime,omitempty"`
	BucketingIdentifier        any `json:"bucketing_identifier,omitempty"`
	LastCalledAt               any `json:"last_called_at,omitempty"`
	CreateInFolder             any `json:"_create_in_folder,omitempty"`
	ShouldCreateUsageDashboard any `json:"_should_create_usage_dashboard,omitempty"`
}

// actionInput is the body of actions that take none.
type actionInput struct {
	lookup.FlagScope
	Body *Unused `required:"false"`
}

type enrichOutput struct {
	Status int
	Body   struct {
		Success bool   `json:"success"`
		Error   string `json:"error,omitempty"`
	}
}

func (v *view) enrich(ctx context.Context, input *actionInput) (*enrichOutput, error) {
	project, err := v.Project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.Flag(ctx, project, input.ID)
	if err != nil {
		return nil, err
	}
	output := &enrichOutput{Status: http.StatusOK}
	if err := v.writeDashboard(ctx, flag); err != nil {
		refused, is := lookup.AsRefusal(err)
		if !is || refused.Status != http.StatusBadRequest {
			return nil, err
		}
		output.Status, output.Body.Error = refused.Status, refused.Message
		return output, nil
	}
	output.Body.Success = true
	return output, nil
}

// Dependent is a flag that depends on another.
type Dependent struct {
	ID   int64  `json:"id"`
	Key  string `json:"key"`
	Name string `json:"name"`
}

type hasDependentsOutput struct {
	Body struct {
		HasActiveDependents bool        `json:"has_active_dependents"`
		DependentFlags      []Dependent `json:"dependent_flags" nullable:"false"`
	}
}

func (v *view) hasDependents(ctx context.Context, input *actionInput) (*hasDependentsOutput, error) {
	found, err := v.dependents(ctx, &input.FlagScope)
	if err != nil {
		return nil, err
	}
	output := &hasDependentsOutput{}
	output.Body.HasActiveDependents, output.Body.DependentFlags = len(found.Body) > 0, found.Body
	return output, nil
}

type dependentsOutput struct {
	Body []Dependent `nullable:"false"`
}

// dependents are the flags that require this one in an environment in which they are on.
func (v *view) dependents(ctx context.Context, input *lookup.FlagScope) (*dependentsOutput, error) {
	project, err := v.Project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.Flag(ctx, project, input.ID)
	if err != nil {
		return nil, err
	}
	all, err := v.Cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	output := &dependentsOutput{Body: []Dependent{}}
	for _, other := range all {
		if !other.Spec.Archived && requires(other, flag.Key()) {
			output.Body = append(
				output.Body,
				Dependent{ID: lookup.IDOf(other.UID), Key: other.Key(), Name: other.Spec.DisplayName},
			)
		}
	}
	slices.SortFunc(output.Body, func(a, b Dependent) int { return cmp.Compare(a.Key, b.Key) })
	return output, nil
}

func requires(flag *v1alpha1.FeatureFlag, key string) bool {
	return slices.ContainsFunc(flag.Spec.Environments, func(config v1alpha1.EnvironmentConfig) bool {
		return flag.EnabledIn(config.Name) &&
			slices.ContainsFunc(
				config.Prerequisites,
				func(prerequisite v1alpha1.Prerequisite) bool { return prerequisite.Flag == key },
			)
	})
}

type statusOutput struct {
	Status int
	Body   struct {
		Status string `json:"status" enum:"active,stale,deleted,unknown"`
		Reason string `json:"reason"`
	}
}

// status says where a flag is in its life. Of a flag that is not there it says so, with status 404.
func (v *view) status(ctx context.Context, input *lookup.FlagScope) (*statusOutput, error) {
	output := &statusOutput{Status: http.StatusOK}
	project, err := v.Project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.Flag(ctx, project, input.ID)
	if refused, is := lookup.AsRefusal(err); is && refused.Status == http.StatusNotFound && project.UID != "" {
		output.Status = http.StatusNotFound
		output.Body.Status, output.Body.Reason = "unknown", "Flag could not be found"
		return output, nil
	}
	if err != nil {
		return nil, err
	}
	at, err := v.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	output.Body.Status, output.Body.Reason = statusOf(flag, at.Environment.Name, v.lastCalled(at, flag), v.clock.Now())
	return output, nil
}

// lastCalled is when a flag was last evaluated in the environment, and nil where that is not known.
func (v *view) lastCalled(at *lookup.Place, flag *v1alpha1.FeatureFlag) *time.Time {
	if at.Served == nil {
		return nil
	}
	last, known := v.telemetry.LastEvaluated(at.Served, flag.Key())
	if !known {
		return nil
	}
	return &last
}

type bulkKeysInput struct {
	lookup.Scope
	Body struct {
		Unused

		IDs []any `json:"ids,omitempty" nullable:"true" maxItems:"1000" doc:"Ids of flags, as numbers or text."`
	}
}

type bulkKeysOutput struct {
	Status int
	Body   struct {
		Keys    map[string]string `json:"keys,omitzero"`
		Warning string            `json:"warning,omitempty"`
		Error   string            `json:"error,omitempty"`
	}
}

// bulkKeys gives the keys of those ids that flags have, and says which have none.
func (v *view) bulkKeys(ctx context.Context, input *bulkKeysInput) (*bulkKeysOutput, error) {
	project, err := v.Project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	all, err := v.Cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, flag := range all {
		if !flag.Spec.Archived {
			keys[strconv.FormatInt(lookup.IDOf(flag.UID), 10)] = flag.Key()
		}
	}
	output := &bulkKeysOutput{Status: http.StatusOK}
	output.Body.Keys = map[string]string{}
	var invalid []string
	valid := 0
	for _, id := range input.Body.IDs {
		text, isScalar := filters.Scalar(id)
		if _, err := strconv.ParseInt(text, 10, 64); err != nil || !isScalar {
			invalid = append(invalid, filters.Canonical(id))
			continue
		}
		valid++
		if key, found := keys[text]; found {
			output.Body.Keys[text] = key
		}
	}
	switch {
	case valid == 0 && len(invalid) > 0:
		output.Status, output.Body.Keys, output.Body.Error = http.StatusBadRequest, nil, "Invalid flag IDs provided"
	case len(invalid) > 0:
		output.Body.Warning = "Invalid flag IDs ignored: " + strings.Join(invalid, ", ")
	}
	return output, nil
}
