// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// EvaluateBody is what PostHog's clients send. They send more than is used here.
type EvaluateBody struct {
	_ struct{} `additionalProperties:"true"`

	Token            string           `json:"token,omitempty" maxLength:"256" doc:"An SDK key. It may also stand in the header Authorization."`
	APIKey           string           `json:"api_key,omitempty" maxLength:"256" doc:"Another name for token."`
	DistinctID       json.RawMessage  `json:"distinct_id" doc:"The targeting key: text or a number."`
	Groups           any              `json:"groups,omitempty" doc:"Ignored: flags are released to people."`
	PersonProperties evaluate.Context `json:"person_properties,omitempty" doc:"The attributes."`
	GroupProperties  any              `json:"group_properties,omitempty" doc:"Ignored."`
	FlagKeys         []string         `json:"flag_keys_to_evaluate,omitempty" maxItems:"10000" doc:"The flags to evaluate. Without it, all of them."`
	DeviceID         string           `json:"$device_id,omitempty" doc:"The attribute $device_id."`
	Contexts         []string         `json:"evaluation_contexts,omitempty" maxItems:"1000" doc:"Flags with evaluation tags are left out unless one of these is among them. Without it, none are."`
	Environments     []string         `json:"evaluation_environments,omitempty" maxItems:"1000" doc:"The former name of evaluation_contexts."`
}

// wants returns what reports whether a request asks for a flag. Its lists are read once, however many flags there are.
func (b *EvaluateBody) wants() func(key string, tags func() []string) bool {
	keys, contexts := sets.New(b.FlagKeys...), sets.New(b.Contexts...)
	if len(contexts) == 0 {
		contexts = sets.New(b.Environments...)
	}
	return func(key string, tags func() []string) bool {
		if b.FlagKeys != nil && !keys.Has(key) {
			return false
		}
		if len(contexts) == 0 {
			return true
		}
		of := tags()
		return len(of) == 0 || contexts.HasAny(of...)
	}
}

type evaluateInput struct {
	lookup.Headers
	Version string `query:"v" maxLength:"16" doc:"The version of the answer: 1 or 2 of /flags, 1 to 4 of /decide. Default 1."`
	Body    EvaluateBody
}

// Evaluated is what one flag is.
type Evaluated struct {
	Key      string            `json:"key"`
	Enabled  bool              `json:"enabled"`
	Variant  *string           `json:"variant"`
	Reason   EvaluatedReason   `json:"reason"`
	Metadata EvaluatedMetadata `json:"metadata"`
}

// EvaluatedReason is why.
type EvaluatedReason struct {
	Code           string `json:"code" enum:"condition_match,out_of_rollout_bound,no_condition_match,flag_disabled,missing_dependency"`
	ConditionIndex *int   `json:"condition_index" doc:"The group that decided."`
	Description    string `json:"description"`
}

// EvaluatedMetadata is what goes with it.
type EvaluatedMetadata struct {
	ID          int64   `json:"id"`
	Version     int64   `json:"version"`
	Description *string `json:"description" doc:"Always null: descriptions are not published."`
	Payload     *string `json:"payload" doc:"JSON as text."`
}

// EvaluateAnswer is what clients get. Which of the fields it has depends on the version that they ask for.
type EvaluateAnswer struct {
	ErrorsWhileComputingFlags bool                 `json:"errorsWhileComputingFlags"`
	RequestID                 string               `json:"requestId"`
	EvaluatedAt               int64                `json:"evaluatedAt" doc:"In milliseconds since 1970."`
	Flags                     map[string]Evaluated `json:"flags,omitzero" doc:"Version 2 of /flags, 4 of /decide."`
	FeatureFlags              any                  `json:"featureFlags,omitzero" doc:"Older versions: true, false or the variant by flag; without those that are false in version 2 of /decide; a list of the others' keys in version 1 of it."`
	FeatureFlagPayloads       map[string]string    `json:"featureFlagPayloads,omitzero" doc:"Version 1 of /flags, 3 of /decide: JSON as text, by flag."`
}

type evaluateOutput struct {
	Body EvaluateAnswer
}

// shape is how answers are written.
type shape int

const (
	// shapeFlags has flags with their reasons.
	shapeFlags shape = iota
	// shapePayloads has all values, and payloads.
	shapePayloads
	// shapeValues has the values that are not false.
	shapeValues
	// shapeKeys lists the flags that are not false.
	shapeKeys
)

// shapes are those of each version of a path, from version 1 on.
var shapes = map[string][]shape{
	"/flags":  {shapePayloads, shapeFlags},
	"/decide": {shapeKeys, shapeValues, shapePayloads, shapeFlags},
}

// shapeOf is the shape of a version of a path's answers.
func shapeOf(path, version string) (shape, error) {
	of := shapes[path]
	number, err := strconv.Atoi(cmp.Or(version, "1"))
	if err != nil || number < 1 || number > len(of) {
		return 0, &server.Error{
			Status:  http.StatusBadRequest,
			Message: "a parameter is malformed",
			Fields: []server.FieldError{
				{
					Field: "v",
					Message: "there is no version " + strconv.Quote(
						version,
					) + " of " + path + "; 1 to " + strconv.Itoa(
						len(of),
					) + " are",
				},
			},
		}
	}
	return of[number-1], nil
}

// evaluate answers for one of the paths.
func (c *Clients) evaluate(path string) func(context.Context, *evaluateInput) (*evaluateOutput, error) {
	return func(ctx context.Context, input *evaluateInput) (*evaluateOutput, error) {
		as, err := shapeOf(path, input.Version)
		if err != nil {
			return nil, err
		}
		body := &input.Body
		distinctID, err := evaluate.Decode(body.DistinctID)
		subject, isScalar := filters.Scalar(distinctID)
		if err != nil || !isScalar || subject == "" {
			return nil, server.InvalidField("distinct_id", "is text that is not empty")
		}
		of, err := c.admit(ctx, &lookup.Scope{Headers: input.Headers}, cmp.Or(body.Token, body.APIKey))
		if err != nil {
			return nil, err
		}
		context := make(map[string]any, len(body.PersonProperties)+2)
		maps.Copy(context, body.PersonProperties)
		if body.DeviceID != "" {
			context[filters.DeviceID] = body.DeviceID
		}
		context[filters.TargetingKey] = subject
		answers, err := c.answers(ctx, of, context, body.wants())
		if err != nil {
			return nil, err
		}
		output := &evaluateOutput{Body: EvaluateAnswer{
			RequestID:   lookup.ExchangeOf(ctx).Writer.Header().Get(server.RequestIDHeader),
			EvaluatedAt: c.clock.Now().UnixMilli(),
		}}
		output.Body.fill(answers, as)
		return output, nil
	}
}

// fill writes answers in a shape.
func (a *EvaluateAnswer) fill(answers []Answer, as shape) {
	keys, values := []string{}, map[string]any{}
	switch as {
	case shapeFlags:
		a.Flags = make(map[string]Evaluated, len(answers))
	case shapePayloads:
		a.FeatureFlags, a.FeatureFlagPayloads = values, map[string]string{}
	case shapeValues:
		a.FeatureFlags = values
	case shapeKeys:
	}
	for i := range answers {
		answer := &answers[i]
		switch {
		case as == shapeFlags:
			a.Flags[answer.Key] = answer.evaluated()
		case as == shapePayloads || answer.Value != false:
			keys, values[answer.Key] = append(keys, answer.Key), answer.Value
		}
		if as == shapePayloads && answer.payload != nil {
			a.FeatureFlagPayloads[answer.Key] = *answer.payload
		}
	}
	if as == shapeKeys {
		a.FeatureFlags = keys
	}
}
