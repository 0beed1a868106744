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
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func (v *view) registerFlags(shell *server.View) {
	server.Register(shell, lookup.Operation("list", http.MethodGet, lookup.FlagsPath, "List flags"), v.list)
	create := lookup.Operation("create", http.MethodPost, lookup.FlagsPath, "Create a flag")
	create.DefaultStatus = http.StatusCreated
	server.Register(shell, create, v.create)
	server.Register(
		shell,
		lookup.Operation("retrieve", http.MethodGet, lookup.FlagsPath+"/{id}", "Retrieve a flag"),
		v.retrieve,
	)
	server.Register(
		shell,
		lookup.Operation("update", http.MethodPatch, lookup.FlagsPath+"/{id}", "Change a flag"),
		v.update,
	)
}

type flagOutput struct {
	ETag string `header:"ETag"`
	Body *Flag
}

func (v *view) flagOutput(ctx context.Context, at *lookup.Place, flag *v1alpha1.FeatureFlag) *flagOutput {
	return &flagOutput{ETag: server.ETag(flag), Body: v.show(ctx, at, flag)}
}

// show is a flag in an answer.
func (v *view) show(ctx context.Context, at *lookup.Place, flag *v1alpha1.FeatureFlag) *Flag {
	d := v.surroundings(ctx, at.Environment).DescribeFlag(flag, at.Environment.Name)
	stored := server.ViewFields[filters.Kept](flag, filters.ViewName)
	status, _ := statusOf(flag, at.Environment.Name, v.lastCalled(at, flag), v.clock.Now())
	shows := &Flag{
		ID: lookup.IDOf(
			flag.UID,
		),
		Name:                       flag.Spec.DisplayName,
		Key:                        flag.Key(),
		Filters:                    filters.Shown(&d.Filters),
		Deleted:                    flag.Spec.Archived,
		Active:                     server.EnabledAt(flag, at.Environment.Name, v.clock.Now()),
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
		IsRemoteConfiguration: filters.IsRemoteConfiguration(flag, at.Environment.Name),
		HasEncryptedPayloads:  hasSecrets(flag),
		EvaluationRuntime:     filters.Runtimes[flag.Spec.Runtime],
		BucketingIdentifier:   stored.Identifier(flag, at.Environment.Name),
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
func (v *view) surroundings(ctx context.Context, environment *v1alpha1.FlagEnvironment) *filters.Surroundings {
	return &filters.Surroundings{
		Flag: func(key string) *datafile.Flag {
			flag := v.flagOfKey(ctx, environment.Namespace, key)
			if flag == nil {
				return nil
			}
			return filters.AsOn(flag, environment.Name)
		},
		Cohort: func(name string) int64 {
			if audience := v.audience(ctx, environment.Namespace, name); audience != nil {
				return lookup.IDOf(audience.UID)
			}
			return 0
		},
		Audience: func(name string) *datafile.Audience {
			audience := v.audience(ctx, environment.Namespace, name)
			if audience == nil {
				return nil
			}
			form, err := compile.Audience(audience)
			if err != nil {
				return nil // Its status says what is wrong with it.
			}
			return form
		},
	}
}

// flagOfKey is the flag that holds a key, unless it is archived, and nil where there is none.
func (v *view) flagOfKey(ctx context.Context, namespace, key string) *v1alpha1.FeatureFlag {
	found := &v1alpha1.FeatureFlagList{}
	err := v.Cluster.Reader.List(
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

// audience is one of a namespace, and nil where there is none.
func (v *view) audience(ctx context.Context, namespace, name string) *v1alpha1.FlagAudience {
	audience := &v1alpha1.FlagAudience{}
	if err := v.Cluster.Reader.Get(
		ctx,
		client.ObjectKey{Namespace: namespace, Name: name},
		audience,
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return nil
	}
	return audience
}

func (v *view) retrieve(ctx context.Context, input *lookup.FlagScope) (*flagOutput, error) {
	at, flag, err := v.Find(ctx, input)
	if err != nil {
		return nil, err
	}
	return v.flagOutput(ctx, at, flag), nil
}

// heedSchedule refuses to switch on a flag that its schedule keeps off, unless the request replaces the schedule, too.
func (v *view) heedSchedule(
	flag *v1alpha1.FeatureFlag,
	environment string,
	input *updateInput,
) (unschedule bool, err error) {
	fields := &input.Body
	why := server.OffBySchedule(flag, environment, v.clock.Now())
	switch {
	case why == "" || !fields.Active.Value:
		return false, nil
	case !input.Replace:
		return false, server.InvalidField(
			"active",
			`the flag stays off, because %s; send "active": true with ?replace=true to remove the schedule and switch it on now`,
			why,
		)
	default:
		return true, nil
	}
}

type updateInput struct {
	lookup.FlagScope
	IfMatch string `header:"If-Match" doc:"The ETag that was read."`
	Replace bool   `query:"replace" doc:"Let filters replace also what they do not show, and active a schedule."`
	Body    Fields
}

func (v *view) update(ctx context.Context, input *updateInput) (*flagOutput, error) {
	at, flag, err := v.Find(ctx, &input.FlagScope)
	if err != nil {
		return nil, err
	}
	fields := &input.Body
	// What is off as it was shown is left alone, so that it must be shown as it is.
	if fields.Active.Sent && !fields.Active.Value {
		if flag, err = server.Latest(ctx, v.Cluster, flag); err != nil {
			return nil, err
		}
	}
	if version := fields.Version.Value; version != 0 && version != flag.Generation {
		return nil, server.Errorf(
			http.StatusConflict,
			"version is now %d, not %d; read the flag again",
			flag.Generation,
			version,
		)
	}
	shows := v.show(ctx, at, flag)
	if err := fields.heed(flag, shows, input.IfMatch, v.clock.Now()); err != nil {
		return nil, err
	}
	unschedule, err := v.heedSchedule(flag, at.Environment.Name, input)
	if err != nil {
		return nil, err
	}
	if fields.isOnlyActive() && !unschedule {
		flag, err = server.Toggle(ctx, v.Cluster, flag, server.Switch{
			Environment: at.Environment.Name, Enabled: fields.Active.Value,
			Rename: filters.RenameField, IfMatch: input.IfMatch,
		})
	} else {
		change := v.change(ctx, at, fields, input.Replace)
		change.unschedule = unschedule
		flag, err = server.Change(ctx, v.Cluster, flag, server.Edit[*v1alpha1.FeatureFlag]{
			Apply: change.apply, Part: change.part, Rename: change.rename, IfMatch: input.IfMatch,
		})
	}
	if err != nil {
		return nil, err
	}
	return v.flagOutput(ctx, at, flag), nil
}
