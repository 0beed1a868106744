// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"context"
	"net/http"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// ConfigChanges is what a request says of a flag in an environment. What it leaves out stays.
type ConfigChanges struct {
	Enabled            *bool                      `json:"enabled,omitempty"`
	DefaultVariationID server.Optional[string]    `json:"defaultVariationId,omitzero" doc:"Null: the default of the flag."`
	SchedulingEnabled  *bool                      `json:"schedulingEnabled,omitempty" doc:"False clears the schedule."`
	ScheduledEnableAt  server.Optional[time.Time] `json:"scheduledEnableAt,omitzero" doc:"From when an enabled flag is on."`
	ScheduledDisableAt server.Optional[time.Time] `json:"scheduledDisableAt,omitzero" doc:"From when it is off."`
	Timezone           server.Optional[string]    `json:"timezone,omitzero" doc:"The name of the zone in which people see the times, such as America/New_York."`
}

// togglesOnly reports whether nothing is to change but whether the flag is on.
func (c *ConfigChanges) togglesOnly() bool {
	return c.Enabled != nil && !c.DefaultVariationID.Sent && !c.touchesSchedule()
}

// isEmpty reports whether nothing is to change.
func (c *ConfigChanges) isEmpty() bool {
	return c.Enabled == nil && !c.DefaultVariationID.Sent && !c.touchesSchedule()
}

func (c *ConfigChanges) touchesSchedule() bool {
	return c.SchedulingEnabled != nil || c.ScheduledEnableAt.Sent || c.ScheduledDisableAt.Sent || c.Timezone.Sent
}

type updateConfigInput struct {
	EnvironmentPath
	Precondition
	Body ConfigChanges
}

type overridesInput struct {
	EnvironmentPath
	Precondition
	Body struct {
		Overrides []Override `json:"overrides" nullable:"false"`
	}
}

func (v *view) registerConfigs(api *server.View) {
	server.Register(
		api,
		operation("update-config", http.MethodPatch, environmentPath, "Toggle a flag, change its default or its schedule"),
		v.updateConfig,
	)
	server.Register(
		api,
		operation("update-overrides", http.MethodPut, environmentPath+"/overrides", "Replace all overrides"),
		v.updateOverrides,
	)
}

func (v *view) updateConfig(ctx context.Context, input *updateConfigInput) (*tagged[Config], error) {
	of, err := v.target(ctx, &input.EnvironmentPath)
	if err != nil {
		return nil, err
	}
	if of.environment.Spec.Production {
		if err := v.cluster.Authorize(ctx, "publish", server.Environments, of.project.Name, of.environment.Name); err != nil {
			return nil, err
		}
	}
	asked, name := &input.Body, of.environment.Name
	if asked.togglesOnly() {
		of.flag, err = server.Toggle(ctx, v.cluster, of.flag, name, *asked.Enabled, rename, input.IfMatch)
	} else {
		of.flag, err = v.change(ctx, of.flag, edit{
			ifMatch: input.IfMatch,
			part: func(flag *v1alpha1.FeatureFlag) any {
				if config := flag.In(name); config != nil {
					return []any{flag.EnabledIn(name), config.DefaultVariation, config.Schedule}
				}
				return nil
			},
			apply: func(flag *v1alpha1.FeatureFlag) error { return applyConfig(flag, name, asked) },
		})
	}
	if err != nil {
		return nil, err
	}
	around, err := v.surroundings(ctx, of.project, of.flag)
	if err != nil {
		return nil, err
	}
	return &tagged[Config]{
		ETag: server.ETag(of.flag),
		Body: Data[Config]{showConfig(of.flag, of.environment, around)},
	}, nil
}

// applyConfig changes how a flag is served in an environment.
func applyConfig(flag *v1alpha1.FeatureFlag, environment string, asked *ConfigChanges) error {
	if asked.isEmpty() {
		return nil
	}
	if asked.Enabled != nil {
		server.SetEnabled(flag, environment, *asked.Enabled)
	}
	config := server.Part(flag, environment)
	if asked.DefaultVariationID.Sent {
		config.DefaultVariation = variationKey(flag, asked.DefaultVariationID.Value)
	}
	if !asked.touchesSchedule() {
		return nil
	}
	var err error
	config.Schedule, err = schedule(config.Schedule, asked)
	return err
}

func (v *view) updateOverrides(ctx context.Context, input *overridesInput) (*tagged[[]Override], error) {
	of, err := v.target(ctx, &input.EnvironmentPath)
	if err != nil {
		return nil, err
	}
	name := of.environment.Name
	flag, err := v.change(ctx, of.flag, edit{
		ifMatch: input.IfMatch,
		part: func(flag *v1alpha1.FeatureFlag) any {
			if config := flag.In(name); config != nil {
				return config.Overrides
			}
			return nil
		},
		apply: func(flag *v1alpha1.FeatureFlag) error {
			overrides := make([]v1alpha1.Override, 0, len(input.Body.Overrides))
			for _, override := range input.Body.Overrides {
				overrides = append(
					overrides,
					v1alpha1.Override{TargetingKey: override.UserID, Variation: variationKey(flag, override.VariationID)},
				)
			}
			if len(overrides) > 0 || flag.In(name) != nil {
				server.Part(flag, name).Overrides = overrides
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	overrides := []Override{}
	if config := flag.In(name); config != nil {
		overrides = showOverrides(config)
	}
	return &tagged[[]Override]{ETag: server.ETag(flag), Body: Data[[]Override]{overrides}}, nil
}
