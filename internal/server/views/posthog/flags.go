// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"net/http"
	"slices"
	"strconv"
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

// FlagScope is the flag of a request.
type FlagScope struct {
	Scope
	ID string `path:"id" doc:"The flag: its id, key, UID or name."`
}

// find finds flag and environment of a request.
func (v *view) find(ctx context.Context, scope *FlagScope) (*place, *v1alpha1.FeatureFlag, error) {
	project, err := v.project(ctx, &scope.Scope)
	if err != nil {
		return nil, nil, err
	}
	flag, err := v.flag(ctx, project, scope.ID)
	if err != nil {
		return nil, nil, err
	}
	at, err := v.place(ctx, &scope.Scope)
	return at, flag, err
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

// byKey are flags by key; of several with one key it is the one that holds the key.
func byKey(all []*v1alpha1.FeatureFlag) map[string]*v1alpha1.FeatureFlag {
	flags := make(map[string]*v1alpha1.FeatureFlag, len(all))
	for _, flag := range all {
		if other, taken := flags[flag.Key()]; taken {
			flag = validation.Holder(flag, other)
		}
		flags[flag.Key()] = flag
	}
	return flags
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

// change is what a request makes of a flag.
type change struct {
	*references

	view    *view
	ctx     context.Context //nolint:containedctx // It lives as long as the request.
	at      *place
	fields  *Fields
	replace bool
	// writer is that of the filters, and nil where there are none.
	writer *writer
}

func (v *view) change(ctx context.Context, at *place, fields *Fields, replace bool) *change {
	namespace := at.project.Name
	return &change{view: v, ctx: ctx, at: at, fields: fields, replace: replace, references: &references{
		flag: func(id string) *v1alpha1.FeatureFlag {
			if number, err := strconv.ParseInt(id, 10, 64); err == nil {
				all := &v1alpha1.FeatureFlagList{}
				if err := v.cluster.Reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err == nil {
					for i := range all.Items {
						if idOf(all.Items[i].UID) == number {
							return &all.Items[i]
						}
					}
				}
			}
			return v.flagOfKey(ctx, namespace, id)
		},
		audience: func(id string) string {
			all := &v1alpha1.FlagAudienceList{}
			if err := v.cluster.Reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
				return ""
			}
			for i := range all.Items {
				if audience := &all.Items[i]; strconv.FormatInt(idOf(audience.UID), 10) == id || audience.Name == id {
					return audience.Name
				}
			}
			return ""
		},
	}}
}

func (c *change) rename(path string) string {
	if c.writer != nil {
		return c.writer.rename(path)
	}
	return renameField(path)
}

// part is what the change replaces.
func (c *change) part(flag *v1alpha1.FeatureFlag) any {
	var parts []any
	for _, field := range []struct {
		sent bool
		part any
	}{
		{c.fields.Name.Sent, flag.Spec.DisplayName}, {c.fields.Deleted.Sent, flag.Spec.Archived}, {c.fields.Tags.Sent, flag.Spec.Tags},
		{c.fields.EvaluationRuntime.Sent, flag.Spec.Runtime}, {c.fields.Active.Sent, flag.EnabledIn(c.at.environment.Name)},
		{c.fields.Filters.Sent, flag.Spec.Variations},
		{c.fields.Filters.Sent || c.fields.BucketingIdentifier.Sent, decisions(flag.In(c.at.environment.Name))},
	} {
		if field.sent {
			parts = append(parts, field.part)
		}
	}
	return append(parts, flag.Annotations[v1alpha1.ViewAnnotationPrefix+viewName])
}

// decisions are what filters replace in an environment.
func decisions(config *v1alpha1.EnvironmentConfig) any {
	if config == nil {
		return nil
	}
	return []any{config.Rules, config.Overrides, config.Prerequisites, config.DefaultVariation}
}

// apply changes a flag to what the request says.
func (c *change) apply(flag *v1alpha1.FeatureFlag) error {
	fields, environment := c.fields, c.at.environment.Name
	if fields.Key.Sent && fields.Key.Value != flag.Key() {
		return server.InvalidField("key", "a key cannot change")
	}
	keepValue(&flag.Spec.DisplayName, &fields.Name)
	keepValue(&flag.Spec.Tags, &fields.Tags)
	keepValue(&flag.Spec.Archived, &fields.Deleted)
	if fields.EvaluationRuntime.Sent {
		flag.Spec.Runtime = runtimeOf(fields.EvaluationRuntime.Value)
	}
	if fields.Active.Sent {
		server.SetEnabled(flag, environment, fields.Active.Value)
	}
	stored := server.ViewFields[kept](flag, viewName)
	stored.keep(fields)
	if fields.Filters.Sent && !fields.Filters.Null {
		if err := c.filters(flag, &stored); err != nil {
			return err
		}
	}
	if fields.BucketingIdentifier.Sent && !fields.BucketingIdentifier.Null {
		hash(server.Part(flag, environment), fields.BucketingIdentifier.Value)
	}
	switch {
	case fields.IsRemoteConfiguration.Value && !isRemoteConfiguration(flag, environment):
		return server.InvalidField(
			"is_remote_configuration",
			"a remote configuration has one group, with all people, and a payload",
		)
	case fields.HasEncryptedPayloads.Sent && !fields.HasEncryptedPayloads.Null && fields.HasEncryptedPayloads.Value != hasSecrets(flag):
		return server.InvalidField(
			"has_encrypted_payloads",
			"a payload is taken from a Secret in the manifest: spec.variations[].payloadFrom",
		)
	case stored.isEmpty():
		delete(flag.Annotations, v1alpha1.ViewAnnotationPrefix+viewName)
		return nil
	}
	return server.SetViewFields(flag, viewName, stored)
}

// hash sets what the rules of an environment hash.
func hash(config *v1alpha1.EnvironmentConfig, identifier string) {
	for i := range config.Rules {
		switch attribute := &config.Rules[i].HashAttribute; {
		case identifier == "device_id":
			*attribute = deviceID
		case *attribute == deviceID:
			*attribute = ""
		}
	}
}

// filters changes whom the flag is released to.
func (c *change) filters(flag *v1alpha1.FeatureFlag, stored *kept) error {
	environment := c.at.environment.Name
	shows := c.view.surroundings(c.ctx, c.at.environment).describeFlag(flag, environment)
	filters := c.fields.Filters.Value
	c.writer = &writer{references: *c.references, flag: flag, filters: &filters, shown: shows}
	// A new flag has nothing to lose. What is wrong with it, such as its key, is said before it is written.
	if len(shows.Lost) > 0 && c.writer.replaces() && !c.replace && flag.UID != "" {
		return server.InvalidField(
			"filters",
			"the flag has what filters do not show and this would lose: %s; change it in its manifest, or ask with ?replace=true",
			strings.Join(shows.Lost, ", "),
		)
	}
	config := server.Part(flag, environment)
	c.writer.config = config
	if bucketingIdentifier(config) == "device_id" {
		c.writer.hashAttribute = deviceID
	}
	c.writer.write()
	if len(c.writer.mistakes) > 0 {
		return server.Invalid(c.writer.mistakes...)
	}
	multivariate := c.fields.Filters.Value.Multivariate
	if multivariate == nil {
		return nil
	}
	delete(stored.Shares, environment)
	if slices.ContainsFunc(config.Rules, func(rule v1alpha1.Rule) bool { return len(rule.Split) > 0 }) {
		return nil
	}
	shares := map[string]float64{}
	for _, variant := range multivariate.Variants {
		shares[variant.Key] = variant.RolloutPercentage
	}
	if stored.Shares == nil {
		stored.Shares = map[string]map[string]float64{}
	}
	stored.Shares[environment] = shares
	return nil
}
