// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"time"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

type evaluateInput struct {
	EnvironmentID string `query:"environment_id" doc:"The environment: a UID, or <project>.<name>."`
	Project       string `header:"X-Jackstaff-Project" doc:"The project, where environment_id is not given."`
	Environment   string `header:"X-Jackstaff-Environment" doc:"The environment in that project."`
	Body          struct {
		Flags   []string `json:"flags" nullable:"false" minItems:"1" maxItems:"1000" doc:"Keys of flags. * means all."`
		Context Subject  `json:"context,omitzero" doc:"Whom it is for."`
	}
}

// Subject is whom flags are evaluated for.
type Subject struct {
	UserKey    string           `json:"user_key,omitempty" doc:"Identifies the subject: the targeting key."`
	Attributes evaluate.Context `json:"attributes,omitempty" doc:"What rules look at."`
}

// Evaluation is the answer for one flag.
type Evaluation struct {
	Value        json.RawMessage `json:"value" doc:"The value, and null where there is no such flag."`
	Reason       string          `json:"reason" doc:"Why: STATIC, DEFAULT, TARGETING_MATCH, SPLIT, DISABLED, PREREQUISITE_FAILED or FLAG_NOT_FOUND."`
	RuleID       *string         `json:"rule_id" doc:"The rule that decided, and null where none did."`
	VariationKey *string         `json:"variation_key" doc:"The variation, and null where there is no such flag."`
}

// Evaluations are the answers for all flags that were asked for.
type Evaluations struct {
	Evaluations map[string]Evaluation `json:"evaluations" doc:"The answers by the key of the flag."`
	EvaluatedAt time.Time             `json:"evaluated_at"`
}

type evaluateOutput struct {
	Body struct {
		Data Evaluations `json:"data"`
	}
}

func (v *view) evaluate(ctx context.Context, input *evaluateInput) (*evaluateOutput, error) {
	environment, err := v.evaluated(ctx, input)
	if err != nil {
		return nil, err
	}
	served, ok := v.store.Environment(environment.Namespace, environment.Name)
	if !ok {
		return nil, &server.Error{
			Status:     http.StatusServiceUnavailable,
			Message:    "what the environment serves is not read yet",
			RetryAfter: time.Second,
		}
	}
	attributes := map[string]any{}
	maps.Copy(attributes, input.Body.Context.Attributes)
	if input.Body.Context.UserKey != "" {
		attributes["targetingKey"] = input.Body.Context.UserKey
	}
	now, engine := v.clock.Now(), served.Engine()
	output := &evaluateOutput{}
	output.Body.Data = Evaluations{Evaluations: map[string]Evaluation{}, EvaluatedAt: now.UTC().Truncate(time.Second)}
	if err := wire.CheckContext(attributes); err != nil {
		return nil, server.InvalidField("context", "%v", err)
	}
	spending := v.server.Spend(ctx, served, server.StepsOfAll)
	defer spending.End()
	for key := range keys(input.Body.Flags, engine.Flags()) {
		result := evaluate.Result{Reason: evaluate.FlagNotFound}
		if flag, found := engine.Flag(key); found {
			if result, err = flag.EvaluateWithin(attributes, now, &spending.Budget); err != nil {
				return nil, server.Refusal(err)
			}
		}
		v.counter.Evaluated(served, &result, attributes, now)
		output.Body.Data.Evaluations[key] = showResult(result)
	}
	return output, nil
}

// keys are those of the flags that a request asks for, each once. All is asked for the keys of all flags, at most once.
func keys(asked []string, all iter.Seq[*evaluate.Flag]) map[string]struct{} {
	found, hasAll := map[string]struct{}{}, false
	for _, key := range asked {
		if key == "*" {
			hasAll = true
			continue
		}
		found[key] = struct{}{}
	}
	if hasAll {
		for flag := range all {
			found[flag.Key] = struct{}{}
		}
	}
	return found
}

// evaluated is the environment that a request means.
func (v *view) evaluated(ctx context.Context, input *evaluateInput) (*v1alpha1.FlagEnvironment, error) {
	if input.EnvironmentID != "" {
		_, environment, err := v.cluster.EnvironmentAnywhere(ctx, input.EnvironmentID)
		return environment, err
	}
	project, err := v.cluster.ProjectOf(ctx, input.Project)
	if err != nil {
		return nil, err
	}
	if input.Environment != "" {
		return v.cluster.Environment(ctx, project, input.Environment)
	}
	return v.cluster.DefaultEnvironment(ctx, project)
}

func showResult(result evaluate.Result) Evaluation {
	shown := Evaluation{Reason: string(result.Reason)}
	if result.Variation != nil {
		shown.Value, shown.VariationKey = result.Variation.JSON, &result.Variation.Key
	}
	if result.Rule != "" {
		shown.RuleID = &result.Rule
	}
	return shown
}
