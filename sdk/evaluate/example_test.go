// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate_test

import (
	"fmt"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// prepared is an engine of a document with one flag, which is on for beta users.
func prepared() *evaluate.Engine {
	document, err := datafile.Read([]byte(`{
		"schemaVersion": "1.0", "project": "shop", "environment": "production", "revision": 42,
		"flags": {"new_checkout": {
			"type": "Boolean", "enabled": true, "defaultVariation": "off",
			"variations": [{"key": "off", "value": false}, {"key": "on", "value": true}],
			"rules": [{"name": "beta", "conditions": [{"attribute": "plan", "operator": "In", "values": ["beta"]}], "variation": "on"}]
		}}
	}`))
	if err != nil {
		panic(err)
	}
	engine, err := evaluate.New(document)
	if err != nil {
		panic(err)
	}
	return engine
}

func ExampleEngine_Evaluate() {
	engine := prepared()
	for _, plan := range []string{"beta", "basic"} {
		result := engine.Evaluate("new_checkout", map[string]any{"targetingKey": "alice", "plan": plan}, time.Now())
		fmt.Println(plan, result.Variation.Key, result.Reason)
	}
	fmt.Println(engine.Evaluate("no_such_flag", nil, time.Now()).Reason)
	// Output:
	// beta on TARGETING_MATCH
	// basic off DEFAULT
	// FLAG_NOT_FOUND
}

func ExampleEngine_Explain() {
	explanation := prepared().Explain("new_checkout", map[string]any{"targetingKey": "alice", "plan": "beta"}, time.Now())
	fmt.Println(explanation.Variation.Key, explanation.Rule)
	for _, step := range explanation.Steps {
		fmt.Println(step.What, step.Holds)
	}
	// Output:
	// on beta
	// rule "beta", condition 1 true
	// rule "beta" true
}
