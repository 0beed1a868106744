// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile_test

import (
	"encoding/json"
	"fmt"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func ExampleRead() {
	document, err := datafile.Read([]byte(`{
		"schemaVersion": "1.0", "project": "shop", "environment": "production", "revision": 42,
		"flags": {"new_checkout": {
			"type": "Boolean", "enabled": true, "defaultVariation": "off",
			"variations": [{"key": "off", "value": false}, {"key": "on", "value": true}]
		}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(document.Project, document.Environment, document.Revision, document.Flags["new_checkout"].DefaultVariation)
	// Output: shop production 42 off
}

// Equal documents are equal bytes, whatever the order and the white space that somebody wrote them with.
func ExampleCanonical() {
	canonical, err := datafile.Canonical([]byte(`{ "b": 1.50, "a": [ true ] }`))
	fmt.Println(string(canonical), err)
	// Output: {"a":[true],"b":1.5} <nil>
}

// The contents of a document have a digest, which its header does not change: a publish is one where the digest is another.
func ExampleContents_Digest() {
	digest := func(value string) string {
		part, err := datafile.NewPart("banner", datafile.Flag{
			Type: "String", Enabled: true, DefaultVariation: "text",
			Variations: []datafile.Variation{{Key: "text", Value: json.RawMessage(value)}},
		})
		if err != nil {
			return err.Error()
		}
		var contents datafile.Contents
		contents.Flags.Put(part)
		return contents.Digest()
	}
	published, compiledAgain, edited := digest(`"hello"`), digest(`"hello"`), digest(`"goodbye"`)
	fmt.Println(compiledAgain == published, edited == published)
	// Output: true false
}
