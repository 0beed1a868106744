// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests reads objects of the four Kinds from files, as a cluster would take them: with defaults set, and
// judged by the Kinds' schemas and by the rules of admission. Everything that is wrong is a Problem with its place in a
// file.
package manifests

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// Severity says what a cluster would make of a Problem.
type Severity string

// The severities.
const (
	// Error: the API server or admission refuses the object.
	Error Severity = "error"
	// Warning: admission warns.
	Warning Severity = "warning"
)

// The rules of problems that are no field errors and no findings of admission.
const (
	// SyntaxRule: a document cannot be read.
	SyntaxRule = "Syntax"
	// UnknownKindRule: a document is of our group, and the group has no such Kind.
	UnknownKindRule = "UnknownKind"
	// UnknownFieldRule: the Kind has no such field.
	UnknownFieldRule = "UnknownField"
	// DuplicateObjectRule: two documents are the same object.
	DuplicateObjectRule = "DuplicateObject"
)

// Problem is something that is wrong in a file.
type Problem struct {
	Position

	// Severity says how bad it is.
	Severity Severity `json:"severity"`
	// Rule names what is broken: one of the rules above, the type of a field error such as FieldValueInvalid, or a
	// validation.FindingKind.
	Rule string `json:"rule"`
	// Object is the kind and name of the object, such as "FeatureFlag new-checkout". It is empty where that could not be
	// read.
	Object string `json:"object,omitempty"`
	// Field is the path of the field. It may be empty.
	Field string `json:"field,omitempty"`
	// Message says what is wrong, and what to do.
	Message string `json:"message"`
}

// String is "file:line: severity: object: field: message".
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s: %s", p.Position, p.Severity, p.Text())
}

// Text is "object: field: message".
func (p Problem) Text() string {
	text := ""
	if p.Object != "" {
		text += p.Object + ": "
	}
	if p.Field != "" {
		text += p.Field + ": "
	}
	return text + p.Message
}

// Set is what files hold. The objects have their defaults, and those with mistakes are among them as far as they could
// be read.
type Set struct {
	// Flags, Environments, Audiences and Events are in the order in which they were read.
	Flags        []*v1alpha1.FeatureFlag
	Environments []*v1alpha1.FlagEnvironment
	Audiences    []*v1alpha1.FlagAudience
	Events       []*v1alpha1.FlagEvent
	// Skipped is the number of documents that are of other Kinds, or no objects at all.
	Skipped int
	// Problems are in the order of files and lines.
	Problems []Problem

	// sources say where the objects were read, and byID finds the first of each.
	sources map[client.Object]*locator
	byID    map[string]client.Object
}

// Len is the number of objects.
func (s *Set) Len() int { return len(s.Flags) + len(s.Environments) + len(s.Audiences) + len(s.Events) }

// Errors returns the problems that are errors.
func (s *Set) Errors() []Problem {
	return slices.DeleteFunc(slices.Clone(s.Problems), func(p Problem) bool { return p.Severity != Error })
}

// Load reads the objects of files, which make one set. An object without a namespace is of the one given. It fails only
// where the schemas of the Kinds cannot be prepared; everything that is wrong with files is among the set's problems.
func Load(ctx context.Context, files []File, namespace string) (*Set, error) {
	kinds, err := schemas()
	if err != nil {
		return nil, fmt.Errorf("prepare the schemas of the Kinds: %w", err)
	}
	var documents []document
	for _, file := range files {
		documents = append(documents, split(file)...)
	}
	readers := make([]*reader, len(documents))
	inParallel(len(documents), func(i int) {
		readers[i] = &reader{schemas: kinds, namespace: namespace}
		readers[i].document(ctx, documents[i])
	})
	set := &Set{sources: map[client.Object]*locator{}, byID: map[string]client.Object{}}
	for _, reader := range readers {
		set.Skipped += reader.skipped
		set.Problems = append(set.Problems, reader.problems...)
		for _, found := range reader.objects {
			set.add(found)
		}
	}
	set.findings(ctx)
	set.Problems = withoutEchoes(set.Problems)
	slices.SortStableFunc(set.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Severity, b.Severity))
	})
	return set, nil
}

// withoutEchoes leaves out warnings about fields that are wrong: what cannot be read is taken for nothing, of which the
// author wrote no word.
func withoutEchoes(problems []Problem) []Problem {
	type place struct {
		Position

		field string
	}
	wrong := map[place]bool{}
	for i := range problems {
		if problems[i].Severity == Error {
			wrong[place{problems[i].Position, problems[i].Field}] = true
		}
	}
	return slices.DeleteFunc(problems, func(problem Problem) bool {
		return problem.Severity == Warning && wrong[place{problem.Position, problem.Field}]
	})
}

// inParallel calls do for every number below count, on all cores.
func inParallel(count int, do func(i int)) {
	var wait sync.WaitGroup
	workers := min(count, runtime.GOMAXPROCS(0))
	for worker := range workers {
		wait.Go(func() {
			for i := worker; i < count; i += workers {
				do(i)
			}
		})
	}
	wait.Wait()
}

// add takes an object that was read. Of an object that is there twice, it keeps the first.
func (s *Set) add(found read) {
	s.sources[found.object] = found.at
	id := fmt.Sprintf("%s %s/%s", found.kind, found.object.GetNamespace(), found.object.GetName())
	if first, twice := s.byID[id]; twice && found.object.GetName() != "" {
		s.problem(found.object, Error, DuplicateObjectRule, "metadata.name",
			"is the same object as the one at "+s.sources[first].find("metadata.name").String())
		return
	}
	s.byID[id] = found.object
	switch object := found.object.(type) {
	case *v1alpha1.FeatureFlag:
		s.Flags = append(s.Flags, object)
	case *v1alpha1.FlagEnvironment:
		s.Environments = append(s.Environments, object)
	case *v1alpha1.FlagAudience:
		s.Audiences = append(s.Audiences, object)
	case *v1alpha1.FlagEvent:
		s.Events = append(s.Events, object)
	}
}

func (s *Set) problem(object client.Object, severity Severity, rule, path, message string) {
	at := s.sources[object]
	s.Problems = append(s.Problems, Problem{
		Position: at.find(path), Severity: severity, Rule: rule, Object: at.object, Field: path, Message: message,
	})
}

// environmentName is the field of a flag that names a FlagEnvironment.
var environmentName = regexp.MustCompile(`^spec\.environments\[\d+\]\.name$`)

// findings warns of what admission warns of.
func (s *Set) findings(ctx context.Context) {
	namespaces := s.byNamespace()
	found := make([][]validation.Finding, len(s.Flags)+len(s.Audiences)+len(s.Events)+len(s.Environments))
	objects := make([]client.Object, len(found))
	// Namespaces in memory never fail.
	inParallel(len(found), func(i int) {
		switch {
		case i < len(s.Flags):
			flag := s.Flags[i]
			objects[i] = flag
			found[i], _ = validation.FeatureFlagFindings(ctx, namespaces[flag.Namespace], flagdCompatible, nil, flag)
		case i < len(s.Flags)+len(s.Audiences):
			audience := s.Audiences[i-len(s.Flags)]
			objects[i] = audience
			found[i], _ = validation.FlagAudienceFindings(ctx, namespaces[audience.Namespace], nil, audience)
		case i >= len(found)-len(s.Environments):
			environment := s.Environments[i-(len(found)-len(s.Environments))]
			objects[i] = environment
			found[i] = validation.FlagEnvironmentFindings(environment, "")
		default:
			event := s.Events[i-len(s.Flags)-len(s.Audiences)]
			objects[i] = event
			found[i], _ = validation.FlagEventFindings(ctx, namespaces[event.Namespace], nil, event)
		}
	})
	declared := map[string]bool{}
	for _, environment := range s.Environments {
		declared[environment.Namespace] = true
	}
	for i, object := range objects {
		for _, finding := range found[i] {
			// Environments that are kept elsewhere are taken to exist, as render does.
			if finding.Kind == validation.NotFound && environmentName.MatchString(finding.Field) &&
				!declared[object.GetNamespace()] {
				continue
			}
			s.problem(object, Warning, string(finding.Kind), finding.Field, finding.Detail)
		}
	}
}

// flagdCompatible says why the flagd format cannot carry a flag. One with mistakes has been told of these.
func flagdCompatible(flag *v1alpha1.FeatureFlag) error {
	if len(validation.FeatureFlag(flag)) > 0 {
		return nil
	}
	return compile.FlagdCompatible(flag)
}

// byNamespace returns the objects of each namespace.
func (s *Set) byNamespace() map[string]*validation.Objects {
	namespaces := map[string]*validation.Objects{}
	for _, name := range s.Namespaces() {
		part := s.In(name)
		namespaces[name] = validation.NewObjects(part.Flags, part.Environments, part.Audiences, part.Events)
	}
	return namespaces
}

// Namespaces returns the namespaces of the objects, in order.
func (s *Set) Namespaces() []string {
	names := map[string]struct{}{}
	for _, object := range s.byID {
		names[object.GetNamespace()] = struct{}{}
	}
	return slices.Sorted(maps.Keys(names))
}

// In returns the objects of one namespace.
func (s *Set) In(namespace string) *Set {
	return &Set{
		Flags: in(s.Flags, namespace), Environments: in(s.Environments, namespace),
		Audiences: in(s.Audiences, namespace), Events: in(s.Events, namespace),
	}
}

func in[T client.Object](objects []T, namespace string) []T {
	return slices.DeleteFunc(slices.Clone(objects), func(object T) bool { return object.GetNamespace() != namespace })
}
