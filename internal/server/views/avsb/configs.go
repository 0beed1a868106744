// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// ConfigChanges is what a request says of a flag in an environment. What it leaves out stays.
type ConfigChanges struct {
	Enabled            *bool                      `json:"enabled,omitempty"`
	DefaultVariationID server.Optional[string]    `json:"defaultVariationId,omitzero" doc:"Null: the default of the flag, and the code's own where codeDefault is true."`
	SchedulingEnabled  *bool                      `json:"schedulingEnabled,omitempty" doc:"False clears the schedule."`
	ScheduledEnableAt  server.Optional[time.Time] `json:"scheduledEnableAt,omitzero" doc:"When the flag is enabled. Until then it is not, whatever enabled says."`
	ScheduledDisableAt server.Optional[time.Time] `json:"scheduledDisableAt,omitzero" doc:"When it is disabled."`
	Timezone           server.Optional[string]    `json:"timezone,omitzero" doc:"The name of the zone in which people see the times, such as America/New_York."`
	ConfigReadOnly
}

// ConfigReadOnly are the fields of a config that PATCH does not change. They may be sent back as they were read.
type ConfigReadOnly struct {
	EnvironmentID     json.RawMessage `json:"environmentId,omitempty" doc:"Read-only."`
	EnvironmentKey    json.RawMessage `json:"environmentKey,omitempty" doc:"Read-only."`
	EnvironmentName   json.RawMessage `json:"environmentName,omitempty" doc:"Read-only."`
	IsProduction      json.RawMessage `json:"isProduction,omitempty" doc:"Read-only."`
	HasPendingChanges json.RawMessage `json:"hasPendingChanges,omitempty" doc:"Not looked at."`
	CodeDefault       json.RawMessage `json:"codeDefault,omitempty" doc:"Read-only: the flag's manifest says it."`
	Rules             json.RawMessage `json:"rules,omitempty" doc:"Read-only: the paths below …/rules change them."`
	Overrides         json.RawMessage `json:"overrides,omitempty" doc:"Read-only: PUT …/overrides changes them."`
}

// togglesOnly reports whether nothing is to change but whether the flag is on.
func (c *ConfigChanges) togglesOnly() bool {
	return c.Enabled != nil && !c.DefaultVariationID.Sent && !c.touchesSchedule()
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
	asked, name := &input.Body, of.environment.Name
	around, err := v.surroundings(ctx, of.project, of.flag)
	if err != nil {
		return nil, err
	}
	shown := showConfig(of.flag, of.environment, around, v.clock.Now())
	if err := server.CheckReadOnly(asked.ConfigReadOnly, shown, readOnlyHints); err != nil {
		return nil, err
	}
	_, isScheduled := server.ScheduledAt(of.flag, name, v.clock.Now())
	if asked.togglesOnly() && server.OffBySchedule(of.flag, name, v.clock.Now()) == "" ||
		asked.togglesOnly() && !*asked.Enabled && (!isScheduled || gitops.ManagerOf(of.flag) != nil) {
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
			apply: func(flag *v1alpha1.FeatureFlag) error { return applyConfig(flag, name, asked, v.clock.Now()) },
		})
	}
	if err != nil {
		return nil, err
	}
	return &tagged[Config]{
		ETag: server.ETag(of.flag),
		Body: Data[Config]{showConfig(of.flag, of.environment, around, v.clock.Now())},
	}, nil
}

// applyConfig changes how a flag is served in an environment.
func applyConfig(flag *v1alpha1.FeatureFlag, environment string, asked *ConfigChanges, now time.Time) error {
	if given := asked.DefaultVariationID; given.Sent {
		config, key := flag.In(environment), variationKey(flag, given.Value)
		switch {
		case given.Null && config != nil:
			config.DefaultVariation = ""
		case !given.Null:
			if is := server.DefaultIn(flag, environment); is == nil || *is != key {
				server.Part(flag, environment).DefaultVariation = key
			}
		}
	}
	wasOn := server.EnabledAt(flag, environment, now)
	rescheduled, err := reschedule(flag, environment, asked)
	if err != nil {
		return err
	}
	_, isAhead := server.ScheduledAt(flag, environment, now)
	enable := wasOn
	switch {
	case rescheduled && asked.ScheduledEnableAt.Sent && !asked.ScheduledEnableAt.Null && (isAhead || asked.Enabled == nil):
		enable = true // It is scheduled: until then it is not on.
	case asked.Enabled == nil && !rescheduled:
		return nil
	case asked.Enabled == nil:
	case !*asked.Enabled && isAhead && asked.touchesSchedule():
		return nil // It is off until then, as the request says.
	default:
		enable = *asked.Enabled
	}
	if why := server.OffBySchedule(flag, environment, now); enable && why != "" && !rescheduled {
		return server.InvalidField(
			"enabled",
			`the flag stays off, because %s; send "schedulingEnabled": false with "enabled": true to enable it now`,
			why,
		)
	}
	if enable != flag.EnabledIn(environment) {
		server.SetEnabled(flag, environment, enable)
	}
	if !enable && isAhead {
		cancel(flag.In(environment))
	}
	return nil
}

// reschedule changes the schedule of a flag, and reports whether it is another than before.
func reschedule(flag *v1alpha1.FeatureFlag, environment string, asked *ConfigChanges) (bool, error) {
	if !asked.touchesSchedule() {
		return false, nil
	}
	before := (*v1alpha1.Schedule)(nil)
	if config := flag.In(environment); config != nil {
		before = config.Schedule
	}
	after, err := schedule(before, asked)
	if err != nil || equality.Semantic.DeepEqual(before, after) {
		return false, err
	}
	server.Part(flag, environment).Schedule = after
	return true, nil
}

// cancel takes the time away at which a flag is to be enabled, because somebody switched it off: off means off.
func cancel(config *v1alpha1.EnvironmentConfig) {
	if config.Schedule.EnableAt = nil; config.Schedule.DisableAt == nil {
		config.Schedule = nil
	}
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
