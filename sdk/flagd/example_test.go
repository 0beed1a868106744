// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"errors"
	"fmt"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// document is where a definition finds what its flag refers to.
type document struct{ *datafile.Document }

func (d document) Flag(key string) (*datafile.Flag, bool) {
	flag, found := d.Flags[key]
	return flag, found
}

func (d document) Audience(name string) (*datafile.Audience, bool) {
	audience, found := d.Audiences[name]
	return audience, found
}

func ExampleDefinition() {
	read, err := datafile.Read([]byte(`{
		"schemaVersion": "1.0", "project": "shop", "environment": "production", "revision": 42,
		"flags": {
			"banner": {
				"type": "String", "enabled": true, "defaultVariation": "text",
				"variations": [{"key": "text", "value": "hello"}]
			},
			"legacy": {
				"type": "Boolean", "enabled": true, "defaultVariation": "off",
				"variations": [{"key": "off", "value": false}, {"key": "on", "value": true}],
				"rules": [{"name": "r", "conditions": [{"attribute": "path", "operator": "Matches", "values": ["^/old/"]}], "variation": "on"}]
			}
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	definition, err := flagd.Definition(document{read}, "banner")
	fmt.Println(string(definition), err)

	// What the format cannot say is never approximated.
	_, err = flagd.Definition(document{read}, "legacy")
	refused := &flagd.NotExpressibleError{}
	fmt.Println(errors.As(err, &refused))
	// Output:
	// {"defaultVariant":"text","state":"ENABLED","variants":{"text":"hello"}} <nil>
	// true
}
