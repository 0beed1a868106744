// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// TestDefaults fails where a manifest file means something else to the command line, which calls Default, than to the
// API server, which applies the defaults of the schema as well.
func TestDefaults(t *testing.T) {
	type defaulted interface{ Default() }
	for name, tc := range map[string]struct {
		plural   string
		manifest string
		object   func() defaulted
	}{
		"flag": {"featureflags", `{"metadata":{"name":"checkout"},"spec":{"type":"Boolean","environments":[{"name":"production","rules":[{"name":"all","variation":"on"}]}]}}`,
			func() defaulted { return &v1alpha1.FeatureFlag{} }},
		"environment":               {"flagenvironments", `{"metadata":{"name":"production"}}`, func() defaulted { return &v1alpha1.FlagEnvironment{} }},
		"environment with half set": {"flagenvironments", `{"metadata":{"name":"production"},"spec":{"publish":{"mode":"Manual"}}}`, func() defaulted { return &v1alpha1.FlagEnvironment{} }},
		"event":                     {"flagevents", `{"metadata":{"name":"purchase"},"spec":{"type":"Numeric"}}`, func() defaulted { return &v1alpha1.FlagEvent{} }},
	} {
		t.Run(name, func(t *testing.T) {
			fromFile := tc.object()
			read(t, []byte(tc.manifest), fromFile)
			fromFile.Default()

			document := map[string]any{}
			read(t, []byte(tc.manifest), &document)
			defaulting.Default(document, structuralSchema(t, tc.plural))
			// Tools read from a status that nobody has written yet that the object is not ready. Manifests have none.
			status := map[string]any{"observedGeneration": int64(-1)}
			if tc.plural == "featureflags" {
				status["pending"] = int64(0) // The column is never empty.
			}
			if diff := cmp.Diff(status, document["status"]); diff != "" {
				t.Errorf("the status of a new object: %s", diff)
			}
			delete(document, "status")
			stored, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			fromServer := tc.object()
			read(t, stored, fromServer)
			fromServer.Default() // The webhook runs after the schema's defaults.
			if diff := cmp.Diff(fromServer, fromFile); diff != "" {
				t.Errorf("the API server's defaults (-) and Default (+) differ:\n%s", diff)
			}
			if key, ok := fromServer.(*v1alpha1.FeatureFlag); ok && key.Spec.Key != "checkout" {
				t.Errorf("key is %q, want the flag's name", key.Spec.Key)
			}
			// Whatever is constant must be in the schema, so that kubectl explain shows it.
			onlyServer := tc.object()
			read(t, stored, onlyServer)
			if flag, ok := onlyServer.(*v1alpha1.FeatureFlag); ok {
				// These depend on other fields: the key on the name, the variations on the type.
				flag.Spec.Key = flag.Name
				complete := fromFile.(*v1alpha1.FeatureFlag).Spec
				flag.Spec.Variations, flag.Spec.DefaultVariation = complete.Variations, complete.DefaultVariation
			}
			if event, ok := onlyServer.(*v1alpha1.FlagEvent); ok {
				event.Spec.Key = event.Name
			}
			if diff := cmp.Diff(onlyServer, fromFile); diff != "" {
				t.Errorf("a default is not in the schema (-), only in Default (+):\n%s", diff)
			}
		})
	}
}

func read(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func structuralSchema(t *testing.T, plural string) *schema.Structural {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("bases", "flags.jackstaff.dev_"+plural+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(data, crd); err != nil {
		t.Fatal(err)
	}
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema,
		internal,
		nil,
	); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(internal)
	if err != nil {
		t.Fatal(err)
	}
	return structural
}
