// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = DescribeTable(
	"validates as the API server does, which has no webhooks here",
	func(change func(flag map[string]any), refused bool) {
		namespace := "default"
		flag := map[string]any{
			"apiVersion": "flags.jackstaff.dev/v1alpha1", "kind": "FeatureFlag",
			"metadata": map[string]any{"name": "other", "namespace": namespace},
			"spec": map[string]any{
				"type": "Boolean", "defaultVariation": "off",
				"variations": []any{map[string]any{"key": "off", "value": false}, map[string]any{"key": "on", "value": true}},
				"environments": []any{map[string]any{
					"name": "production", "schedule": map[string]any{"enableAt": nil},
					"rules": []any{map[string]any{"name": "beta", "variation": "on"}},
				}},
			},
		}
		change(flag)
		manifest, err := json.Marshal(flag)
		Expect(err).NotTo(HaveOccurred())
		object := &unstructured.Unstructured{Object: flag}
		err = k8s.Create(
			context.Background(),
			object,
			client.DryRunAll,
			client.FieldValidation(metav1.FieldValidationStrict),
		)
		Expect(err != nil).To(Equal(refused), "the API server says %v", err)
		got := jackstaff(context.Background(), string(manifest), "validate", "-")
		Expect(got.code).To(Equal(map[bool]int{true: 1, false: 0}[refused]), got.out)
	},
	Entry("nothing wrong", func(map[string]any) {}, false),
	Entry(
		"a value for the API server only",
		func(flag map[string]any) { flag["status"] = map[string]any{"phase": "Active"} },
		false,
	),
	Entry("an unknown field", func(flag map[string]any) { rule(flag)["bogus"] = 1 }, true),
	Entry(
		"an unknown field of the metadata",
		func(flag map[string]any) { flag["metadata"].(map[string]any)["bogus"] = "x" },
		true,
	),
	Entry("a wrong type", func(flag map[string]any) { rule(flag)["name"] = true }, true),
	Entry("a wrong enum", func(flag map[string]any) { rule(flag)["type"] = "Wrong" }, true),
	Entry("a missing field", func(flag map[string]any) { delete(flag["spec"].(map[string]any), "type") }, true),
	Entry("a broken rule of CEL", func(flag map[string]any) {
		rule(flag)["split"] = []any{map[string]any{"variation": "on", "weight": 1}}
	}, true),
	Entry("a list with a key twice", func(flag map[string]any) {
		environment := flag["spec"].(map[string]any)["environments"].([]any)[0].(map[string]any)
		environment["rules"] = append(environment["rules"].([]any), rule(flag))
	}, true),
	Entry("a name that is too long", func(flag map[string]any) {
		flag["metadata"].(map[string]any)["name"] = strings.Repeat("a", 64)
	}, true),
	Entry("a label that is none", func(flag map[string]any) {
		flag["metadata"].(map[string]any)["labels"] = map[string]any{"a b": "c"}
	}, true),
	Entry("a time that is none", func(flag map[string]any) {
		flag["spec"].(map[string]any)["environments"].([]any)[0].(map[string]any)["schedule"] = map[string]any{
			"enableAt": "tomorrow",
		}
	}, true),
)

// rule is the only rule of a flag.
func rule(flag map[string]any) map[string]any {
	environment := flag["spec"].(map[string]any)["environments"].([]any)[0].(map[string]any)
	return environment["rules"].([]any)[0].(map[string]any)
}
