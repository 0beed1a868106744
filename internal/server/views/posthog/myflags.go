// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/clients"
)

// MyFlag is a flag, and what it is for the caller.
type MyFlag struct {
	FeatureFlag *Flag `json:"feature_flag"`
	Value       any   `json:"value" doc:"True, false or the variant."`
}

type myFlagsOutput struct {
	Body []MyFlag `nullable:"false"`
}

func (v *view) myFlags(ctx context.Context, input *clients.Somebody) (*myFlagsOutput, error) {
	at, err := v.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := v.Flags(ctx, at.Project)
	if err != nil {
		return nil, err
	}
	answers, err := v.clients.AnswersFor(ctx, input, server.CallerFrom(ctx).User.GetName())
	output := &myFlagsOutput{Body: []MyFlag{}}
	for i := range answers {
		if flag := flags[answers[i].Key]; flag != nil {
			output.Body = append(output.Body, MyFlag{FeatureFlag: v.show(ctx, at, flag), Value: answers[i].Value})
		}
	}
	return output, err
}
