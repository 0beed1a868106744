// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// maxNamed is how many users of a removed variation a message names.
const maxNamed = 5

// VariationInput is a variation as a request gives it.
type VariationInput struct {
	ID    string `json:"id,omitempty" doc:"The id of a variation that stays; with another key it is renamed. Without it, the key says which it is."`
	Name  string `json:"name,omitempty" doc:"Default: the key."`
	Key   string `json:"key"`
	Value string `json:"value" doc:"The value as JSON text, such as false or \"blue\" with its quotes."`
}

type listInput struct {
	ProjectPath
}

type getFlagInput struct {
	FlagPath
}

type createFlagInput struct {
	ProjectPath
	Body struct {
		Name                string           `json:"name" minLength:"1"`
		Key                 string           `json:"key" minLength:"1"`
		Type                string           `json:"type" enum:"BOOLEAN,STRING,NUMBER,JSON"`
		Description         string           `json:"description,omitempty"`
		Variations          []VariationInput `json:"variations" nullable:"false" minItems:"1"`
		DefaultVariationKey string           `json:"defaultVariationKey"`
	}
}

type updateFlagInput struct {
	FlagPath
	Precondition
	Body struct {
		Name        *string                 `json:"name,omitempty" minLength:"1"`
		Description server.Optional[string] `json:"description,omitzero" doc:"Null: none."`
		Key         *string                 `json:"key,omitempty" doc:"Cannot be changed."`
		Type        *string                 `json:"type,omitempty" enum:"BOOLEAN,STRING,NUMBER,JSON" doc:"Cannot be changed."`
		FlagReadOnly
	}
}

// FlagReadOnly are the fields of a flag that PATCH does not change. They may be sent back as they were read.
type FlagReadOnly struct {
	ID                  json.RawMessage `json:"id,omitempty" doc:"Read-only."`
	Status              json.RawMessage `json:"status,omitempty" doc:"Read-only."`
	IsStale             json.RawMessage `json:"isStale,omitempty" doc:"Not looked at."`
	DefaultVariationKey json.RawMessage `json:"defaultVariationKey,omitempty" doc:"Read-only: PUT …/variations changes it."`
	Variations          json.RawMessage `json:"variations,omitempty" doc:"Read-only: PUT …/variations changes them."`
	EnvironmentConfigs  json.RawMessage `json:"environmentConfigs,omitempty" doc:"Read-only: PATCH …/envs/{envId} changes them."`
	Audiences           json.RawMessage `json:"audiences,omitempty" doc:"Read-only."`
	CreatedAt           json.RawMessage `json:"createdAt,omitempty" doc:"Read-only."`
	UpdatedAt           json.RawMessage `json:"updatedAt,omitempty" doc:"Not looked at."`
	ManagedBy           json.RawMessage `json:"managedBy,omitempty" doc:"Read-only."`
}

// check refuses fields that a request wants to be others than they are, or were before the operator saw the flag.
func (r *FlagReadOnly) check(flag *v1alpha1.FeatureFlag, around *surroundings, now time.Time) error {
	return server.CheckReadOnly(
		r, showFlag(flag, around, now), readOnlyHints, showFlag(server.Unobserved(flag), around, now),
	)
}

// readOnlyHints say how what is read-only is changed.
var readOnlyHints = map[string]string{
	"status":              "POST …/archive archives the flag, and enabling it in an environment activates it",
	"defaultVariationKey": "PUT …/variations changes it",
	"variations":          "PUT …/variations changes them",
	"environmentConfigs":  "PATCH …/envs/{envId} changes them",
	"rules":               "the paths below …/rules change them",
	"overrides":           "PUT …/overrides changes them",
}

type deleteInput struct {
	FlagPath
	Precondition
}

type variationsInput struct {
	FlagPath
	Precondition
	Body struct {
		Variations          []VariationInput `json:"variations" nullable:"false"`
		DefaultVariationKey *string          `json:"defaultVariationKey,omitempty" doc:"Default: the variation that it was, under its new key."`
	}
}

func (v *view) registerFlags(api *server.View) {
	server.Register(api, operation("list-flags", http.MethodGet, projectPath+"/flags", "List flags"), v.listFlags)
	server.Register(api, creation("create-flag", projectPath+"/flags", "Create a flag"), v.createFlag)
	server.Register(api, operation("get-flag", http.MethodGet, flagPath, "Get a flag"), v.getFlag)
	server.Register(api, operation("update-flag", http.MethodPatch, flagPath, "Change name and description"), v.updateFlag)
	server.Register(
		api,
		operation("delete-flag", http.MethodDelete, flagPath, "Delete a flag that is a draft or archived"),
		v.deleteFlag,
	)
	server.Register(api, operation("archive-flag", http.MethodPost, flagPath+"/archive", "Archive a flag"), v.archiveFlag)
	server.Register(
		api,
		operation("update-variations", http.MethodPut, flagPath+"/variations", "Change, add, rename and remove variations"),
		v.updateVariations,
	)
}

func (v *view) listFlags(ctx context.Context, input *listInput) (*answer[[]FlagSummary], error) {
	project, err := v.project(ctx, &input.ProjectPath)
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
	summaries := make([]FlagSummary, 0, len(flags))
	for _, flag := range flags {
		summaries = append(summaries, showSummary(flag, environments, v.clock.Now()))
	}
	return &answer[[]FlagSummary]{Body: Data[[]FlagSummary]{summaries}}, nil
}

func (v *view) getFlag(ctx context.Context, input *getFlagInput) (*tagged[Flag], error) {
	project, flag, err := v.flag(ctx, &input.FlagPath)
	if err != nil {
		return nil, err
	}
	return v.answerFlag(ctx, project, flag)
}

// answerFlag shows a flag with everything around it.
func (v *view) answerFlag(
	ctx context.Context,
	project *server.Project,
	flag *v1alpha1.FeatureFlag,
) (*tagged[Flag], error) {
	around, err := v.surroundings(ctx, project, flag)
	if err != nil {
		return nil, err
	}
	return &tagged[Flag]{ETag: server.ETag(flag), Body: Data[Flag]{showFlag(flag, around, v.clock.Now())}}, nil
}

func (v *view) createFlag(ctx context.Context, input *createFlagInput) (*tagged[Flag], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	body := &input.Body
	flag := &v1alpha1.FeatureFlag{
		Spec: v1alpha1.FeatureFlagSpec{
			Key:              body.Key,
			DisplayName:      body.Name,
			Description:      body.Description,
			Type:             flagTypes.kind(body.Type),
			DefaultVariation: body.DefaultVariationKey,
		},
	}
	if flag.Spec.Variations, _, err = readVariations(flag, body.Variations); err != nil {
		return nil, err
	}
	if err := server.CreateFlag(ctx, v.cluster, project, flag, rename, "DELETE removes it"); err != nil {
		return nil, err
	}
	return v.answerFlag(ctx, project, flag)
}

// freeName makes the name of a new object from its key.
func (v *view) freeName(ctx context.Context, project *server.Project, key, fallback string, of client.Object) string {
	return server.Label(key, fallback, func(label string) bool {
		return v.cluster.Reader.Get(
			ctx,
			types.NamespacedName{Namespace: project.Name, Name: label},
			of,
			client.UnsafeDisableDeepCopy,
		) == nil
	})
}

func (v *view) updateFlag(ctx context.Context, input *updateFlagInput) (*tagged[Flag], error) {
	project, flag, err := v.flag(ctx, &input.FlagPath)
	if err != nil {
		return nil, err
	}
	body := &input.Body
	var fixed []server.FieldError
	if body.Key != nil && *body.Key != flag.Key() {
		fixed = append(
			fixed,
			server.FieldError{Field: "key", Message: fmt.Sprintf("cannot be changed; it is %q", flag.Key())},
		)
	}
	if body.Type != nil && flagTypes.kind(*body.Type) != flag.Spec.Type {
		fixed = append(fixed, server.FieldError{
			Field: "type", Message: "cannot be changed; it is " + flagTypes[flag.Spec.Type],
		})
	}
	if len(fixed) > 0 {
		return nil, server.Invalid(fixed...)
	}
	around, err := v.surroundings(ctx, project, flag)
	if err != nil {
		return nil, err
	}
	flag, err = v.change(ctx, flag, edit{
		ifMatch: input.IfMatch,
		part:    input.part,
		apply: func(flag *v1alpha1.FeatureFlag) error {
			if err := body.check(flag, around, v.clock.Now()); err != nil {
				return err
			}
			if body.Name != nil && *body.Name != displayName(flag) {
				flag.Spec.DisplayName = *body.Name
			}
			if body.Description.Sent {
				flag.Spec.Description = body.Description.Value
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return v.answerFlag(ctx, project, flag)
}

// part is what a request changes of a flag.
func (i *updateFlagInput) part(flag *v1alpha1.FeatureFlag) any {
	var part []string
	if i.Body.Name != nil {
		part = append(part, flag.Spec.DisplayName)
	}
	if i.Body.Description.Sent {
		part = append(part, flag.Spec.Description)
	}
	return part
}

// set sets a field that a request has.
func set[T any](field, asked *T) {
	if asked != nil {
		*field = *asked
	}
}

func (v *view) deleteFlag(ctx context.Context, input *deleteInput) (*struct{}, error) {
	project, flag, err := v.flag(ctx, &input.FlagPath)
	if err != nil {
		return nil, err
	}
	if err := v.cluster.Authorize(ctx, "delete", server.Flags, project.Name, flag.Name); err != nil {
		return nil, err
	}
	return nil, server.Delete(ctx, v.cluster, flag, input.IfMatch, func(flag *v1alpha1.FeatureFlag) error {
		return v.deletable(ctx, project, flag)
	})
}

// deletable fails where a flag is neither a draft nor archived. It is on also where the caller may not read the
// environment.
func (v *view) deletable(ctx context.Context, project *server.Project, flag *v1alpha1.FeatureFlag) error {
	environments, err := v.cluster.EnvironmentsOf(ctx, project, flag)
	if err != nil {
		return err
	}
	status := statusOf(flag, environments)
	for i := range flag.Spec.Environments {
		name := flag.Spec.Environments[i].Name
		if status != "DRAFT" || !flag.EnabledIn(name) {
			continue
		}
		key := types.NamespacedName{Namespace: project.Name, Name: name}
		err := v.cluster.Reader.Get(ctx, key, &v1alpha1.FlagEnvironment{}, client.UnsafeDisableDeepCopy)
		if err == nil {
			status = "ACTIVE"
		} else if !apierrors.IsNotFound(err) {
			return fmt.Errorf("get environment %q: %w", name, err)
		}
	}
	if status != "DRAFT" && status != "ARCHIVED" {
		return server.Errorf(
			http.StatusUnprocessableEntity,
			"only flags in DRAFT or ARCHIVED status can be deleted; this one is %s: archive it first",
			status,
		)
	}
	return nil
}

func (v *view) archiveFlag(ctx context.Context, input *deleteInput) (*tagged[Flag], error) {
	project, flag, err := v.flag(ctx, &input.FlagPath)
	if err != nil {
		return nil, err
	}
	flag, err = v.change(ctx, flag, edit{
		ifMatch: input.IfMatch,
		part:    func(flag *v1alpha1.FeatureFlag) any { return flag.Spec.Archived },
		apply: func(flag *v1alpha1.FeatureFlag) error {
			flag.Spec.Archived = true
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return v.answerFlag(ctx, project, flag)
}
