// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/open-feature/go-sdk/openfeature"

	jackstaff "github.com/jackstaff-dev/jackstaff/sdk/openfeature"
)

// mounted stands for the directory at which a Deployment mounts the ConfigMap, such as /etc/flags.
func mounted() string {
	dir, err := os.MkdirTemp("", "flags")
	if err != nil {
		log.Fatal(err)
	}
	err = os.WriteFile(filepath.Join(dir, "datafile.json"), []byte(`{
		"project": "shop", "environment": "production", "revision": 42, "schemaVersion": "1.0",
		"events": {"purchase": {"type": "Conversion"}},
		"flags": {"new_checkout": {
			"type": "Boolean", "enabled": true, "defaultVariation": "off",
			"variations": [{"key": "off", "value": false}, {"key": "on", "value": true}],
			"rules": [{"name": "germany", "conditions": [{"attribute": "country", "operator": "In", "values": ["DE"]}], "variation": "on"}]
		}}
	}`), 0o600)
	if err != nil {
		log.Fatal(err)
	}
	return dir
}

func Example() {
	dir := mounted()
	defer os.RemoveAll(dir)

	provider, err := jackstaff.NewProvider(dir, jackstaff.WithAnswerMetadata())
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := openfeature.SetProviderAndWait(provider); err != nil {
		log.Print(err) // Flags have the defaults of the code until there is a datafile.
	}
	defer openfeature.Shutdown()

	client := openfeature.NewDefaultClient()
	customer := openfeature.NewEvaluationContext("customer-1", map[string]any{"country": "DE"})
	answer, err := client.BooleanValueDetails(context.Background(), "new_checkout", false, customer)
	fmt.Println(answer.Value, answer.Variant, answer.Reason, answer.FlagMetadata[jackstaff.MetadataRule], err)
	// Output: true on TARGETING_MATCH germany <nil>
}

func ExampleOnLoad() {
	dir := mounted()
	defer os.RemoveAll(dir)

	provider, err := jackstaff.NewProvider(dir, jackstaff.OnLoad(func(load jackstaff.Load) {
		// A real program sets gauges and counts here.
		fmt.Printf("revision %d, %d flag, error %v\n", load.Revision, load.Flags, load.Err)
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := provider.Init(openfeature.EvaluationContext{}); err != nil { // The SDK does this.
		log.Print(err)
	}
	provider.Shutdown()
	// Output: revision 42, 1 flag, error <nil>
}

func ExampleOnTrack() {
	dir := mounted()
	defer os.RemoveAll(dir)

	provider, err := jackstaff.NewProvider(dir, jackstaff.OnTrack(func(_ context.Context, event jackstaff.TrackedEvent) {
		if event.Err != nil {
			fmt.Println(event.Err)
			return
		}
		fmt.Println(event.Type, event.Key, "by", event.Context.TargetingKey())
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := provider.Init(openfeature.EvaluationContext{}); err != nil { // The SDK does this.
		log.Print(err)
	}
	defer provider.Shutdown()

	// Programs call client.Track, which merges the contexts.
	customer := openfeature.NewEvaluationContext("customer-1", nil)
	provider.Track(context.Background(), "purchase", customer, openfeature.NewTrackingEventDetails(0))
	provider.Track(context.Background(), "purchaes", customer, openfeature.NewTrackingEventDetails(0))
	// Output:
	// Conversion purchase by customer-1
	// unknown event "purchaes"
}
