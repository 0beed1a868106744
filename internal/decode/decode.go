// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decode reads objects of the Kinds one by one, so that a stored object which their types cannot hold fails
// alone: it is marked and keeps what fits, while the list or the watch that brings it goes on.
package decode

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

const (
	// maxProblems is how many mistakes a mark tells of.
	maxProblems = 5
	// maxPaths is how many lost paths a mark names, beyond which the whole spec counts as lost.
	maxPaths = 50
)

// Object reads the JSON of a stored object into an empty one of its Kind. Where that does not fit the Kind's type, the
// object holds what fits and is marked, see v1alpha1.Undecodable. Object fails where not even the metadata can be read.
func Object(raw []byte, into v1alpha1.Object) error {
	_, err := object(raw, into)
	return err
}

// object is Object, and reports whether the object is as it is stored.
func object(raw []byte, into v1alpha1.Object) (whole bool, err error) {
	err = utiljson.Unmarshal(raw, into)
	if err == nil {
		return !Unmark(into), nil
	}
	kind, known := v1alpha1.KindOf(into)
	if !known {
		return false, fmt.Errorf("read an object of %T: %w", into, err)
	}
	fields := map[string]any{}
	if err := utiljson.Unmarshal(raw, &fields); err != nil {
		return false, fmt.Errorf("read the %s: %w", kind.Word, err)
	}
	s := &salvage{kind: kind, fields: fields, reason: err.Error()}
	return false, s.into(into)
}

// Unmark removes the mark, and reports whether there was one.
func Unmark(object v1alpha1.Object) bool {
	annotations := object.GetAnnotations()
	if _, marked := annotations[v1alpha1.UndecodableAnnotation]; !marked {
		return false
	}
	delete(annotations, v1alpha1.UndecodableAnnotation)
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	return true
}

// salvage reads what fits of one object.
type salvage struct {
	kind   v1alpha1.Kind
	fields map[string]any
	// reason is what the decoder says.
	reason string
	// paths are the fields that were lost, and problems what is wrong with them.
	paths, problems []string
}

// into reads what fits, first without the values that have another type, then without whole parts.
func (s *salvage) into(object v1alpha1.Object) error {
	for _, mistake := range validation.Types(s.fields, object) {
		s.lose(mistake.Field, mistake.Error())
	}
	if data, err := s.read(); err == nil {
		return s.mark(data, object)
	}
	for _, parts := range [][]string{{"status"}, {"spec"}, {"spec", "status"}} {
		if data, err := s.read(parts...); err == nil {
			for _, part := range parts {
				s.lose(part, part+": "+s.reason)
			}
			return s.mark(data, object)
		}
	}
	return fmt.Errorf("read the metadata of the %s: %s", s.kind.Word, s.reason)
}

func (s *salvage) lose(path, problem string) {
	s.paths, s.problems = append(s.paths, path), append(s.problems, problem)
}

// read returns the JSON of the object without some parts, if that fits.
func (s *salvage) read(without ...string) ([]byte, error) {
	fields := maps.Clone(s.fields)
	for _, part := range without {
		delete(fields, part)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode what fits: %w", err)
	}
	if err := utiljson.Unmarshal(data, s.kind.New()); err != nil {
		return nil, fmt.Errorf("read what fits: %w", err)
	}
	return data, nil
}

// mark sets object to what fits and marks it. Where a status alone was lost, the mark has no reason: the status is made
// again, that of an environment with the SDK keys that its served file mirrors. Until then the mark keeps replicas from
// taking an empty status for one without keys.
func (s *salvage) mark(data []byte, object v1alpha1.Object) error {
	reflect.ValueOf(object).Elem().SetZero() // What the first attempt has read must not stay.
	if err := utiljson.Unmarshal(data, object); err != nil {
		return fmt.Errorf("read what fits of the %s: %w", s.kind.Word, err)
	}
	environment, isEnvironment := object.(*v1alpha1.FlagEnvironment)
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.UndecodableAnnotation] = s.text()
	object.SetAnnotations(annotations)
	if isEnvironment && v1alpha1.Lost(object, "spec.production") {
		environment.Spec.Production = true // Nobody without the right may profit from not knowing.
	}
	return nil
}

func onlyStatus(paths []string) bool { return len(paths) == 1 && paths[0] == "status" }

// text is the mark: paths, then what is wrong, which is nothing where a status alone was lost.
func (s *salvage) text() string {
	if onlyStatus(s.paths) {
		return "status\n"
	}
	paths := s.paths
	if len(paths) > maxPaths {
		paths = []string{"spec", "status"}
	}
	problems := s.problems[:min(len(s.problems), maxProblems)]
	text := strings.Join(problems, "; ")
	if more := len(s.problems) - len(problems); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(paths, " ") + "\n" + text
}
