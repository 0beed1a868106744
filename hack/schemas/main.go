// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command schemas makes a JSON Schema of each Kind that people write, for editors and checks without a cluster, from
// its CustomResourceDefinition. Its arguments are the folder of the definitions and the folder to write to.
//
// A definition's schema is structural OpenAPI 3.0, of which JSON Schema lacks nullable and what begins with
// x-kubernetes-. What a definition leaves open the API server prunes; here it is a mistake, as nobody writes a field
// that nobody reads on purpose. Rules in CEL, and what the webhooks judge, are "jackstaff validate".
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// dialect is the draft that editors know best: yaml-language-server and Visual Studio Code read it as a whole.
const dialect = "http://json-schema.org/draft-07/schema#"

// filledIn are fields of a spec that the definition requires and admission fills in where they are left out, by Kind: a
// Boolean flag has the variations on and off, of which off is the default.
var filledIn = map[string][]string{"FeatureFlag": {"variations", "defaultVariation"}}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("the arguments are the folder of the definitions and the folder to write to")
	}
	files, err := filepath.Glob(filepath.Join(arguments[0], "*.yaml"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(arguments[1], 0o755); err != nil { //nolint:gosec // Documents are for everybody.
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // The caller names the folder.
		if err != nil {
			return err
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(data, definition); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		kind, isWritten := v1alpha1.KindNamed(definition.Spec.Names.Kind)
		if !isWritten {
			continue
		}
		schema, err := schemaOf(definition)
		if err != nil {
			return fmt.Errorf("convert %s: %w", file, err)
		}
		path := filepath.Join(arguments[1], strings.ToLower(kind.Name)+".schema.json")
		if err := os.WriteFile(path, schema, 0o644); err != nil { //nolint:gosec // Documents are for everybody.
			return err
		}
	}
	return nil
}

// schemaOf is the JSON Schema of a manifest of the definition's newest version.
func schemaOf(definition *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	version := &definition.Spec.Versions[len(definition.Spec.Versions)-1]
	text, err := json.Marshal(version.Schema.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	schema := map[string]any{}
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	convert(schema)
	schema["$schema"], schema["title"] = dialect, definition.Spec.Names.Kind
	properties, _ := schema["properties"].(map[string]any)
	// Nobody writes a status.
	delete(properties, "status")
	properties["apiVersion"] = map[string]any{"const": definition.Spec.Group + "/" + version.Name}
	properties["kind"] = map[string]any{"const": definition.Spec.Names.Kind}
	properties["metadata"] = metadata()
	schema["required"] = []string{"apiVersion", "kind", "metadata"}
	if slices.Contains(version.Schema.OpenAPIV3Schema.Required, "spec") {
		schema["required"] = []string{"apiVersion", "kind", "metadata", "spec"}
	}
	spec, _ := properties["spec"].(map[string]any)
	if required, some := spec["required"].([]any); some {
		spec["required"] = slices.DeleteFunc(required, func(name any) bool {
			return slices.ContainsFunc(filledIn[definition.Spec.Names.Kind], func(filled string) bool { return filled == name })
		})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// metadata is as much of an object's metadata as people write.
func metadata() map[string]any {
	texts := map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	return map[string]any{
		"type": "object",
		"properties": map[string]any{
			"name": map[string]any{
				"type": "string", "maxLength": 253, "pattern": `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`,
			},
			"namespace":   map[string]any{"type": "string"},
			"labels":      texts,
			"annotations": texts,
		},
	}
}

// convert makes JSON Schema of structural OpenAPI, in place.
func convert(schema map[string]any) {
	nullable, anything, orNumber := schema["nullable"], schema["x-kubernetes-preserve-unknown-fields"], schema["x-kubernetes-int-or-string"]
	for name := range schema {
		if strings.HasPrefix(name, "x-kubernetes-") || name == "nullable" {
			delete(schema, name)
		}
	}
	// Not every program that reads JSON Schema knows classes of Unicode.
	if pattern, _ := schema["pattern"].(string); strings.Contains(pattern, `\p{`) {
		delete(schema, "pattern")
	}
	switch single, hasType := schema["type"].(string); {
	case orNumber == true:
		schema["type"] = []string{"integer", "string"}
	case nullable == true && hasType:
		schema["type"] = []string{single, "null"}
	}
	if properties, found := schema["properties"].(map[string]any); found {
		for _, property := range properties {
			if inner, isSchema := property.(map[string]any); isSchema {
				convert(inner)
			}
		}
		if _, isSaid := schema["additionalProperties"]; !isSaid && anything != true {
			schema["additionalProperties"] = false
		}
	}
	for _, name := range []string{"items", "additionalProperties", "not"} {
		if inner, isSchema := schema[name].(map[string]any); isSchema {
			convert(inner)
		}
	}
	for _, name := range []string{"allOf", "anyOf", "oneOf"} {
		all, _ := schema[name].([]any)
		for _, one := range all {
			if inner, isSchema := one.(map[string]any); isSchema {
				convert(inner)
				// A part says nothing of the fields of the whole.
				delete(inner, "additionalProperties")
			}
		}
	}
}
