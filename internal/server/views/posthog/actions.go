// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

func (v *view) registerActions(shell *server.View) {
	server.Register(
		shell,
		operation(
			"enrich-usage-dashboard",
			http.MethodPost,
			flagsPath+"/{id}/enrich_usage_dashboard",
			"Write a dashboard of a flag's evaluations",
		),
		v.enrich,
	)
	server.Register(
		shell,
		operation(
			"has-active-dependents",
			http.MethodPost,
			flagsPath+"/{id}/has_active_dependents",
			"Whether flags that are on depend on this one",
		),
		v.hasDependents,
	)
	server.Register(
		shell,
		operation(
			"dependent-flags",
			http.MethodGet,
			flagsPath+"/{id}/dependent_flags",
			"The flags that are on and depend on this one",
		),
		v.dependents,
	)
	statusOperation := operation("status", http.MethodGet, flagsPath+"/{id}/status", "Where a flag is in its life")
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
	bulkKeys := operation("bulk-keys", http.MethodPost, flagsPath+"/bulk_keys", "The keys of flags by id")
	bulkKeys.Responses = map[string]*huma.Response{strconv.Itoa(http.StatusBadRequest): {
		Description: "None of the ids can be that of a flag, which the field error says; or the request is malformed.",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
		},
	}}
	server.Register(shell, bulkKeys, v.bulkKeys)
	server.Register(
		shell,
		operation("user-blast-radius", http.MethodPost, flagsPath+"/user_blast_radius", "How many people a group is"),
		v.blastRadius,
	)
	server.Register(
		shell,
		operation("activity", http.MethodGet, flagsPath+"/activity", "The changes of all flags"),
		v.activity,
	)
	server.Register(
		shell,
		operation("flag-activity", http.MethodGet, flagsPath+"/{id}/activity", "The changes of a flag"),
		v.flagActivity,
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
	FlagScope
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
	project, err := v.project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.flag(ctx, project, input.ID)
	if err != nil {
		return nil, err
	}
	output := &enrichOutput{Status: http.StatusOK}
	if err := v.writeDashboard(ctx, flag); err != nil {
		refused, is := asRefusal(err)
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
func (v *view) dependents(ctx context.Context, input *FlagScope) (*dependentsOutput, error) {
	project, err := v.project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.flag(ctx, project, input.ID)
	if err != nil {
		return nil, err
	}
	all, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	output := &dependentsOutput{Body: []Dependent{}}
	for _, other := range all {
		if !other.Spec.Archived && requires(other, flag.Key()) {
			output.Body = append(output.Body, Dependent{ID: idOf(other.UID), Key: other.Key(), Name: other.Spec.DisplayName})
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
func (v *view) status(ctx context.Context, input *FlagScope) (*statusOutput, error) {
	output := &statusOutput{Status: http.StatusOK}
	project, err := v.project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.flag(ctx, project, input.ID)
	if refused, is := asRefusal(err); is && refused.Status == http.StatusNotFound && project.UID != "" {
		output.Status = http.StatusNotFound
		output.Body.Status, output.Body.Reason = "unknown", "Flag could not be found"
		return output, nil
	}
	if err != nil {
		return nil, err
	}
	at, err := v.place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	output.Body.Status, output.Body.Reason = statusOf(flag, at.environment.Name, v.lastCalled(at, flag), v.clock.Now())
	return output, nil
}

// lastCalled is when a flag was last evaluated in the environment, and nil where that is not known.
func (v *view) lastCalled(at *place, flag *v1alpha1.FeatureFlag) *time.Time {
	if at.served == nil {
		return nil
	}
	last, known := v.telemetry.LastEvaluated(at.served, flag.Key())
	if !known {
		return nil
	}
	return &last
}

type bulkKeysInput struct {
	Scope
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
	project, err := v.project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	all, err := v.cluster.Flags(ctx, project)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, flag := range all {
		if !flag.Spec.Archived {
			keys[strconv.FormatInt(idOf(flag.UID), 10)] = flag.Key()
		}
	}
	output := &bulkKeysOutput{Status: http.StatusOK}
	output.Body.Keys = map[string]string{}
	var invalid []string
	valid := 0
	for _, id := range input.Body.IDs {
		text, isScalar := scalar(id)
		if _, err := strconv.ParseInt(text, 10, 64); err != nil || !isScalar {
			invalid = append(invalid, canonical(id))
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

type blastRadiusInput struct {
	Scope
	Body struct {
		Unused

		Condition      server.Optional[Group] `json:"condition" doc:"The group. Its share and variant do not matter. Null is everybody."`
		GroupTypeIndex *int                   `json:"group_type_index,omitempty" nullable:"true" doc:"Only null is possible."`
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
	at, err := v.place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	if input.Body.GroupTypeIndex != nil {
		return nil, server.InvalidField("group_type_index", "flags are released to people, not to groups of them")
	}
	output := &blastRadiusOutput{}
	flag, mistakes := v.ruleOf(ctx, at, &input.Body.Condition.Value)
	if len(mistakes) > 0 {
		return nil, server.Invalid(mistakes...)
	}
	if at.served == nil {
		return output, nil
	}
	contexts, subjects := v.telemetry.Sample(at.served)
	document, err := v.published.document(at.served)
	if err != nil {
		return nil, err
	}
	engine, err := evaluate.New(
		&datafile.Document{Flags: map[string]*datafile.Flag{blastKey: flag}, Audiences: document.Audiences},
	)
	if err != nil {
		return nil, server.InvalidField("condition", "%v", err)
	}
	affected := 0
	for _, context := range contexts {
		if result := engine.Evaluate(
			blastKey,
			context,
			v.clock.Now(),
		); result.Variation != nil &&
			result.Variation.Value == true {
			affected++
		}
	}
	output.Body.TotalUsers = subjects
	if len(contexts) > 0 {
		output.Body.UsersAffected = int(math.Round(float64(affected) * float64(subjects) / float64(len(contexts))))
	}
	return output, nil
}

// blastKey is the key of the flag that a group is tested by.
const blastKey = "group"

// ruleOf is a flag that is true for the people of a group.
func (v *view) ruleOf(ctx context.Context, at *place, group *Group) (*datafile.Flag, []server.FieldError) {
	flag := &v1alpha1.FeatureFlag{}
	flag.Name, flag.Spec.Key = blastKey, blastKey
	newFlag(flag, nil)
	everybody := *group
	everybody.RolloutPercentage, everybody.Variant, everybody.SortKey = nil, nil, ""
	config := server.Part(flag, at.environment.Name)
	config.Enabled = true
	w := &writer{
		references: *v.change(ctx, at, nil, false).references,
		flag:       flag,
		config:     config,
		shown:      &description{},
		filters:    &Filters{Groups: []Group{everybody}},
	}
	w.write()
	form := asOn(flag, at.environment.Name)
	if form == nil && len(w.mistakes) == 0 {
		w.refuse("condition.properties", "a value is not of the form that its operator takes")
	}
	for i := range w.mistakes {
		w.mistakes[i].Field = strings.Replace(w.mistakes[i].Field, "filters.groups[0]", "condition", 1)
	}
	return form, w.mistakes
}

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
	Scope
	Page
}

type flagActivityInput struct {
	FlagScope
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
	project, err := v.project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := v.cluster.Flags(ctx, project)
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
	project, err := v.project(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flag, err := v.flag(ctx, project, input.ID)
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
func (v *view) page(ctx context.Context, scope *Scope, changes []changed, page *Page) *activityOutput {
	environment := ""
	if at, err := v.place(ctx, scope); err == nil {
		environment = at.environment.Name
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
