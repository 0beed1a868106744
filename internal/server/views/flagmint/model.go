// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagmint

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// viewName names the annotation that keeps what only this view has.
const viewName = "flagmint"

// NewFlag is the body of a request to create a flag.
type NewFlag struct {
	Name              string                     `json:"name" minLength:"1" maxLength:"256" doc:"The name for people."`
	Key               string                     `json:"key,omitempty" minLength:"1" maxLength:"128" doc:"What code asks for. Default: made from the name."`
	Type              string                     `json:"type,omitempty" enum:"boolean" doc:"The type of the values. The template ab_test takes it from flavor."`
	Description       *string                    `json:"description,omitempty" nullable:"true" maxLength:"4096" doc:"What the flag does."`
	IsActive          *bool                      `json:"is_active,omitempty" doc:"Enables the flag. Default false, and true with the template kill_switch."`
	ClientSideEnabled *bool                      `json:"client_side_enabled,omitempty" doc:"Whether client SDK keys receive the flag. Default true."`
	AnalyticsEnabled  bool                       `json:"analytics_enabled,omitempty" doc:"Kept with the flag. Default false."`
	Metadata          map[string]json.RawMessage `json:"metadata,omitempty" doc:"Kept with the flag."`
	EnvID             string                     `json:"envId,omitempty" minLength:"1" doc:"The only environment in which the flag is created: a UID or name."`
	Template          string                     `json:"template,omitempty" enum:"gradual_rollout,kill_switch,ab_test" doc:"What the flag begins with."`
	Flavor            string                     `json:"flavor,omitempty" doc:"The type of the variations of the template ab_test, which needs it: boolean, string, number or json. Else it means nothing."`
}

// Flag is a flag.
type Flag struct {
	ID                string                     `json:"id" doc:"The UID of the FeatureFlag."`
	ProjectID         string                     `json:"project_id" doc:"The UID of the namespace."`
	Name              string                     `json:"name" doc:"The name for people."`
	Key               string                     `json:"key" doc:"What code asks for."`
	Type              string                     `json:"type" enum:"boolean,string,number,json" doc:"The type of the values."`
	Description       *string                    `json:"description" doc:"What the flag does."`
	IsActive          bool                       `json:"is_active" doc:"Whether the flag is enabled in any environment."`
	ClientSideEnabled bool                       `json:"client_side_enabled" doc:"Whether client SDK keys receive the flag."`
	AnalyticsEnabled  bool                       `json:"analytics_enabled" doc:"What was given when the flag was created."`
	Metadata          map[string]json.RawMessage `json:"metadata" doc:"What was given when the flag was created."`
	CreatedAt         time.Time                  `json:"created_at" doc:"When the flag was created."`
	UpdatedAt         time.Time                  `json:"updated_at" doc:"When the flag was last changed."`
	ArchivedAt        *time.Time                 `json:"archived_at" doc:"When the flag was archived, and null while it is not."`
	DeletedAt         *time.Time                 `json:"deleted_at" doc:"When the deletion of the flag was asked for, and null while it was not."`
	Environments      []Environment              `json:"environments" nullable:"false" doc:"The environments that have a part of the flag."`
	ManagedBy         *gitops.Manager            `json:"managed_by,omitempty" doc:"The GitOps tool that owns the flag and would undo changes."`
}

// Environment is the part of a flag for one environment.
type Environment struct {
	ID               string  `json:"id" doc:"The UID of the FlagEnvironment."`
	Key              string  `json:"key" doc:"Its name."`
	Name             string  `json:"name" doc:"The name for people."`
	IsActive         bool    `json:"is_active" doc:"Whether the flag is on."`
	DefaultVariation *string `json:"default_variation" doc:"The key of the variation that is served when no rule matches. Null: the code's own default is."`
	Rules            []Rule  `json:"rules" nullable:"false" doc:"The rules in the order of the FeatureFlag."`
}

// Rule says who gets which variation.
type Rule struct {
	ID     string  `json:"id" doc:"The name of the rule in the FeatureFlag."`
	Name   string  `json:"name" doc:"The name for people."`
	Type   string  `json:"type" enum:"ab_test,targeted_delivery" doc:"What the rule is for."`
	Shares []Share `json:"shares" nullable:"false" doc:"What the rule serves."`
}

// Share is one variation's share of a rule.
type Share struct {
	Variation string `json:"variation" doc:"The key of the variation."`
	Weight    int32  `json:"weight" doc:"Its weight relative to the others."`
}

// kept is what only this view has.
type kept struct {
	AnalyticsEnabled bool                       `json:"analytics_enabled"`
	Metadata         map[string]json.RawMessage `json:"metadata,omitempty"`
}

// types are the view's names for types.
var types = map[string]v1alpha1.FlagType{
	"boolean": v1alpha1.FlagTypeBoolean,
	"string":  v1alpha1.FlagTypeString,
	"number":  v1alpha1.FlagTypeNumber,
	"json":    v1alpha1.FlagTypeJSON,
}

// experiments are the variations with which a flag of the template ab_test begins, by type.
var experiments = map[v1alpha1.FlagType][]v1alpha1.Variation{
	v1alpha1.FlagTypeBoolean: {variation("off", `false`), variation("on", `true`)},
	v1alpha1.FlagTypeString:  {variation("control", `"control"`), variation("treatment", `"treatment"`)},
	v1alpha1.FlagTypeNumber:  {variation("control", `0`), variation("treatment", `1`)},
	v1alpha1.FlagTypeJSON: {
		variation("control", `{"variant":"control"}`),
		variation("treatment", `{"variant":"treatment"}`),
	},
}

func variation(key, value string) v1alpha1.Variation {
	return v1alpha1.Variation{Key: key, Value: v1alpha1.JSON{Raw: []byte(value)}}
}

// create makes the flag of a request, with a part for each environment in which it is created. The template
// gradual_rollout seeds its rule in all environments, and enables it only within. It fails with an *Error where the
// template lacks its flavor, or where there is more to keep than an annotation holds.
func (n *NewFlag) create(within, all []*v1alpha1.FlagEnvironment) (*v1alpha1.FeatureFlag, error) {
	flag := &v1alpha1.FeatureFlag{Spec: v1alpha1.FeatureFlagSpec{
		Key: n.Key, DisplayName: n.Name, Type: v1alpha1.FlagTypeBoolean, Runtime: v1alpha1.RuntimeAll,
		Variations: experiments[v1alpha1.FlagTypeBoolean], DefaultVariation: "off",
	}}
	if n.Description != nil {
		flag.Spec.Description = *n.Description
	}
	if n.ClientSideEnabled != nil && !*n.ClientSideEnabled {
		flag.Spec.Runtime = v1alpha1.RuntimeServer
	}
	part := v1alpha1.EnvironmentConfig{Enabled: n.IsActive != nil && *n.IsActive}
	switch n.Template {
	case "gradual_rollout":
		part.Rules = []v1alpha1.Rule{{
			Name: "gradual-rollout", DisplayName: "Gradual rollout",
			Split: []v1alpha1.SplitEntry{{Variation: "on", Weight: 0}, {Variation: "off", Weight: 100}},
		}}
	case "kill_switch":
		flag.Spec.Classification, part.DefaultVariation, part.Enabled = v1alpha1.ClassificationKillSwitch, "on", n.IsActive == nil ||
			*n.IsActive
	case "ab_test":
		if err := n.checkFlavor(); err != nil {
			return nil, err
		}
		flag.Spec.Classification, flag.Spec.Type = v1alpha1.ClassificationExperiment, types[n.Flavor]
		flag.Spec.Variations = experiments[flag.Spec.Type]
		flag.Spec.DefaultVariation = flag.Spec.Variations[0].Key
		part.Rules = []v1alpha1.Rule{
			{
				Name:        "ab-test",
				DisplayName: "A/B test",
				Type:        v1alpha1.RuleTypeABTest,
				Split: []v1alpha1.SplitEntry{
					{Variation: flag.Spec.Variations[0].Key, Weight: 50},
					{Variation: flag.Spec.Variations[1].Key, Weight: 50},
				},
			},
		}
	}
	seeded := within
	if n.Template == "gradual_rollout" {
		seeded = all
	}
	enabled := part.Enabled
	for _, environment := range seeded {
		part.Name = environment.Name
		part.Enabled = enabled && slices.ContainsFunc(within, func(other *v1alpha1.FlagEnvironment) bool {
			return other.Name == environment.Name
		})
		flag.Spec.Environments = append(flag.Spec.Environments, *part.DeepCopy())
	}
	flag = flag.DeepCopy() // The variations are everybody's.
	if n.AnalyticsEnabled || len(n.Metadata) > 0 {
		if err := server.SetViewFields(
			flag,
			viewName,
			kept{AnalyticsEnabled: n.AnalyticsEnabled, Metadata: n.Metadata},
		); err != nil {
			return nil, server.InvalidField("metadata", "%v", err)
		}
	}
	return flag, nil
}

// checkFlavor refuses an experiment without a type that is known.
func (n *NewFlag) checkFlavor() error {
	if types[n.Flavor] != "" {
		return nil
	}
	return server.InvalidField("flavor", "the template ab_test needs one: boolean, string, number or json")
}

// show makes a flag of a project with those environments.
func show(
	flag *v1alpha1.FeatureFlag, project *server.Project, environments []*v1alpha1.FlagEnvironment, now time.Time,
) *Flag {
	fields := server.ViewFields[kept](flag, viewName)
	shown := &Flag{
		ID: string(
			flag.UID,
		),
		ProjectID:         string(project.UID),
		Name:              cmp.Or(flag.Spec.DisplayName, flag.Key()),
		Key:               flag.Key(),
		Type:              strings.ToLower(string(flag.Spec.Type)),
		ClientSideEnabled: flag.Spec.Runtime != v1alpha1.RuntimeServer,
		AnalyticsEnabled:  fields.AnalyticsEnabled,
		Metadata:          fields.Metadata,
		CreatedAt:         flag.CreationTimestamp.UTC(),
		UpdatedAt:         server.UpdatedAt(flag).UTC(),
		ArchivedAt:        archivedAt(flag),
		DeletedAt:         timeOf(flag.DeletionTimestamp),
		Environments:      []Environment{},
		ManagedBy:         gitops.ManagerOf(flag),
	}
	if shown.Metadata == nil {
		shown.Metadata = map[string]json.RawMessage{}
	}
	if flag.Spec.Description != "" {
		shown.Description = &flag.Spec.Description
	}
	for _, environment := range environments {
		if config := flag.In(environment.Name); config != nil {
			shown.Environments = append(shown.Environments, showPart(flag, config, environment, now))
		}
	}
	shown.IsActive = slices.ContainsFunc(shown.Environments, func(part Environment) bool { return part.IsActive })
	return shown
}

func showPart(
	flag *v1alpha1.FeatureFlag,
	config *v1alpha1.EnvironmentConfig,
	environment *v1alpha1.FlagEnvironment,
	now time.Time,
) Environment {
	shown := Environment{
		ID:               string(environment.UID),
		Key:              environment.Name,
		Name:             cmp.Or(environment.Spec.DisplayName, environment.Name),
		IsActive:         server.EnabledAt(flag, environment.Name, now),
		DefaultVariation: server.DefaultIn(flag, environment.Name),
		Rules:            []Rule{},
	}
	for i := range config.Rules {
		shown.Rules = append(shown.Rules, showRule(&config.Rules[i]))
	}
	return shown
}

func showRule(rule *v1alpha1.Rule) Rule {
	shown := Rule{ID: rule.Name, Name: cmp.Or(rule.DisplayName, rule.Name), Type: "targeted_delivery", Shares: []Share{}}
	if rule.Type == v1alpha1.RuleTypeABTest {
		shown.Type = "ab_test"
	}
	if rule.Variation != "" {
		shown.Shares = append(shown.Shares, Share{Variation: rule.Variation, Weight: 100})
	}
	for _, entry := range rule.Split {
		shown.Shares = append(shown.Shares, Share{Variation: entry.Variation, Weight: entry.Weight})
	}
	return shown
}

// archivedAt is when a flag was archived. The operator says it a moment later; until then the last change is it.
func archivedAt(flag *v1alpha1.FeatureFlag) *time.Time {
	switch {
	case !flag.Spec.Archived:
		return nil
	case flag.Status.ArchivedTime == nil:
		return new(server.UpdatedAt(flag).UTC())
	default:
		return timeOf(flag.Status.ArchivedTime)
	}
}

func timeOf(at *metav1.Time) *time.Time {
	if at == nil {
		return nil
	}
	return new(at.UTC())
}

// rename gives the view's names for fields.
func rename(path string) string {
	switch path = strings.TrimPrefix(path, "spec."); path {
	case "displayName":
		return "name"
	case "runtime":
		return "client_side_enabled"
	}
	return path
}
