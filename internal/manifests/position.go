// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Position is a place in a file.
type Position struct {
	// File is the file's name.
	File string `json:"file"`
	// Line is from 1 on.
	Line int `json:"line"`
	// Column is from 1 on, and 0 where only the line is known.
	Column int `json:"column,omitempty"`
}

// String is "file:line".
func (p Position) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// locator finds the positions of fields. It reads a document again only when it is asked, which is when something is
// wrong.
type locator struct {
	document
	// object is the kind and name of the object.
	object string
	// path is that of the object in the document, which is not empty for the items of a list.
	path string
	root *yaml.Node
}

// find returns the position of the field at a path such as spec.rules[0].name, or of what is nearest around it.
func (l *locator) find(path string) Position {
	position := Position{File: l.file, Line: l.line}
	if l.root == nil {
		l.root = &yaml.Node{}
		if yaml.Unmarshal(l.data, l.root) != nil {
			return position // Whoever asks reports that the document is no YAML.
		}
	}
	if len(l.root.Content) == 0 {
		return position
	}
	node := l.root.Content[0]
	at := node
	for _, step := range append(steps(l.path), steps(path)...) {
		name, value := child(node, step)
		if value == nil {
			break
		}
		node, at = value, name
	}
	return Position{File: l.file, Line: l.line + at.Line - 1, Column: at.Column}
}

// child returns the field or item of node at one step of a path, with the node that it begins at, and nil where there
// is none.
func child(node *yaml.Node, step string) (begin, value *yaml.Node) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return nil, nil
}

var stepPattern = regexp.MustCompile(`\[([^\]]*)\]|[^.\[\]]+`)

// steps are the names, indexes and keys of a field's path.
func steps(path string) []string {
	var found []string
	for _, match := range stepPattern.FindAllStringSubmatch(path, -1) {
		if strings.HasPrefix(match[0], "[") {
			found = append(found, match[1])
		} else {
			found = append(found, match[0])
		}
	}
	return found
}
