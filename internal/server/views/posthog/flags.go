// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func (v *view) registerFlags(shell *server.View) {
	server.Register(shell, operation("list", http.MethodGet, flagsPath, "List flags"), v.list)
	create := operation("create", http.MethodPost, flagsPath, "Create a flag")
	create.DefaultStatus = http.StatusCreated
	server.Register(shell, create, v.create)
	server.Register(shell, operation("retrieve", http.MethodGet, flagsPath+"/{id}", "Retrieve a flag"), v.retrieve)
	server.Register(shell, operation("update", http.MethodPatch, flagsPath+"/{id}", "Change a flag"), v.update)
}

type flagOutput struct {
	ETag string `header:"ETag"`
	Body *Flag
}

func (v *view) flagOutput(ctx context.Context, at *place, flag *v1alpha1.FeatureFlag) *flagOutput {
	return &flagOutput{ETag: server.ETag(flag), Body: v.show(ctx, at, flag)}
}

// show is a flag in an answer.
func (v *view) show(ctx context.Context, at *place, flag *v1alpha1.FeatureFlag) *Flag {
	d := v.surroundings(ctx, at.environment).describeFlag(flag, at.environment.Name)
	config := flag.In(at.environment.Name)
	stored := server.ViewFields[kept](flag, viewName)
	status, _ := statusOf(flag, at.environment.Name, v.lastCalled(at, flag), v.clock.Now())
	shows := &Flag{
		ID: idOf(
			flag.UID,
		),
		Name:    flag.Spec.DisplayName,
		Key:     flag.Key(),
		Filters: shown(&d.Filters),
		Deleted: flag.Spec.Archived,
		Active: flag.EnabledIn(at.environment.Name) &&
			!flag.Spec.Archived,
		CreatedAt:                  server.Time(flag.CreationTimestamp.Time),
		Version:                    flag.Generation,
		EnsureExperienceContinuity: stored.EnsureExperienceContinuity,
		RollbackConditions:         stored.RollbackConditions,
		PerformedRollback:          stored.PerformedRollback,
		Tags: list(
			flag.Spec.Tags,
		),
		EvaluationTags:        list(stored.EvaluationTags),
		AnalyticsDashboards:   list(stored.AnalyticsDashboards),
		HasEnrichedAnalytics:  stored.HasEnrichedAnalytics,
		CreationContext:       stored.CreationContext,
		IsRemoteConfiguration: isRemoteConfiguration(flag, at.environment.Name),
		HasEncryptedPayloads:  hasSecrets(flag),
		EvaluationRuntime:     runtimes[flag.Spec.Runtime],
		BucketingIdentifier:   bucketingIdentifier(config),
		CreateInFolder:        stored.CreateInFolder,
		UpdatedAt:             server.Time(server.UpdatedAt(flag)),
		Status:                strings.ToUpper(status),
		NotShown:              list(d.Lost),
		EvaluatedByServer:     list(d.Remote),
		ManagedBy:             (*manager)(gitops.ManagerOf(flag)),
	}
	if len(shows.RollbackConditions) == 0 {
		shows.RollbackConditions = []byte("null")
	}
	if at := v.lastCalled(at, flag); at != nil {
		shows.LastCalledAt = new(server.Time(*at))
	}
	return shows
}

// list is a list that is never null.
func list[T any](values []T) []T { return append([]T{}, values...) }

func hasSecrets(flag *v1alpha1.FeatureFlag) bool {
	return slices.ContainsFunc(
		flag.Spec.Variations,
		func(variation v1alpha1.Variation) bool { return variation.PayloadFrom != nil },
	)
}

// surroundings are what flags of an environment refer to, as the cache has it.
func (v *view) surroundings(ctx context.Context, environment *v1alpha1.FlagEnvironment) *surroundings {
	return &surroundings{
		flag: func(key string) *datafile.Flag {
			flag := v.flagOfKey(ctx, environment.Namespace, key)
			if flag == nil {
				return nil
			}
			return asOn(flag, environment.Name)
		},
		cohort: func(name string) int64 { return v.cohortID(ctx, environment.Namespace, name) },
	}
}

// flagOfKey is the flag that holds a key, unless it is archived, and nil where there is none.
func (v *view) flagOfKey(ctx context.Context, namespace, key string) *v1alpha1.FeatureFlag {
	found := &v1alpha1.FeatureFlagList{}
	err := v.cluster.Reader.List(
		ctx,
		found,
		client.InNamespace(namespace),
		client.MatchingFields{index.FlagKey: key},
		client.UnsafeDisableDeepCopy,
	)
	if err != nil || len(found.Items) == 0 {
		return nil
	}
	holder := &found.Items[0]
	for i := range found.Items {
		holder = validation.Holder(holder, &found.Items[i])
	}
	if holder.Spec.Archived {
		return nil
	}
	return holder
}

// cohortID is the integer that stands for an audience, and 0 where there is none.
func (v *view) cohortID(ctx context.Context, namespace, name string) int64 {
	audience := &v1alpha1.FlagAudience{}
	if err := v.cluster.Reader.Get(
		ctx,
		client.ObjectKey{Namespace: namespace, Name: name},
		audience,
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return 0
	}
	return idOf(audience.UID)
}

func (v *view) retrieve(ctx context.Context, input *FlagScope) (*flagOutput, error) {
	at, flag, err := v.find(ctx, input)
	if err != nil {
		return nil, err
	}
	return v.flagOutput(ctx, at, flag), nil
}

type updateInput struct {
	FlagScope
	IfMatch string `header:"If-Match" doc:"The ETag that was read."`
	Replace bool   `query:"replace" doc:"Let filters replace also what they do not show."`
	Body    Fields
}

func (v *view) update(ctx context.Context, input *updateInput) (*flagOutput, error) {
	at, flag, err := v.find(ctx, &input.FlagScope)
	if err != nil {
		return nil, err
	}
	fields := &input.Body
	if version := fields.Version.Value; version != 0 && version != flag.Generation {
		return nil, server.Errorf(
			http.StatusConflict,
			"version is now %d, not %d; read the flag again",
			flag.Generation,
			version,
		)
	}
	if err := fields.check(v.show(ctx, at, flag)); err != nil {
		return nil, err
	}
	if fields.isOnlyActive() {
		flag, err = server.Toggle(ctx, v.cluster, flag, at.environment.Name, fields.Active.Value, renameField, input.IfMatch)
	} else {
		change := v.change(ctx, at, fields, input.Replace)
		flag, err = server.Change(ctx, v.cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
			Apply: change.apply, Part: change.part, Rename: change.rename, IfMatch: input.IfMatch,
		})
	}
	if err != nil {
		return nil, err
	}
	return v.flagOutput(ctx, at, flag), nil
}
