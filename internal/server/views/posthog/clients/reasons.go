// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// Somebody are the parameters of who a flag is evaluated for.
type Somebody struct {
	lookup.Scope
	Groups string `query:"groups" default:"{}" maxLength:"4096" doc:"A JSON object. Flags are released to people, so it is not used."`
}

// context is that of a subject of whom nothing else is known.
func (s *Somebody) context(subject string) (map[string]any, error) {
	var groups map[string]any
	if err := json.Unmarshal([]byte(s.Groups), &groups); err != nil {
		return nil, &server.Error{
			Status:  http.StatusBadRequest,
			Message: "a parameter is malformed",
			Fields:  []server.FieldError{{Field: "groups", Message: "is no JSON object"}},
		}
	}
	return map[string]any{filters.TargetingKey: subject}, nil
}

type reasonsInput struct {
	Somebody
	DistinctID string `query:"distinct_id" required:"true" minLength:"1" maxLength:"1024" doc:"The targeting key."`
}

// Reasons is what a flag is for somebody, and why.
type Reasons struct {
	Value      any `json:"value" doc:"True, false or the variant."`
	Evaluation struct {
		Reason         string `json:"reason"`
		ConditionIndex *int   `json:"condition_index"`
	} `json:"evaluation"`
}

type reasonsOutput struct {
	Body map[string]Reasons
}

// disabledReason is the reason of flags that are off, here only.
const disabledReason = "disabled"

// evaluationReasons answers for all flags that are not deleted. Those that are off are false, whatever they serve.
func (c *Clients) evaluationReasons(ctx context.Context, input *reasonsInput) (*reasonsOutput, error) {
	answers, err := c.AnswersFor(ctx, &input.Somebody, input.DistinctID)
	if err != nil {
		return nil, err
	}
	at, err := c.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := c.Flags(ctx, at.Project)
	if err != nil {
		return nil, err
	}
	output := &reasonsOutput{Body: map[string]Reasons{}}
	for i := range answers {
		reasons := Reasons{Value: answers[i].Value}
		reasons.Evaluation.Reason, reasons.Evaluation.ConditionIndex = answers[i].code, answers[i].index
		if answers[i].code != flagDisabled {
			output.Body[answers[i].Key] = reasons
		}
	}
	for key, flag := range flags {
		if _, answered := output.Body[key]; !answered && !flag.Spec.Archived && !flag.EnabledIn(at.Environment.Name) {
			reasons := Reasons{Value: false}
			reasons.Evaluation.Reason = disabledReason
			output.Body[key] = reasons
		}
	}
	return output, nil
}

// everyFlag wants all flags.
func everyFlag(string, func() []string) bool { return true }

// AnswersFor are those for a subject of whom nothing else is known.
func (c *Clients) AnswersFor(ctx context.Context, input *Somebody, subject string) ([]Answer, error) {
	context, err := input.context(subject)
	if err != nil {
		return nil, err
	}
	at, err := c.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	of := &access{served: at.Served, project: at.Project, environment: at.Environment.Name}
	return c.answers(ctx, of, context, everyFlag)
}
