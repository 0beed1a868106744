// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Answer is what a flag is for somebody.
type Answer struct {
	Key string
	// Value is true, false or the variant.
	Value any
	// code is PostHog's reason, and index the group that decided.
	code  string
	index *int

	id, version int64
	payload     *string
}

// The codes of reasons.
const (
	conditionMatch    = "condition_match"
	outOfRollout      = "out_of_rollout_bound"
	noConditionMatch  = "no_condition_match"
	flagDisabled      = "flag_disabled"
	missingDependency = "missing_dependency"
)

// descriptions are what the codes say.
var descriptions = map[string]string{
	conditionMatch:    "Matched condition set",
	outOfRollout:      "Out of rollout bound",
	noConditionMatch:  "No matching condition set",
	flagDisabled:      "Feature flag is disabled",
	missingDependency: "A flag that it depends on is missing",
}

// evaluated is the answer in PostHog's form.
func (a *Answer) evaluated() Evaluated {
	e := Evaluated{
		Key:      a.Key,
		Enabled:  a.Value != false,
		Reason:   EvaluatedReason{Code: a.code, ConditionIndex: a.index, Description: descriptions[a.code]},
		Metadata: EvaluatedMetadata{ID: a.id, Version: a.version, Payload: a.payload},
	}
	if a.index != nil {
		e.Reason.Description = fmt.Sprintf("%s %d", e.Reason.Description, *a.index+1)
	}
	if variant, is := a.Value.(string); is {
		e.Variant = &variant
	}
	return e
}

// answers evaluates the flags that are wanted, by key and evaluation tags, with the published engine.
func (c *Clients) answers(
	ctx context.Context,
	of *access,
	attributes map[string]any,
	wanted func(key string, tags func() []string) bool,
) ([]Answer, error) {
	if of.served == nil {
		return nil, nil
	}
	published, err := c.Published.Of(of.served)
	if err != nil {
		return nil, err
	}
	objects, err := c.objects(ctx, of.project.Name)
	if err != nil {
		return nil, err
	}
	engine, now := of.served.Engine(), c.clock.Now()
	if of.isKey && of.key == store.ClientKey {
		engine = of.served.ClientEngine()
	}
	if err := wire.CheckContext(attributes); err != nil {
		return nil, server.InvalidField("person_properties", "%v", err)
	}
	attributes = withNulls(attributes)
	spending := c.server.Spend(ctx, of.served, server.StepsOfAll)
	defer spending.End()
	var answers []Answer
	for flag := range engine.Flags() {
		form, object := published.Document.Flags[flag.Key], objects[flag.Key]
		if form == nil || !wanted(flag.Key, func() []string { return evaluationTags(object) }) {
			continue
		}
		result, err := flag.EvaluateWithin(attributes, now, &spending.Budget)
		if err != nil {
			return nil, server.Refusal(err)
		}
		c.Telemetry.Evaluated(of.served, &result, attributes, now)
		a := Answer{Key: flag.Key, Value: ValueFor(form, &result)}
		a.code, a.index = published.reason(form, &result, a.Value)
		if a.code == noConditionMatch {
			explanation, err := flag.ExplainWithin(attributes, now, &spending.Budget)
			if err != nil {
				return nil, server.Refusal(err)
			}
			if isOutOfTraffic(explanation) {
				a.code = outOfRollout
			}
		}
		if object != nil {
			a.id, a.version = lookup.IDOf(object.UID), object.Generation
		}
		if a.Value != false && len(result.Variation.Payload) > 0 {
			a.payload = new(filters.AsText(result.Variation.Payload))
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// isNull stands for a property that is null: for PostHog it is set, and for the engine a value of another type than
// those that operators look at.
type isNull struct{}

// withNulls returns attributes in which properties that are null are set.
func withNulls(attributes map[string]any) map[string]any {
	var set map[string]any
	for name, value := range attributes {
		if value != nil || name == filters.TargetingKey {
			continue
		}
		if set == nil {
			set = maps.Clone(attributes)
		}
		set[name] = isNull{}
	}
	if set == nil {
		return attributes
	}
	return set
}

// evaluationTags are those of a flag, and none of nil.
func evaluationTags(flag *v1alpha1.FeatureFlag) []string {
	if flag == nil {
		return nil
	}
	return server.ViewFields[filters.Kept](flag, filters.ViewName).EvaluationTags
}

// isUndecided reports whether no rule or override decided, so that the flag serves its default.
func isUndecided(form *datafile.Flag, result *evaluate.Result) bool {
	switch result.Reason {
	case evaluate.TargetingMatch, evaluate.Split:
		return false
	default:
		return result.Variation.Key == form.DefaultVariation
	}
}

// ValueFor is what clients see of a result: see describe.go for what they call false.
func ValueFor(form *datafile.Flag, result *evaluate.Result) any {
	switch {
	case result.Variation == nil:
		return false // The flag leaves the value to the code, for which PostHog has no word.
	case form.Type == datafile.Boolean:
		return result.Variation.Value
	case form.Bucketing == datafile.PostHogSHA1 && isUndecided(form, result):
		return false
	default:
		return result.Variation.Key
	}
}

// reason is PostHog's code for a result, and the group that decided.
func (r *Revision) reason(form *datafile.Flag, result *evaluate.Result, value any) (string, *int) {
	key := filters.FallthroughKey
	switch result.Reason {
	case evaluate.Disabled:
		return flagDisabled, nil
	case evaluate.PrerequisiteFailed:
		for i := range form.Prerequisites {
			if r.Document.Flags[form.Prerequisites[i].Flag] == nil {
				return missingDependency, nil
			}
		}
		return noConditionMatch, nil
	case evaluate.TargetingMatch, evaluate.Split:
		if key = result.Rule; key == "" {
			key = filters.OverrideKey + result.Variation.Key
		}
	default:
	}
	if value == false {
		return noConditionMatch, nil
	}
	index := slices.IndexFunc(
		r.describe(result.Flag.Key).Filters.Groups,
		func(group filters.Group) bool { return group.SortKey == key },
	)
	if index < 0 {
		return conditionMatch, nil
	}
	return conditionMatch, &index
}

// isOutOfTraffic reports whether a rule would have decided, had its share included the subject.
func isOutOfTraffic(explanation evaluate.Explanation) bool {
	return slices.ContainsFunc(
		explanation.Steps,
		func(step evaluate.Step) bool { return !step.Holds && strings.HasSuffix(step.What, ", traffic") },
	)
}
