// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// change is what a request makes of a flag.
type change struct {
	*filters.References

	view    *view
	ctx     context.Context //nolint:containedctx // It lives as long as the request.
	at      *lookup.Place
	fields  *Fields
	replace bool
	// unschedule removes the schedule that keeps the flag off.
	unschedule bool
	// writer is that of the filters, and nil where there are none.
	writer *filters.Writer
}

func (v *view) change(ctx context.Context, at *lookup.Place, fields *Fields, replace bool) *change {
	namespace := at.Project.Name
	return &change{view: v, ctx: ctx, at: at, fields: fields, replace: replace, References: &filters.References{
		Flag: func(id string) *v1alpha1.FeatureFlag {
			if number, err := strconv.ParseInt(id, 10, 64); err == nil {
				all := &v1alpha1.FeatureFlagList{}
				if err := v.Cluster.Reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err == nil {
					for i := range all.Items {
						if lookup.IDOf(all.Items[i].UID) == number {
							return &all.Items[i]
						}
					}
				}
			}
			return v.flagOfKey(ctx, namespace, id)
		},
		Audience: func(id string) string {
			all := &v1alpha1.FlagAudienceList{}
			if err := v.Cluster.Reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
				return ""
			}
			for i := range all.Items {
				if audience := &all.Items[i]; strconv.FormatInt(lookup.IDOf(audience.UID), 10) == id || audience.Name == id {
					return audience.Name
				}
			}
			return ""
		},
	}}
}

func (c *change) rename(path string) string {
	if c.writer != nil {
		return c.writer.Rename(path)
	}
	return filters.RenameField(path)
}

// part is what the change replaces.
func (c *change) part(flag *v1alpha1.FeatureFlag) any {
	var parts []any
	for _, field := range []struct {
		sent bool
		part any
	}{
		{c.fields.Name.Sent, flag.Spec.DisplayName}, {c.fields.Deleted.Sent, flag.Spec.Archived}, {c.fields.Tags.Sent, flag.Spec.Tags},
		{c.fields.EvaluationRuntime.Sent, flag.Spec.Runtime}, {c.fields.Active.Sent, flag.EnabledIn(c.at.Environment.Name)},
		{c.fields.Filters.Sent, flag.Spec.Variations}, {c.unschedule, schedule(flag.In(c.at.Environment.Name))},
		{c.fields.Filters.Sent || c.fields.BucketingIdentifier.Sent, decisions(flag.In(c.at.Environment.Name))},
	} {
		if field.sent {
			parts = append(parts, field.part)
		}
	}
	return append(parts, flag.Annotations[v1alpha1.ViewAnnotationPrefix+filters.ViewName])
}

// schedule is that of an environment, and nil where there is none.
func schedule(config *v1alpha1.EnvironmentConfig) *v1alpha1.Schedule {
	if config == nil {
		return nil
	}
	return config.Schedule
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
	fields, environment := c.fields, c.at.Environment.Name
	if fields.Key.Sent && fields.Key.Value != flag.Key() {
		return server.InvalidField("key", "a key cannot change")
	}
	keepValue(&flag.Spec.DisplayName, &fields.Name)
	keepValue(&flag.Spec.Tags, &fields.Tags)
	keepValue(&flag.Spec.Archived, &fields.Deleted)
	if fields.EvaluationRuntime.Sent && !fields.EvaluationRuntime.Null {
		flag.Spec.Runtime = filters.RuntimeOf(fields.EvaluationRuntime.Value)
	}
	if fields.Active.Sent {
		server.SetEnabled(flag, environment, fields.Active.Value)
		if c.unschedule {
			server.Part(flag, environment).Schedule = nil
		}
	}
	stored := server.ViewFields[filters.Kept](flag, filters.ViewName)
	before := filters.Canonical(stored)
	found, chosen := stored.Own(flag, environment), ""
	keep(&stored, fields)
	if fields.Filters.Sent && !fields.Filters.Null {
		if err := c.filters(flag, &stored); err != nil {
			return err
		}
	}
	if fields.BucketingIdentifier.Sent && !fields.BucketingIdentifier.Null {
		chosen = fields.BucketingIdentifier.Value
		hash(server.Part(flag, environment), chosen)
	}
	stored.KeepIdentifier(flag, environment, found, chosen)
	switch {
	case fields.IsRemoteConfiguration.Value && !filters.IsRemoteConfiguration(flag, environment):
		return server.InvalidField(
			"is_remote_configuration",
			"a remote configuration has one group, with all people, and a payload",
		)
	case fields.HasEncryptedPayloads.Sent && !fields.HasEncryptedPayloads.Null && fields.HasEncryptedPayloads.Value != hasSecrets(flag):
		return server.InvalidField(
			"has_encrypted_payloads",
			"a payload is taken from a Secret in the manifest: spec.variations[].payloadFrom",
		)
	case filters.Canonical(stored) == before:
		return nil // As it is written: nothing of it changes.
	case stored.IsEmpty():
		delete(flag.Annotations, v1alpha1.ViewAnnotationPrefix+filters.ViewName)
		return nil
	}
	return server.SetViewFields(flag, filters.ViewName, stored)
}

// hash sets what the rules of an environment hash.
func hash(config *v1alpha1.EnvironmentConfig, identifier string) {
	for i := range config.Rules {
		switch attribute := &config.Rules[i].HashAttribute; {
		case identifier == "device_id":
			*attribute = filters.DeviceID
		case *attribute == filters.DeviceID:
			*attribute = ""
		}
	}
}

// filters changes whom the flag is released to.
func (c *change) filters(flag *v1alpha1.FeatureFlag, stored *filters.Kept) error {
	environment := c.at.Environment.Name
	shows := c.view.surroundings(c.ctx, c.at.Environment).DescribeFlag(flag, environment)
	wanted := c.fields.Filters.Value
	c.writer = &filters.Writer{References: *c.References, Flag: flag, Filters: &wanted, Shown: shows}
	// A new flag has nothing to lose. What is wrong with it, such as its key, is said before it is written.
	if len(shows.Lost) > 0 && wanted.Replaces() && !c.replace && flag.UID != "" {
		return server.InvalidField(
			"filters",
			"the flag has what filters do not show and this would lose: %s; change it in its manifest, or ask with "+
				"?replace=true",
			strings.Join(shows.Lost, ", "),
		)
	}
	config := server.Part(flag, environment)
	c.writer.Config = config
	if stored.Identifier(flag, environment) == "device_id" {
		c.writer.HashAttribute = filters.DeviceID
	}
	c.writer.Write()
	if len(c.writer.Mistakes) > 0 {
		return server.Invalid(c.writer.Mistakes...)
	}
	if wanted.Replaces() {
		c.keepShares(config, wanted.Multivariate, stored)
	}
	return nil
}

// keepShares keeps those of the variants where no rule splits and so holds them, and they are not as they are shown.
func (c *change) keepShares(
	config *v1alpha1.EnvironmentConfig,
	multivariate *filters.Multivariate,
	stored *filters.Kept,
) {
	environment := c.at.Environment.Name
	if multivariate == nil {
		return
	}
	if slices.ContainsFunc(config.Rules, func(rule v1alpha1.Rule) bool { return len(rule.Split) > 0 }) {
		delete(stored.Shares, environment)
		return
	}
	shares, changed := map[string]float64{}, false
	for _, variant := range multivariate.Variants {
		shares[variant.Key] = variant.RolloutPercentage
		changed = changed || variant.RolloutPercentage != stored.Shares[environment][variant.Key]
	}
	if !changed {
		return
	}
	if stored.Shares == nil {
		stored.Shares = map[string]map[string]float64{}
	}
	stored.Shares[environment] = shares
}
