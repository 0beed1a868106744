// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
)

// guard fails with an *Error of status 409 where a GitOps tool owns the object and would undo the write.
func (c *Cluster) guard(object metav1.Object) error {
	owner := gitops.ManagerOf(object)
	if owner == nil || c.options.AllowGitOpsWrites {
		return nil
	}
	return Errorf(http.StatusConflict, "%s owns it and would undo the change; change it in Git", owner)
}

// Switch is how a flag is switched on or off in an environment.
type Switch struct {
	// Environment is the name of the environment.
	Environment string
	// Enabled is true to switch the flag on.
	Enabled bool
	// IsOff reports whether switching a flag off changes nothing. Nil is OffAnyway.
	IsOff func(flag *v1alpha1.FeatureFlag) bool
	// Rename gives the view's names of fields.
	Rename Rename
	// IfMatch is the value of the header If-Match, and empty where there is none.
	IfMatch string
}

// Toggle switches a flag on or off in an environment, as the caller, and returns the flag as it was written. Where a
// GitOps tool owns the flag, switching off sets the annotation flags.jackstaff.dev/force-disabled, which the tool does
// not undo, and switching on removes it. Switching off a flag that is off anyway changes nothing, which is judged by what
// the API server has. It fails with an *Error like Change does.
func Toggle(
	ctx context.Context, c *Cluster, flag *v1alpha1.FeatureFlag, to Switch,
) (*v1alpha1.FeatureFlag, error) {
	isOff := to.IsOff
	if isOff == nil {
		isOff = func(flag *v1alpha1.FeatureFlag) bool { return OffAnyway(flag, to.Environment) }
	}
	// What Git says is on may be forced off, and let on again; what Git says is off stays for Git to switch on.
	isForced := func(flag *v1alpha1.FeatureFlag) bool {
		config := flag.In(to.Environment)
		return c.guard(flag) != nil && config != nil && config.Enabled
	}
	return Change(ctx, c, flag, Edit[*v1alpha1.FeatureFlag]{
		Apply: func(flag *v1alpha1.FeatureFlag) error {
			switch {
			case !to.Enabled && isOff(flag):
			case isForced(flag):
				flag.ForceDisableIn(to.Environment, !to.Enabled)
			default:
				SetEnabled(flag, to.Environment, to.Enabled)
			}
			return nil
		},
		Part: func(flag *v1alpha1.FeatureFlag) any {
			return to.Enabled && flag.EnabledIn(to.Environment) // Off is off, whoever else switches the flag.
		},
		Rename: to.Rename, IfMatch: to.IfMatch, Unguarded: isForced,
	})
}

// EnabledAt reports whether a flag is on in an environment at a time: it is enabled, and its schedule, if any, has it
// on.
func EnabledAt(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	config := flag.In(environment)
	return flag.EnabledIn(environment) && !flag.Spec.Archived && compile.OnBySchedule(config.Schedule, now)
}

// OffAnyway reports whether a flag is off in an environment and stays off, whatever becomes of its schedule: it is
// disabled, forced off or archived. To switch it off would change only what it is when the brake is lifted, or the flag
// restored.
func OffAnyway(flag *v1alpha1.FeatureFlag, environment string) bool {
	return flag.Spec.Archived || !flag.EnabledIn(environment)
}

// CheckRestored fails with an *Error of status 422 for the field where a flag is archived, so that it cannot be switched
// on. Restore says what to do, such as "restore it by PUT".
func CheckRestored(flag *v1alpha1.FeatureFlag, field, restore string) error {
	if !flag.Spec.Archived {
		return nil
	}
	return InvalidField(field, "the flag is archived and stays off; %s, then switch it on", restore)
}

// ScheduledAt is when the schedule of a flag enables it in an environment, and false where that is not ahead.
func ScheduledAt(flag *v1alpha1.FeatureFlag, environment string, now time.Time) (time.Time, bool) {
	config := flag.In(environment)
	if config == nil || config.Schedule == nil || config.Schedule.EnableAt == nil ||
		!config.Schedule.EnableAt.After(now) || compile.OnBySchedule(config.Schedule, now) {
		return time.Time{}, false
	}
	return config.Schedule.EnableAt.Time, true
}

// OffBySchedule says why a flag would be off in an environment though somebody switches it on, such as "its schedule
// enables it at 2027-01-02T15:04:05Z". It is empty where no schedule is in the way.
func OffBySchedule(flag *v1alpha1.FeatureFlag, environment string, now time.Time) string {
	config := flag.In(environment)
	if config == nil || compile.OnBySchedule(config.Schedule, now) {
		return ""
	}
	if at, ahead := ScheduledAt(flag, environment, now); ahead {
		return "its schedule enables it at " + Time(at)
	}
	return "its schedule disabled it at " + Time(config.Schedule.DisableAt.Time)
}

// SetEnabled switches a flag on or off in an environment.
func SetEnabled(flag *v1alpha1.FeatureFlag, environment string, enabled bool) {
	Part(flag, environment).Enabled = enabled
	if enabled {
		flag.ForceDisableIn(environment, false)
	}
}

// Part returns the part of a flag for an environment, which it adds where there is none. The flag is changed through
// it.
func Part(flag *v1alpha1.FeatureFlag, environment string) *v1alpha1.EnvironmentConfig {
	if config := flag.In(environment); config != nil {
		return config
	}
	flag.Spec.Environments = append(flag.Spec.Environments, v1alpha1.EnvironmentConfig{Name: environment})
	return &flag.Spec.Environments[len(flag.Spec.Environments)-1]
}
