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
	"github.com/jackstaff-dev/jackstaff/internal/compile"
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

// togglesAlone reports whether a request only switches a flag on or off, and no schedule has a say in it. A schedule of a
// flag that a GitOps tool owns cannot be cancelled, but the flag can be forced off.
func (c *ConfigChanges) togglesAlone(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	if !c.togglesOnly() || *c.Enabled && flag.Spec.Archived {
		return false
	}
	_, isScheduled := server.ScheduledAt(flag, environment, now)
	return server.OffBySchedule(flag, environment, now) == "" ||
		!*c.Enabled && isScheduled && gitops.ManagerOf(flag) != nil
}

// part is what a request changes of a flag in an environment. Whether the flag is on and its schedule are one thing.
func (c *ConfigChanges) part(flag *v1alpha1.FeatureFlag, environment string) any {
	config, part := flag.In(environment), []any{}
	if config == nil {
		config = &v1alpha1.EnvironmentConfig{}
	}
	if c.Enabled != nil || c.touchesSchedule() {
		part = append(part, flag.Spec.Archived, config.Enabled, flag.EnabledIn(environment), config.Schedule)
	}
	if c.DefaultVariationID.Sent {
		part = append(part, config.DefaultVariation)
	}
	return part
}

func (c *ConfigChanges) touchesSchedule() bool {
	return c.SchedulingEnabled != nil || c.ScheduledEnableAt.Sent || c.ScheduledDisableAt.Sent || c.Timezone.Sent
}

// begins reports whether a request sets another time at which a flag is enabled, of which config is the part before.
func (c *ConfigChanges) begins(config *v1alpha1.EnvironmentConfig) bool {
	at := c.ScheduledEnableAt
	return at.Sent && !at.Null &&
		(config == nil || config.Schedule == nil || !isInstant(config.Schedule.EnableAt, at.Value))
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
	if asked.togglesAlone(of.flag, name, v.clock.Now()) {
		of.flag, err = server.Toggle(ctx, v.cluster, of.flag, server.Switch{
			Environment: name, Enabled: *asked.Enabled, Rename: rename, IfMatch: input.IfMatch,
		})
	} else {
		of.flag, err = v.change(ctx, of.flag, edit{
			ifMatch: input.IfMatch,
			part:    func(flag *v1alpha1.FeatureFlag) any { return asked.part(flag, name) },
			apply:   func(flag *v1alpha1.FeatureFlag) error { return applyConfig(flag, name, asked, v.clock.Now()) },
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
	return applyState(flag, environment, asked, now)
}

// applyState changes whether and when a flag is on in an environment.
func applyState(flag *v1alpha1.FeatureFlag, environment string, asked *ConfigChanges, now time.Time) error {
	before := flag.DeepCopy()
	rescheduled, err := reschedule(flag, environment, asked)
	if err != nil {
		return err
	}
	_, isAhead := server.ScheduledAt(flag, environment, now)
	enable := enabledAfter(before, flag, environment, asked, rescheduled, now)
	if enable == nil {
		return nil
	}
	if *enable {
		field := "enabled"
		if asked.Enabled == nil {
			field = "scheduledEnableAt"
		}
		if err := server.CheckRestored(flag, field, restoreHint); err != nil {
			return err
		}
	}
	if why := server.OffBySchedule(flag, environment, now); *enable && why != "" &&
		(!rescheduled || asked.Enabled != nil && !asked.begins(before.In(environment))) {
		hint := ""
		if rescheduled {
			hint = `, or leave "enabled" out to change the schedule alone`
		}
		return server.InvalidField(
			"enabled",
			`the flag stays off, because %s; send "schedulingEnabled": false with "enabled": true to enable it now%s`,
			why, hint,
		)
	}
	if config := flag.In(
		environment,
	); *enable != flag.EnabledIn(environment) ||
		config != nil && config.Enabled != *enable {
		server.SetEnabled(flag, environment, *enable)
	}
	if !*enable && isAhead {
		cancel(flag.In(environment))
	}
	return nil
}

// enabledAfter is whether a flag is to be enabled in an environment, which is rescheduled from before to after, and nil
// where that stays as it is. A value that comes back as it was shown changes nothing.
func enabledAfter(
	before, after *v1alpha1.FeatureFlag, environment string, asked *ConfigChanges, rescheduled bool, now time.Time,
) *bool {
	_, wasAhead := server.ScheduledAt(before, environment, now)
	_, isAhead := server.ScheduledAt(after, environment, now)
	begins := rescheduled && asked.ScheduledEnableAt.Sent && !asked.ScheduledEnableAt.Null
	ends := rescheduled && asked.ScheduledDisableAt.Sent && !asked.ScheduledDisableAt.Null
	switch {
	case begins && (isAhead || asked.Enabled == nil):
		return new(true) // It is scheduled: until then it is not on.
	case asked.Enabled == nil && ends && !wasAhead:
		return nil // It is on until then, if it is enabled.
	case asked.Enabled == nil && !onBySpec(before, environment, now) && onBySpec(after, environment, now):
		return new(false) // The schedule that is gone kept it off, and off it stays.
	case asked.Enabled == nil:
		return nil
	case *asked.Enabled:
		return new(true)
	case isAhead && asked.touchesSchedule():
		return nil // It is off until then, as the request says.
	case server.OffAnyway(before, environment) && !rescheduled,
		!rescheduled && !wasAhead && !server.EnabledAt(before, environment, now):
		return nil // It was shown so.
	default:
		return new(false)
	}
}

// onBySpec reports whether a flag is on at a time, if nobody has forced it off or archived it.
func onBySpec(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	config := flag.In(environment)
	return config != nil && config.Enabled && compile.OnBySchedule(config.Schedule, now)
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

// restoreHint says how an archived flag is restored, which no path of this view does.
const restoreHint = "set spec.archived of the FeatureFlag to false first"

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
