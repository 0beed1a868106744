// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// defaultNamespace is that of objects that name none, as for kubectl.
const defaultNamespace = "default"

const pathsHelp = "PATH is a file, a directory, which is read with all its *.yaml, *.yml and *.json below it, or - " +
	"for the standard input."

// maxShownProblems bounds how many problems are printed by commands that are not about them.
const maxShownProblems = 20

// project is the namespace whose environment is worked on, in files.
type project struct {
	// namespace is empty where the only namespace of the files is meant.
	namespace string
	// fallback is the namespace of objects that name none, where namespace is empty. Empty means default.
	fallback    string
	environment string
	// unmentioned is true where the environment may be one that no manifest mentions, as that of an older revision.
	unmentioned bool
}

// render is what the operator would publish of manifests.
type render struct {
	environment *v1alpha1.FlagEnvironment
	content     publish.Content
	// flags are all of the project.
	flags []*v1alpha1.FeatureFlag
}

// document returns the native document as revision 0.
func (r *render) document() (*datafile.Document, error) {
	document, err := r.content.Contents.Document()
	if err != nil {
		return nil, err
	}
	document.Header = r.header(0)
	return document, nil
}

func (r *render) header(revision int64) datafile.Header {
	return datafile.Header{
		Project:       r.environment.Namespace,
		Environment:   r.environment.Name,
		Revision:      revision,
		SchemaVersion: datafile.SchemaVersion,
	}
}

// compilePaths compiles an environment of the manifests under paths.
func (a *App) compilePaths(ctx context.Context, paths []string, of project) (*render, error) {
	files, err := manifests.Read(paths, a.Streams.In)
	if err != nil {
		return nil, err
	}
	return a.compileFiles(ctx, files, of)
}

// compileFiles compiles an environment of manifests, which must have no mistakes: what the operator makes of those
// depends on what it has published before.
func (a *App) compileFiles(ctx context.Context, files []manifests.File, of project) (*render, error) {
	set, err := manifests.Load(ctx, files, cmp.Or(of.namespace, of.fallback, defaultNamespace))
	if err != nil {
		return nil, err
	}
	if mistakes := set.Errors(); len(mistakes) > 0 {
		for _, mistake := range mistakes[:min(len(mistakes), maxShownProblems)] {
			a.notef("%s", mistake)
		}
		return nil, fmt.Errorf("the manifests have %s", count(len(mistakes), "mistake"))
	}
	if err := checkName("--namespace", of.namespace); err != nil {
		return nil, err
	}
	namespace, err := chooseNamespace(set, of.namespace)
	if err != nil {
		return nil, err
	}
	part := set.In(namespace)
	environment, err := chooseEnvironment(part, namespace, of)
	if err != nil {
		return nil, err
	}
	compiled := compile.NewEnvironment(environment.Name, nil)
	for _, flag := range part.Flags {
		compiled.SetFlag(flag)
	}
	for _, audience := range part.Audiences {
		compiled.SetAudience(audience)
	}
	for _, event := range part.Events {
		compiled.SetEvent(event)
	}
	content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
	compiled.MakeRoom(func() bool { return content.LeavesRoom(environment) })
	for _, flag := range part.Flags {
		if outcome, _ := compiled.Outcome(flag.Name); outcome.Problem != compile.NoProblem {
			a.notef("FeatureFlag %s is left out: %s", flag.Name, outcome.Message)
		}
	}
	return &render{
		environment: environment,
		flags:       part.Flags,
		content:     content,
	}, nil
}

// chooseNamespace returns the namespace that is meant.
func chooseNamespace(set *manifests.Set, asked string) (string, error) {
	names := set.Namespaces()
	switch {
	case asked != "" && len(names) > 0 && !slices.Contains(names, asked):
		return "", fmt.Errorf("nothing is in namespace %q; the manifests are of %s", asked, strings.Join(names, ", "))
	case asked != "":
		return asked, nil
	case len(names) > 1:
		return "", usagef(
			"the manifests are of several namespaces, %s; choose one with --namespace",
			strings.Join(names, ", "),
		)
	case len(names) == 0:
		return defaultNamespace, nil
	}
	return names[0], nil
}

// chooseEnvironment returns the environment of that name. Where the manifests hold no environments at all, because
// these are kept elsewhere, it is one with the defaults, if a flag has a part for it.
func chooseEnvironment(set *manifests.Set, namespace string, of project) (*v1alpha1.FlagEnvironment, error) {
	var names []string
	name := of.environment
	for _, environment := range set.Environments {
		if environment.Name == name {
			return environment, nil
		}
		names = append(names, environment.Name)
	}
	if len(names) > 0 {
		return nil, fmt.Errorf(
			"there is no FlagEnvironment %q in namespace %q%s",
			name,
			namespace,
			validation.DidYouMean(name, names),
		)
	}
	if err := checkName("--environment", name); err != nil {
		return nil, err
	}
	if mentioned := mentionedIn(set.Flags); !of.unmentioned && len(mentioned) > 0 && !slices.Contains(mentioned, name) {
		return nil, fmt.Errorf(
			"no flag and no FlagEnvironment of the manifests mentions the environment %q in namespace %q%s",
			name,
			namespace,
			validation.DidYouMean(name, mentioned),
		)
	}
	environment := &v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	environment.Default()
	return environment, nil
}

// mentionedIn are the names of the environments that flags have parts for.
func mentionedIn(flags []*v1alpha1.FeatureFlag) []string {
	var names []string
	for _, flag := range flags {
		for i := range flag.Spec.Environments {
			names = append(names, flag.Spec.Environments[i].Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkName refuses an option that becomes the name of an object which Kubernetes does not take, and says what to write
// instead. An option that is not given is none.
func checkName(option, name string) error {
	if name == "" || len(utilvalidation.IsDNS1123Label(name)) == 0 {
		return nil
	}
	instead := ""
	if label := validation.Label(name); label != "" {
		instead = fmt.Sprintf("; write %s %s", option, label)
	}
	return usagef(
		"%s %q is no name that Kubernetes takes: at most 63 lowercase letters, digits and hyphens between them%s",
		option,
		name,
		instead,
	)
}
