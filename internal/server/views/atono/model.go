// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package atono

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// The types of resources.
const (
	flagType  = "flag"
	sliceType = "flag_environment"
)

// The configurations of a flag in an environment.
const (
	on    = "on"
	off   = "off"
	mixed = "MIXED"
)

// Flag is a flag.
type Flag struct {
	Type          string            `json:"type" enum:"flag"`
	ID            string            `json:"id" doc:"The UID of the FeatureFlag."`
	Attributes    FlagAttributes    `json:"attributes"`
	Relationships FlagRelationships `json:"relationships"`
	Meta          *FlagMeta         `json:"meta,omitempty"`
}

// FlagAttributes are what a flag is.
type FlagAttributes struct {
	Key       string                     `json:"key" doc:"What code asks for."`
	Summary   *string                    `json:"summary" doc:"What the flag does, and null where nobody says."`
	Variants  map[string]json.RawMessage `json:"variants" doc:"The values by their names."`
	CreatedAt time.Time                  `json:"createdAt" doc:"When the flag was created."`
	UpdatedAt time.Time                  `json:"updatedAt" doc:"When the flag was last changed."`
}

// FlagRelationships lead from a flag to its environments.
type FlagRelationships struct {
	Slices SlicesRelationship `json:"slices"`
}

// SlicesRelationship leads from a flag to its environments.
type SlicesRelationship struct {
	Links SelfLink     `json:"links"`
	Data  []Identifier `json:"data" nullable:"false"`
}

// FlagMeta is what JSON:API has no other place for.
type FlagMeta struct {
	Archived  bool            `json:"archived,omitempty" doc:"The flag is archived: no environment has it."`
	ManagedBy *gitops.Manager `json:"managedBy,omitempty" doc:"The GitOps tool that owns the flag and would undo changes."`
}

// Slice is the configuration of a flag in an environment.
type Slice struct {
	Type          string             `json:"type" enum:"flag_environment"`
	ID            string             `json:"id" doc:"The UUIDv5 of the environment's UID in the flag's."`
	Attributes    SliceAttributes    `json:"attributes"`
	Relationships SliceRelationships `json:"relationships"`
	Meta          SliceMeta          `json:"meta"`
}

// SliceAttributes are what a flag does in an environment.
type SliceAttributes struct {
	Configuration string `json:"configuration" enum:"on,off,MIXED" doc:"On and off where everybody gets the same, off where that is the flag's default."`
}

// SliceRelationships lead from an environment to the flag.
type SliceRelationships struct {
	Flag FlagRelationship `json:"flag"`
}

// FlagRelationship leads from an environment to the flag.
type FlagRelationship struct {
	Links RelatedLink `json:"links"`
	Data  Identifier  `json:"data"`
}

// SliceMeta says which environment it is.
type SliceMeta struct {
	EnvironmentCode string `json:"environmentCode" doc:"The name of the environment."`
}

// Identifier names a resource.
type Identifier struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// SelfLink is where the related resources are.
type SelfLink struct {
	Self string `json:"self"`
}

// RelatedLink is where the related resource is.
type RelatedLink struct {
	Related string `json:"related"`
}

// SliceUpdate is the body of a request to switch a flag on or off.
type SliceUpdate struct {
	Data struct {
		SliceReadOnly
		Type       string `json:"type" doc:"flag_environment."`
		ID         string `json:"id,omitempty" doc:"Where it is given, that of the resource of the path."`
		Attributes struct {
			Configuration string `json:"configuration" enum:"on,off,MIXED" doc:"On or off. MIXED is what rules make, and cannot be set."`
		} `json:"attributes"`
	} `json:"data"`
	JSONAPI json.RawMessage `json:"jsonapi,omitempty" doc:"The version of JSON:API that the client speaks. Not looked at."`
	Meta    json.RawMessage `json:"meta,omitempty" doc:"Not looked at."`
	Links   json.RawMessage `json:"links,omitempty" doc:"Not looked at."`
}

// isSentBack reports whether a body is the resource as it was read: with what nobody writes who only wants a change.
func (u *SliceUpdate) isSentBack() bool { return u.Data.Relationships != nil || u.Data.Meta != nil }

// SliceReadOnly are what a flag_environment has beside its configuration. They may be sent back as they were read.
type SliceReadOnly struct {
	Relationships json.RawMessage `json:"relationships,omitempty" doc:"Read-only."`
	Meta          json.RawMessage `json:"meta,omitempty" doc:"Read-only."`
	Links         json.RawMessage `json:"links,omitempty" doc:"Not looked at."`
}

func path(flag *v1alpha1.FeatureFlag) string { return "/api/v1/flags/" + string(flag.UID) }

// showFlag makes a flag that leads to the environments.
func showFlag(flag *v1alpha1.FeatureFlag, environments []*v1alpha1.FlagEnvironment) *Flag {
	shown := &Flag{
		Type: flagType,
		ID:   string(flag.UID),
		Attributes: FlagAttributes{
			Key:       flag.Key(),
			Variants:  map[string]json.RawMessage{},
			CreatedAt: flag.CreationTimestamp.UTC(),
			UpdatedAt: server.UpdatedAt(flag).UTC(),
		},
		Relationships: FlagRelationships{
			Slices: SlicesRelationship{Links: SelfLink{Self: path(flag) + "/environments"}, Data: []Identifier{}},
		},
	}
	if flag.Spec.Description != "" {
		shown.Attributes.Summary = &flag.Spec.Description
	}
	for i := range flag.Spec.Variations {
		shown.Attributes.Variants[flag.Spec.Variations[i].Key] = flag.Spec.Variations[i].Value.Raw
	}
	for _, environment := range environments {
		shown.Relationships.Slices.Data = append(
			shown.Relationships.Slices.Data,
			Identifier{Type: sliceType, ID: sliceID(flag, environment)},
		)
	}
	if meta := (FlagMeta{Archived: flag.Spec.Archived, ManagedBy: gitops.ManagerOf(flag)}); meta != (FlagMeta{}) {
		shown.Meta = &meta
	}
	return shown
}

// showSlice makes the configuration of a flag in an environment.
func showSlice(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment, now time.Time) *Slice {
	return &Slice{
		Type: sliceType, ID: sliceID(flag, environment),
		Attributes: SliceAttributes{Configuration: configuration(flag, environment.Name, now)},
		Relationships: SliceRelationships{Flag: FlagRelationship{
			Links: RelatedLink{Related: path(flag)}, Data: Identifier{Type: flagType, ID: string(flag.UID)},
		}},
		Meta: SliceMeta{EnvironmentCode: environment.Name},
	}
}

// sliceID is the id of a flag's configuration in an environment: a UUID of version 5 (RFC 9562, section 5.5) in the
// flag's namespace.
func sliceID(flag *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment) string {
	namespace, err := uuid.Parse(string(flag.UID))
	if err != nil {
		namespace = uuid.Nil // UIDs are UUIDs.
	}
	return uuid.NewSHA1(namespace, []byte(environment.UID)).String()
}

// configuration sums up what a flag serves in an environment, like its status, which comes later. Of a flag that is not
// valid, and so keeps serving what it did, only the status knows.
func configuration(flag *v1alpha1.FeatureFlag, environment string, now time.Time) string {
	summed, _ := summedUp(flag, environment, now)
	return summed
}

// staysOff reports whether off changes nothing that anybody sees, now or later: off is what is shown, that is known, and
// no schedule is ahead. A flag of which nobody knows what it serves is switched off.
func staysOff(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	_, isAhead := server.ScheduledAt(flag, environment, now)
	return server.OffAnyway(flag, environment) || !isAhead && isShownOff(flag, environment, now)
}

// isShownOff reports whether off is what is shown, and that is known.
func isShownOff(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	summed, known := summedUp(flag, environment, now)
	return summed == off && known
}

// summedUp is the configuration of a flag in an environment, and whether it is known.
func summedUp(flag *v1alpha1.FeatureFlag, environment string, now time.Time) (string, bool) {
	if flag.Spec.Archived {
		return off, true
	}
	var summed v1alpha1.Configuration
	form, err := compile.Flag(flag, environment)
	i := slices.IndexFunc(
		flag.Status.Environments,
		func(state v1alpha1.EnvironmentState) bool { return state.Name == environment },
	)
	switch {
	case err == nil:
		summed = compile.Configuration(form, now)
	case i >= 0:
		summed = flag.Status.Environments[i].Wanted.Configuration
	default:
		return off, false
	}
	switch summed {
	case v1alpha1.ConfigurationOn:
		return on, true
	case v1alpha1.ConfigurationMixed:
		return mixed, true
	case v1alpha1.ConfigurationOff:
	}
	return off, true
}

// isOnOnceEnabled reports whether a flag that is enabled in an environment serves everybody one variation other than
// its default.
func isOnOnceEnabled(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	enabled := flag.DeepCopy()
	server.SetEnabled(enabled, environment, true)
	return configuration(enabled, environment, now) == on
}

// turnOn makes a flag serve everybody in an environment the variation on, or the first one that is not its default. It
// fails with an *Error of status 422 where there is no such variation, and where that would lose what decides in the
// environment, unless replace is true.
func turnOn(flag *v1alpha1.FeatureFlag, environment string, replace bool) error {
	variation, err := onVariation(flag)
	if err != nil {
		return err
	}
	if lost := decides(flag.In(environment)); len(lost) > 0 && !replace {
		return server.InvalidField(
			field,
			"the flag has %s in environment %q, which this would remove; ask for it with ?replace=true",
			strings.Join(lost, ", "),
			environment,
		)
	}
	part := server.Part(flag, environment)
	// Switched off again, the flag leaves the value to the code as before.
	*part = v1alpha1.EnvironmentConfig{Name: environment, DefaultVariation: variation, CodeDefault: part.CodeDefault}
	server.SetEnabled(flag, environment, true)
	return nil
}

// decides says what decides who gets which variation in an environment.
func decides(config *v1alpha1.EnvironmentConfig) []string {
	var found []string
	if config == nil {
		return found
	}
	for _, part := range []struct {
		name  string
		count int
	}{{"rules", len(config.Rules)}, {"overrides", len(config.Overrides)}, {"prerequisites", len(config.Prerequisites)}} {
		if part.count > 0 {
			found = append(found, fmt.Sprintf("%s (%d)", part.name, part.count))
		}
	}
	if config.Schedule != nil {
		found = append(found, "a schedule")
	}
	return found
}

// onVariation is the variation that everybody gets where a flag is on.
func onVariation(flag *v1alpha1.FeatureFlag) (string, error) {
	if flag.Spec.DefaultVariation == on {
		return "", server.InvalidField(
			field,
			"the flag serves the variation %q while it is off; change its default variation first",
			on,
		)
	}
	found := ""
	for i := range flag.Spec.Variations {
		switch key := flag.Spec.Variations[i].Key; {
		case key == on:
			return on, nil
		case found == "" && key != flag.Spec.DefaultVariation:
			found = key
		}
	}
	if found == "" {
		return "", server.InvalidField(field, "the flag has no variation but the one that it serves while it is off")
	}
	return found, nil
}
