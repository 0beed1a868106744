// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// read is an object that was read.
type read struct {
	object client.Object
	kind   string
	at     *locator
}

// reader reads the objects of one document.
type reader struct {
	schemas   map[string]*kindSchema
	namespace string

	objects  []read
	skipped  int
	problems []Problem
}

// document reads a document, which is an object or a list of objects.
func (r *reader) document(ctx context.Context, document document) {
	at := &locator{document: document}
	data, err := ToJSON(document.data)
	if err != nil {
		r.syntax(at, err)
		return
	}
	var content any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		r.syntax(at, err)
		return
	}
	fields, isObject := content.(map[string]any)
	if !isObject {
		r.skipped++
		return
	}
	items, isList := fields["items"].([]any)
	if kind, _ := fields["kind"].(string); !isList || !strings.HasSuffix(kind, "List") {
		r.object(ctx, at, fields)
		return
	}
	for i, item := range items {
		if fields, isObject := item.(map[string]any); isObject {
			r.object(ctx, &locator{document: document, path: fmt.Sprintf("items[%d]", i), root: at.root}, fields)
		}
	}
}

// ToJSON turns a document into JSON as kubectl does, and fails where a field is there twice. What a merge key (<<)
// brings may be overridden.
func ToJSON(data []byte) ([]byte, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) {
		return trimmed, nil // YAML takes no tabs, which JSON does.
	}
	converted, err := yaml.YAMLToJSONStrict(data)
	if err == nil || !bytes.Contains(data, []byte("<<")) {
		return converted, err
	}
	// The strict reading takes what overrides a merged field for a second one.
	node := &yamlv3.Node{}
	if yamlv3.Unmarshal(data, node) != nil || hasTwice(node) {
		return nil, err
	}
	return yaml.YAMLToJSON(data)
}

// hasTwice reports whether a mapping in a node has a key twice. It does not follow aliases, whose anchors are in the
// document too.
func hasTwice(node *yamlv3.Node) bool {
	if node.Kind == yamlv3.MappingNode {
		keys := map[string]bool{}
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i].ShortTag() + node.Content[i].Value
			if node.Content[i].Kind == yamlv3.ScalarNode && keys[key] {
				return true
			}
			keys[key] = true
		}
	}
	return slices.ContainsFunc(node.Content, hasTwice)
}

var linePattern = regexp.MustCompile(`line (\d+): `)

// syntax reports a document that cannot be read, in the line that err names.
func (r *reader) syntax(at *locator, err error) {
	problem := Problem{Position: Position{File: at.file, Line: at.line}, Severity: Error, Rule: SyntaxRule}
	message := strings.Join(strings.Fields(err.Error()), " ")
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors: "} {
		message = strings.TrimPrefix(message, prefix)
	}
	if match := linePattern.FindStringSubmatch(message); match != nil {
		line, _ := strconv.Atoi(match[1])
		problem.Line += line - 1
		message = linePattern.ReplaceAllString(message, "")
	}
	problem.Message = message
	r.problems = append(r.problems, problem)
}

func (r *reader) problem(at *locator, rule, path, message string) {
	r.problems = append(r.problems, Problem{
		Position: at.find(path), Severity: Error, Rule: rule, Object: at.object, Field: path, Message: message,
	})
}

// object reads one object.
func (r *reader) object(ctx context.Context, at *locator, fields map[string]any) {
	apiVersion, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || version.Group != v1alpha1.GroupVersion.Group {
		r.skipped++
		return
	}
	kindSchema := r.schemas[kind]
	known, written := v1alpha1.KindNamed(kind)
	if version != v1alpha1.GroupVersion || kindSchema == nil || !written {
		r.problem(at, UnknownKindRule, "kind", fmt.Sprintf("there is no %s in %s", kind, apiVersion))
		return
	}
	metadata, _ := fields["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	at.object = strings.TrimSpace(kind + " " + name)
	if namespace, _ := metadata["namespace"].(string); namespace == "" && metadata != nil {
		metadata["namespace"] = r.namespace
	}
	unknown, err := kindSchema.prepare(fields)
	if err != nil {
		r.problem(at, string(field.ErrorTypeTypeInvalid), "metadata", err.Error())
		return
	}
	for _, path := range unknown {
		r.problem(at, UnknownFieldRule, path, "the Kind has no such field")
	}
	object := known.New()
	mistyped := validation.Types(fields, object)
	completeBoolean(kind, fields)
	broken := ofTheObject(kindSchema.validate(ctx, fields))
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, object); err != nil {
		// The schema knows which field it is.
		r.fieldErrors(at, validation.Merge(mistyped, broken))
		if len(broken)+len(mistyped) == 0 {
			r.problem(at, string(field.ErrorTypeInvalid), "", err.Error())
		}
		return
	}
	if object, has := object.(interface{ Default() }); has {
		object.Default()
	}
	list := validation.Merge(mistyped, validation.Object(nil, object))
	r.fieldErrors(at, validation.Merge(list, append(broken, validateMetadata(object)...)))
	r.objects = append(r.objects, read{object: object, kind: kind, at: at})
}

// ofTheObject gives what rules of a whole object say, which has no path, that of the field which it begins with.
func ofTheObject(list field.ErrorList) field.ErrorList {
	const root = "<nil>"
	for _, err := range list {
		if err.Field != root && err.Field != "" {
			continue
		}
		err.Field = ""
		if strings.HasPrefix(err.Detail, "metadata.name ") {
			err.Field = "metadata.name"
		}
	}
	return list
}

func (r *reader) fieldErrors(at *locator, list field.ErrorList) {
	for _, err := range list {
		r.problem(at, string(err.Type), err.Field, strings.ReplaceAll(err.ErrorBody(), "\n", " "))
	}
}

// completeBoolean gives a Boolean flag without variations those that admission gives it, which the schema asks for.
func completeBoolean(kind string, fields map[string]any) {
	spec, _ := fields["spec"].(map[string]any)
	if kind != "FeatureFlag" || spec["type"] != string(v1alpha1.FlagTypeBoolean) {
		return
	}
	if variations, given := spec["variations"].([]any); given && len(variations) > 0 {
		return
	}
	spec["variations"] = []any{
		map[string]any{"key": "off", "value": false}, map[string]any{"key": "on", "value": true},
	}
	if spec["defaultVariation"] == nil || spec["defaultVariation"] == "" {
		spec["defaultVariation"] = "off"
	}
}
