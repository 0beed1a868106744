// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// MyFlag is a flag, and what it is for the caller.
type MyFlag struct {
	FeatureFlag *Flag `json:"feature_flag"`
	Value       any   `json:"value" doc:"True, false or the variant."`
}

type myFlagsOutput struct {
	Body []MyFlag `nullable:"false"`
}

func (v *view) myFlags(ctx context.Context, input *Somebody) (*myFlagsOutput, error) {
	at, err := v.place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := v.flags(ctx, at.project)
	if err != nil {
		return nil, err
	}
	answers, err := v.clients.answersFor(ctx, input, server.CallerFrom(ctx).User.GetName())
	output := &myFlagsOutput{Body: []MyFlag{}}
	for i := range answers {
		if flag := flags[answers[i].key]; flag != nil {
			output.Body = append(output.Body, MyFlag{FeatureFlag: v.show(ctx, at, flag), Value: answers[i].value})
		}
	}
	return output, err
}
