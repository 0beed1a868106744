// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// RuleInput is a new rule.
type RuleInput struct {
	Type              string      `json:"type" enum:"AB_TEST,TARGETED_DELIVERY"`
	Name              string      `json:"name" minLength:"1"`
	TrafficAllocation *float64    `json:"trafficAllocation,omitempty" minimum:"0" maximum:"1" doc:"The share of users that the rule includes. Default 1."`
	Variations        []Share     `json:"variations" nullable:"false" minItems:"1" doc:"The percentages sum to 1."`
	AudienceIDs       []string    `json:"audienceIds,omitempty" doc:"Users must be in one of these. Default: everybody."`
	Conditions        []Condition `json:"conditions,omitempty" doc:"All must hold."`
	HashAttribute     *string     `json:"hashAttribute,omitempty" doc:"The attribute that identifies users. Default targetingKey."`
	SortOrder         *int        `json:"sortOrder,omitempty" minimum:"0" doc:"Where the rule stands. Default: last."`
	Enabled           *bool       `json:"enabled,omitempty" doc:"Default true."`
}

// RuleChanges is what a request says of a rule. What it leaves out stays.
type RuleChanges struct {
	Type              *string                 `json:"type,omitempty" enum:"AB_TEST,TARGETED_DELIVERY"`
	Name              *string                 `json:"name,omitempty" minLength:"1" doc:"The id stays, and with it who gets what."`
	TrafficAllocation *float64                `json:"trafficAllocation,omitempty" minimum:"0" maximum:"1"`
	Variations        []Share                 `json:"variations,omitempty" minItems:"1" nullable:"false" doc:"The percentages sum to 1."`
	AudienceIDs       []string                `json:"audienceIds,omitempty" nullable:"false"`
	Conditions        []Condition             `json:"conditions,omitempty" nullable:"false"`
	HashAttribute     server.Optional[string] `json:"hashAttribute,omitzero" doc:"Null: targetingKey."`
	SortOrder         *int                    `json:"sortOrder,omitempty" minimum:"0"`
	Enabled           *bool                   `json:"enabled,omitempty"`
	ID                json.RawMessage         `json:"id,omitempty" doc:"Read-only: it may be sent back as it was read."`
}

type createRuleInput struct {
	EnvironmentPath
	Precondition
	Body RuleInput
}

type updateRuleInput struct {
	RulePath
	Precondition
	Body RuleChanges
}

type deleteRuleInput struct {
	RulePath
	Precondition
}

type reorderInput struct {
	EnvironmentPath
	Precondition
	Body struct {
		RuleIDs []string `json:"ruleIds" nullable:"false" doc:"Every rule once, in the new order."`
	}
}

func (v *view) registerRules(api *server.View) {
	server.Register(api, creation("create-rule", environmentPath+"/rules", "Create a rule"), v.createRule)
	server.Register(
		api,
		operation("reorder-rules", http.MethodPut, environmentPath+"/rules/reorder", "Put rules in another order"),
		v.reorderRules,
	)
	server.Register(api, operation("update-rule", http.MethodPatch, rulePath, "Change a rule"), v.updateRule)
	server.Register(api, operation("delete-rule", http.MethodDelete, rulePath, "Delete a rule"), v.deleteRule)
}

func (v *view) createRule(ctx context.Context, input *createRuleInput) (*tagged[Rule], error) {
	of, err := v.target(ctx, &input.EnvironmentPath)
	if err != nil {
		return nil, err
	}
	body := &input.Body
	changes := &RuleChanges{
		Type:              &body.Type,
		Name:              &body.Name,
		TrafficAllocation: body.TrafficAllocation,
		Variations:        body.Variations,
		AudienceIDs:       body.AudienceIDs,
		Conditions:        body.Conditions,
		SortOrder:         body.SortOrder,
		Enabled:           body.Enabled,
	}
	if body.HashAttribute != nil {
		changes.HashAttribute = server.Optional[string]{Sent: true, Value: *body.HashAttribute}
	}
	audiences, err := v.audienceNames(ctx, of.project, body.AudienceIDs)
	if err != nil {
		return nil, err
	}
	label := ""
	flag, err := v.change(ctx, of.flag, edit{ifMatch: input.IfMatch, apply: func(flag *v1alpha1.FeatureFlag) error {
		config := server.Part(flag, of.environment.Name)
		label = server.Label(body.Name, "rule", func(label string) bool {
			return slices.ContainsFunc(config.Rules, func(rule v1alpha1.Rule) bool { return rule.Name == label })
		})
		config.Rules = append(config.Rules, v1alpha1.Rule{Name: label, Traffic: "100%"})
		return applyRule(flag, config, len(config.Rules)-1, changes, audiences)
	}})
	if err != nil {
		return nil, err
	}
	return v.answerRule(ctx, of, flag, label)
}

// answerRule shows a rule of a flag.
func (v *view) answerRule(
	ctx context.Context,
	of *target,
	flag *v1alpha1.FeatureFlag,
	name string,
) (*tagged[Rule], error) {
	around, err := v.surroundings(ctx, of.project, flag)
	if err != nil {
		return nil, err
	}
	config := flag.In(of.environment.Name)
	place, err := ruleAt(config, name)
	if err != nil {
		return nil, err
	}
	return &tagged[Rule]{ETag: server.ETag(flag), Body: Data[Rule]{showRule(config, place, around)}}, nil
}

// audienceNames are the names of the audiences that ids stand for.
func (v *view) audienceNames(ctx context.Context, project *server.Project, ids []string) ([]string, error) {
	names := make([]string, 0, len(ids))
	for i, id := range ids {
		audience, err := v.cluster.Audience(ctx, project, id)
		if refused := (*server.Error)(nil); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
			return nil, server.InvalidField(fmt.Sprintf("audienceIds[%d]", i), "%s", refused.Message)
		}
		if err != nil {
			return nil, err
		}
		names = append(names, audience.Name)
	}
	return names, nil
}

// applyRule changes the rule at a place, and its place where that is asked. Audiences are the names of those asked for.
func applyRule(
	flag *v1alpha1.FeatureFlag,
	config *v1alpha1.EnvironmentConfig,
	place int,
	asked *RuleChanges,
	audiences []string,
) error {
	rule := &config.Rules[place]
	if asked.Name != nil && *asked.Name != ruleName(rule) {
		rule.DisplayName = *asked.Name
	}
	if asked.Type != nil {
		rule.Type = ruleTypes.kind(*asked.Type)
	}
	if asked.Enabled != nil && *asked.Enabled != (rule.Enabled == nil || *rule.Enabled) {
		rule.Enabled = asked.Enabled
	}
	if asked.TrafficAllocation != nil {
		if err := setTraffic(rule, *asked.TrafficAllocation); err != nil {
			return err
		}
	}
	if asked.Variations != nil {
		if err := setShares(rule, flag, asked.Variations); err != nil {
			return err
		}
	}
	if asked.AudienceIDs != nil {
		rule.Audiences = audiences
	}
	if asked.Conditions != nil {
		rule.Conditions = readConditions(asked.Conditions)
	}
	if asked.HashAttribute.Sent && asked.HashAttribute.Value != cmp.Or(rule.HashAttribute, targetingKey) {
		rule.HashAttribute = asked.HashAttribute.Value
	}
	if asked.SortOrder != nil {
		moved := *rule
		config.Rules = slices.Delete(config.Rules, place, place+1)
		config.Rules = slices.Insert(config.Rules, min(*asked.SortOrder, len(config.Rules)), moved)
	}
	return nil
}

func (v *view) updateRule(ctx context.Context, input *updateRuleInput) (*tagged[Rule], error) {
	of, name, err := v.rule(ctx, &input.RulePath)
	if err != nil {
		return nil, err
	}
	audiences, err := v.audienceNames(ctx, of.project, input.Body.AudienceIDs)
	if err != nil {
		return nil, err
	}
	if err := server.CheckReadOnly(
		struct {
			ID json.RawMessage `json:"id,omitempty"`
		}{input.Body.ID},
		struct {
			ID string `json:"id"`
		}{name},
		nil,
	); err != nil {
		return nil, err
	}
	flag, err := v.change(ctx, of.flag, edit{
		ifMatch: input.IfMatch,
		part:    rulePart(of.environment.Name, name),
		apply: func(flag *v1alpha1.FeatureFlag) error {
			config := server.Part(flag, of.environment.Name)
			place, err := ruleAt(config, name)
			if err != nil {
				return err
			}
			return applyRule(flag, config, place, &input.Body, audiences)
		},
	})
	if err != nil {
		return nil, err
	}
	return v.answerRule(ctx, of, flag, name)
}

// rule finds the rule of a path, and returns its name.
func (v *view) rule(ctx context.Context, path *RulePath) (*target, string, error) {
	of, err := v.target(ctx, &path.EnvironmentPath)
	if err != nil {
		return nil, "", err
	}
	config := of.flag.In(of.environment.Name)
	place, err := ruleAt(config, path.RuleID)
	if err != nil {
		return nil, "", err
	}
	return of, config.Rules[place].Name, nil
}

// rulePart is a rule of a flag.
func rulePart(environment, name string) func(*v1alpha1.FeatureFlag) any {
	return func(flag *v1alpha1.FeatureFlag) any {
		config := flag.In(environment)
		place, err := ruleAt(config, name)
		if err != nil {
			return nil
		}
		return config.Rules[place]
	}
}

func (v *view) deleteRule(ctx context.Context, input *deleteRuleInput) (*struct{}, error) {
	of, name, err := v.rule(ctx, &input.RulePath)
	if err != nil {
		return nil, err
	}
	_, err = v.change(ctx, of.flag, edit{
		ifMatch: input.IfMatch,
		part:    rulePart(of.environment.Name, name),
		apply: func(flag *v1alpha1.FeatureFlag) error {
			config := server.Part(flag, of.environment.Name)
			config.Rules = slices.DeleteFunc(config.Rules, func(rule v1alpha1.Rule) bool { return rule.Name == name })
			return nil
		},
	})
	return nil, err
}

func (v *view) reorderRules(ctx context.Context, input *reorderInput) (*tagged[[]Rule], error) {
	of, err := v.target(ctx, &input.EnvironmentPath)
	if err != nil {
		return nil, err
	}
	name := of.environment.Name
	flag, err := v.change(ctx, of.flag, edit{
		ifMatch: input.IfMatch,
		part: func(flag *v1alpha1.FeatureFlag) any {
			var order []string
			if config := flag.In(name); config != nil {
				for i := range config.Rules {
					order = append(order, config.Rules[i].Name)
				}
			}
			return order
		},
		apply: func(flag *v1alpha1.FeatureFlag) error { return reorder(flag.In(name), input.Body.RuleIDs) },
	})
	if err != nil {
		return nil, err
	}
	around, err := v.surroundings(ctx, of.project, flag)
	if err != nil {
		return nil, err
	}
	return &tagged[[]Rule]{
		ETag: server.ETag(flag),
		Body: Data[[]Rule]{showConfig(flag, of.environment, around, v.clock.Now()).Rules},
	}, nil
}

// reorder puts rules in an order that names each of them once.
func reorder(config *v1alpha1.EnvironmentConfig, ids []string) error {
	ordered, named := make([]v1alpha1.Rule, 0, len(ids)), map[string]bool{}
	for i, id := range ids {
		place, err := ruleAt(config, id)
		if err != nil {
			return server.InvalidField(fmt.Sprintf("ruleIds[%d]", i), "%s", err)
		}
		rule := config.Rules[place]
		if named[rule.Name] {
			return server.InvalidField(fmt.Sprintf("ruleIds[%d]", i), "rule %q is there twice", id)
		}
		named[rule.Name] = true
		ordered = append(ordered, rule)
	}
	if config == nil {
		return nil
	}
	for i := range config.Rules {
		if !named[config.Rules[i].Name] {
			return server.InvalidField("ruleIds", "rule %q is missing", config.Rules[i].Name)
		}
	}
	config.Rules = ordered
	return nil
}
