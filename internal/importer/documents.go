// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds how many values a document has once its aliases are written out.
const maxNodes = 1_000_000

// object is a document whose Kind is not known yet: a flagd file, a resource or a List of resources.
type object struct {
	definitions

	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		FlagSpec definitions `json:"flagSpec"`
	} `json:"spec"`
	Items []json.RawMessage `json:"items"`

	// whole is the document as it was read.
	whole json.RawMessage
}

// definitions are a flagd file, or the flagSpec of a resource. Each flag is read by itself.
type definitions struct {
	Flags      map[string]json.RawMessage `json:"flags"`
	Evaluators map[string]any             `json:"$evaluators"`
	// Metadata is that of the whole file, or of the object where the document is a resource.
	Metadata json.RawMessage `json:"metadata"`
}

type definition struct {
	State          string                     `json:"state"`
	Description    string                     `json:"description"`
	Variants       map[string]json.RawMessage `json:"variants"`
	DefaultVariant string                     `json:"defaultVariant"`
	Targeting      any                        `json:"targeting"`
	Metadata       map[string]json.RawMessage `json:"metadata"`
}

// documents returns the YAML documents of data as JSON. They are read as flagd reads them: on, off, yes and no are
// text, and numbers keep their digits.
func documents(data []byte) ([]json.RawMessage, error) {
	var found []json.RawMessage
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read flag definitions: %w", err)
		}
		c := converter{left: maxNodes}
		value, err := c.value(&node)
		if err != nil {
			return nil, fmt.Errorf("read flag definitions: %w", err)
		}
		if value == nil {
			continue // An empty document, as between two separators.
		}
		document, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("read flag definitions: %w", err)
		}
		found = append(found, document)
	}
}

// converter makes values that JSON can say of YAML nodes.
type converter struct{ left int }

func (c *converter) value(node *yaml.Node) (any, error) {
	if c.left--; c.left < 0 {
		return nil, fmt.Errorf("a document has at most %d values", maxNodes)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return c.value(node.Content[0])
	case yaml.AliasNode:
		return c.value(node.Alias)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, item := range node.Content {
			value, err := c.value(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.MappingNode:
		return c.mapping(node)
	default:
		return scalar(node)
	}
}

func (c *converter) mapping(node *yaml.Node) (any, error) {
	fields := map[string]any{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		value, err := c.value(node.Content[i+1])
		if err != nil {
			return nil, err
		}
		if key.Tag == "!!merge" {
			merged, _ := value.(map[string]any)
			for name, value := range merged {
				if _, own := fields[name]; !own {
					fields[name] = value
				}
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key is no text", key.Line)
		}
		fields[key.Value] = value
	}
	return fields, nil
}

// scalar returns a number as it is written where JSON can write it so.
func scalar(node *yaml.Node) (any, error) {
	if tag := node.ShortTag(); (tag == "!!int" || tag == "!!float") && json.Valid([]byte(node.Value)) {
		return json.Number(node.Value), nil
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := json.Marshal(value); err != nil {
		return nil, fmt.Errorf("line %d: %q is no value of JSON", node.Line, node.Value)
	}
	return value, nil
}

// Add imports the documents of a file in JSON or YAML: flagd files, FeatureFlags of the OpenFeature operator, and Lists
// of them. Resources of other Kinds are counted and skipped. It fails where a document is neither, and then imports
// nothing of the file.
func (i *Importer) Add(data []byte) error {
	found, err := documents(data)
	if err != nil {
		return err
	}
	var read []*object
	for _, document := range found {
		if read, err = objects(read, document); err != nil {
			return err
		}
	}
	if len(read) == 0 {
		return errors.New("the file has no flags")
	}
	for _, from := range read {
		i.object(from)
	}
	return nil
}

// objects appends the object of a document, or the items where it is a List.
func objects(to []*object, document json.RawMessage) ([]*object, error) {
	from := &object{whole: document}
	if err := json.Unmarshal(document, from); err != nil {
		return nil, fmt.Errorf("read flag definitions: %w", err)
	}
	if !strings.HasSuffix(from.Kind, "List") {
		if from.Kind == "" && from.Flags == nil {
			return nil, errors.New("the document has no flags")
		}
		return append(to, from), nil
	}
	for _, item := range from.Items {
		var err error
		if to, err = objects(to, item); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// fileMembers are those that a flagd file has. Of them $schema says nothing of flags.
var fileMembers = []string{"flags", "$evaluators", "metadata", "$schema"}

// flagMembers are those that a flag of flagd has.
var flagMembers = []string{"state", "description", "variants", "defaultVariant", "targeting", "metadata"}

// maxShown bounds what a loss repeats of a name, in bytes.
const maxShown = 64

// lastApplied is what kubectl keeps of a manifest.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// member is a member of a JSON object, and nil where it has none.
func member(data json.RawMessage, name string) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil // It has been read, so that only a null gets here.
	}
	return members[name]
}

// loseUnknown says which members of a JSON object are left out, because flagd has none of that name.
func (i *Importer) loseUnknown(flag, place string, data json.RawMessage, known ...string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return // It has been read, so that only a null gets here.
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		// A name in another case has been read as flagd reads it.
		if !slices.ContainsFunc(known, func(other string) bool { return strings.EqualFold(name, other) }) {
			i.lose(flag, "%s%q is unknown to flagd, and left out", place, name[:min(len(name), maxShown)])
		}
	}
}

// object imports what one document holds.
func (i *Importer) object(from *object) {
	part := &part{Importer: i, from: &from.definitions, namespace: i.options.Namespace, used: map[string]struct{}{}}
	if from.Kind != "" {
		if from.Kind != "FeatureFlag" || !strings.HasPrefix(from.APIVersion, "core.openfeature.dev/") {
			i.result.Skipped[from.Kind+" of "+from.APIVersion]++
			return
		}
		part.from = &from.Spec.FlagSpec
		var meta struct {
			Namespace   string            `json:"namespace"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		}
		// A resource without readable metadata has no namespace of its own.
		if err := json.Unmarshal(from.Metadata, &meta); err == nil && part.namespace == "" {
			part.namespace = meta.Namespace
		}
		delete(meta.Annotations, lastApplied)
		if len(meta.Labels)+len(meta.Annotations) > 0 {
			i.lose("", "labels and annotations of resources are left out; flags have their own")
		}
		spec := member(from.whole, "spec")
		i.loseUnknown("", "spec.", spec, "flagSpec")
		i.loseUnknown("", "spec.flagSpec.", member(spec, "flagSpec"), fileMembers...)
	} else {
		i.loseUnknown("", "", from.whole, fileMembers...)
	}
	if metadata := string(part.from.Metadata); metadata != "" && metadata != "{}" && metadata != "null" {
		i.lose("", "metadata of the whole file has no place; copy it to the flags that need it")
	}
	if part.namespace == "" {
		part.namespace = DefaultNamespace
	}
	i.read++
	part.flags()
}
