// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	ffclient "github.com/thomaspoignant/go-feature-flag"
	"github.com/thomaspoignant/go-feature-flag/ffcontext"
	"github.com/thomaspoignant/go-feature-flag/model"
)

// given is a retriever of GO Feature Flag that has its flags already.
type given []byte

func (g given) Retrieve(context.Context) ([]byte, error) { return g, nil }

func beginGoFeatureFlag() (engine, error) {
	flag := func(targeting ...any) any {
		return map[string]any{
			"variations": map[string]any{
				"on":  true,
				"off": false,
			},
			"targeting":   targeting,
			"defaultRule": map[string]any{"variation": "off"},
		}
	}
	where := func(query string) any { return map[string]any{"query": query, "variation": "on"} }
	half := flag()
	half.(map[string]any)["defaultRule"] = map[string]any{"percentage": map[string]any{"on": 50, "off": 50}}
	data, err := definitions(map[string]any{
		static: flag(),
		rule:   flag(where(`country in ["de","at","ch"]`)),
		split:  half,
		ten: flag(
			where(`country eq "fr"`), where(`email ew "@example.org"`), where(`age lt 18`), where(`email sw "admin"`),
			where(`version lt 1.0.0`), where(`plan in ["enterprise","beta"]`), where(`age gt 65`), where(`email co "+test"`),
			where(`country in ["us","ca"]`), where(`(age ge 18) and (plan eq "free")`)),
		list: flag(where(fmt.Sprintf(`key in ["%s"]`, strings.Join(members(), `","`)))),
	}, flag())
	if err != nil {
		return engine{}, err
	}
	client, err := ffclient.New(ffclient.Config{Retriever: given(data), FileFormat: "json"})
	if err != nil {
		return engine{}, err
	}
	ask := func(flag string, u user) question {
		builder := ffcontext.NewEvaluationContextBuilder(u.key)
		for name, value := range u.attributes() {
			builder.AddCustom(name, value)
		}
		evaluationContext := builder.Build()
		var last model.VariationResult[bool]
		var failure error
		return question{
			evaluate: func() { last, failure = client.BoolVariationDetails(flag, evaluationContext, false) },
			answer: func() (bool, error) {
				if failure != nil {
					return false, failure
				}
				return last.Value, must((last.VariationType == "on") == last.Value, last)
			},
		}
	}
	return engine{
		name:   "GO Feature Flag",
		module: "github.com/thomaspoignant/go-feature-flag",
		ask:    ask,
		close:  client.Close,
	}, nil
}
