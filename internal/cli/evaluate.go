// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// targetingKey is the attribute that identifies the subject. It is a string whatever it looks like.
const targetingKey = "targetingKey"

// evaluateOptions are what the command line of evaluate says.
type evaluateOptions struct {
	of          project
	paths       []string
	datafile    string
	attributes  []string
	contextFile string
	at          string
	explain     bool
	output      string
	cluster     *cluster
}

// evaluation is what evaluate prints.
type evaluation struct {
	Flag      string          `json:"flag"`
	Value     json.RawMessage `json:"value,omitempty"`
	Variation string          `json:"variation,omitempty"`
	Reason    evaluate.Reason `json:"reason"`
	Rule      string          `json:"rule,omitempty"`
	Steps     []step          `json:"steps,omitempty"`
}

type step struct {
	Holds  bool   `json:"holds"`
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

func (a *App) evaluateCommand() *cobra.Command {
	o := &evaluateOptions{}
	cmd := &cobra.Command{
		Use:   "evaluate FLAG -e ENVIRONMENT",
		Short: "Evaluate a flag for a context, and explain why",
		Long: "Evaluate a flag, by its key or name, for a context: by manifests with --filename, by a datafile with " +
			"--datafile, which\n" +
			"knows keys alone, else by the datafile that a cluster serves. An attribute is name=value, where the value is " +
			"JSON if it can be\n" +
			"read as such, else a string; a dot in the name leads into an object. targetingKey is always a string.\n\n" +
			"The exit code is 1 where there is no such flag.",
		Example: "  jackstaff evaluate new_checkout -e production -f deploy/flags --context targetingKey=alice --context " +
			"plan=beta --explain\n" +
			"  jackstaff evaluate new_checkout --datafile /etc/flags/datafile.json --context age=30 --context " +
			"'tags=[\"a\",\"b\"]'",
		GroupID: filesGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(
			func(cmd *cobra.Command, arguments []string) error { return a.evaluate(cmd.Context(), arguments[0], o) },
		),
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.of.environment, "environment", "e", "", "The environment. Required, but with --datafile.")
	flags.StringArrayVarP(
		&o.paths,
		"filename",
		"f",
		nil,
		"A file or directory of manifests to evaluate by. It can be given more than once.",
	)
	flags.StringVar(
		&o.datafile,
		"datafile",
		"",
		"A native datafile to evaluate by, or the directory that one is mounted in.",
	)
	flags.StringArrayVar(
		&o.attributes,
		"context",
		nil,
		"An attribute of the context, as name=value. It can be given more than once.",
	)
	flags.StringVar(&o.contextFile, "context-file", "", "A JSON or YAML file with a context, which --context adds to.")
	flags.StringVar(&o.at, "at", "", "The RFC 3339 time of evaluation. Default now.")
	flags.BoolVar(&o.explain, "explain", false, "Print every step that leads to the result.")
	flags.StringVarP(&o.output, "output", "o", textOutput, "The format: text or json.")
	cmd.MarkFlagsMutuallyExclusive("filename", "datafile")
	o.cluster = a.newCluster(cmd, kubeContextFlag)
	return cmd
}

func (a *App) evaluate(ctx context.Context, key string, o *evaluateOptions) error {
	if o.output != textOutput && o.output != jsonOutput {
		return usagef("--output is %s or %s", textOutput, jsonOutput)
	}
	now := a.Clock.Now()
	if o.at != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, o.at); err != nil {
			return usagef("--at is an RFC 3339 time, such as 2027-03-15T09:00:00Z")
		}
	}
	attributes, err := readContext(o.contextFile, o.attributes)
	if err != nil {
		return err
	}
	engine, find, err := a.engine(ctx, o)
	if err != nil {
		return err
	}
	explanation := engine.Explain(key, attributes, now)
	if explanation.Reason == evaluate.FlagNotFound {
		if found, err := find(key); err != nil {
			a.notef("%v", err)
		} else if found != key {
			key, explanation = found, engine.Explain(found, attributes, now)
		}
	}
	result := newEvaluation(key, explanation.Result)
	if o.explain {
		for _, taken := range explanation.Steps {
			result.Steps = append(result.Steps, step{Holds: taken.Holds, What: taken.What, Detail: taken.Detail})
		}
	}
	if o.output == jsonOutput {
		err = a.printJSON(result)
	} else {
		a.printEvaluation(engine, result)
	}
	if err == nil && result.Reason == evaluate.FlagNotFound {
		return errReported
	}
	return err
}

// finder returns the key of a flag that has a name or key, and says which ones are near where none has.
type finder func(nameOrKey string) (string, error)

// engine prepares the datafile to evaluate by.
func (a *App) engine(ctx context.Context, o *evaluateOptions) (*evaluate.Engine, finder, error) {
	if o.datafile == "" && o.of.environment == "" {
		return nil, nil, usagef("required flag \"environment\" not set")
	}
	var document *datafile.Document
	var find finder
	var err error
	switch {
	case o.datafile != "":
		document, err = a.readDatafile(o.datafile)
		find = func(key string) (string, error) { return findKey(document, key) }
	case len(o.paths) > 0:
		o.of.namespace = o.cluster.askedNamespace()
		var rendered *render
		if rendered, err = a.compilePaths(ctx, o.paths, o.of); err == nil {
			document, err = rendered.document()
			find = func(nameOrKey string) (string, error) { return findAmong(rendered.flags, nameOrKey) }
		}
	default:
		document, err = o.cluster.servedDocument(ctx, o.of.environment)
		find = func(nameOrKey string) (string, error) { return o.cluster.findKey(ctx, document, nameOrKey) }
	}
	if err != nil {
		return nil, nil, err
	}
	engine, err := evaluate.New(document)
	return engine, find, err
}

// findKey finds no flag, because a datafile knows keys alone, and says which are near.
func findKey(document *datafile.Document, key string) (string, error) {
	keys := slices.Sorted(maps.Keys(document.Flags))
	return "", fmt.Errorf("the datafile has no flag of the key %q%s", key, validation.DidYouMean(key, keys))
}

// findAmong finds a flag of manifests.
func findAmong(flags []*v1alpha1.FeatureFlag, nameOrKey string) (string, error) {
	flag, known := findFlag(flags, nameOrKey)
	if flag == nil {
		return "", fmt.Errorf(
			"the manifests have no flag of the name or key %q%s",
			nameOrKey,
			validation.DidYouMean(nameOrKey, known),
		)
	}
	if flag.Spec.Archived {
		return "", fmt.Errorf("FeatureFlag %q is archived, so that no environment serves it", flag.Name)
	}
	return flag.Key(), nil
}

// findKey finds a flag of the cluster. Who may not list flags is told of the keys that are served.
func (c *cluster) findKey(ctx context.Context, document *datafile.Document, nameOrKey string) (string, error) {
	flag, err := c.flag(ctx, nameOrKey)
	switch {
	case apierrors.IsForbidden(err):
		return findKey(document, nameOrKey)
	case err != nil:
		return "", err
	case document.Flags[flag.Key()] == nil:
		return "", fmt.Errorf(
			"environment %q does not serve FeatureFlag %q; see its conditions",
			document.Environment,
			flag.Name,
		)
	}
	return flag.Key(), nil
}

// readDatafile reads a native datafile from a file, from a directory that holds one, or from the standard input.
func (a *App) readDatafile(path string) (*datafile.Document, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(a.Streams.In)
	} else {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			path = filepath.Join(path, datafile.FileName)
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), datafile.CompressedFileName)); err == nil {
				path = filepath.Join(filepath.Dir(path), datafile.CompressedFileName)
			}
		}
		data, err = os.ReadFile(path) //nolint:gosec // Reading the file that the user names is the purpose.
	}
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if data, err = datafile.Decompress(data); err != nil {
			return nil, err
		}
	}
	return datafile.Read(data)
}

// readContext reads a context from a file, if one is named, and adds attributes of the form name=value.
func readContext(file string, attributes []string) (map[string]any, error) {
	values := evaluate.Context{}
	if file != "" {
		data, err := os.ReadFile(file) //nolint:gosec // Reading the file that the user names is the purpose.
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(data, &values); err != nil {
			return nil, fmt.Errorf("read the context in %s: %w", file, err)
		}
	}
	for _, attribute := range attributes {
		name, text, found := strings.Cut(attribute, "=")
		if !found || name == "" {
			return nil, usagef("--context is name=value, not %q", attribute)
		}
		value, err := evaluate.Decode([]byte(text))
		if err != nil {
			value = text
		}
		if _, isString := value.(string); name == targetingKey && !isString {
			value = text
		}
		if err := setAttribute(values, strings.Split(name, "."), value); err != nil {
			return nil, usagef("--context %s: %w", attribute, err)
		}
	}
	return values, nil
}

// setAttribute sets what a dot path leads to.
func setAttribute(values map[string]any, path []string, value any) error {
	for _, name := range path[:len(path)-1] {
		if values[name] == nil {
			values[name] = map[string]any{}
		}
		inner, isObject := values[name].(map[string]any)
		if !isObject {
			return errors.New(name + " is no object")
		}
		values = inner
	}
	values[path[len(path)-1]] = value
	return nil
}

func newEvaluation(key string, result evaluate.Result) *evaluation {
	e := &evaluation{Flag: key, Reason: result.Reason, Rule: result.Rule}
	if result.Variation != nil {
		e.Variation, e.Value = result.Variation.Key, result.Variation.JSON
	}
	return e
}

func (a *App) printEvaluation(engine *evaluate.Engine, result *evaluation) {
	if len(result.Steps) > 0 {
		header := engine.Header()
		a.printf(
			"%s in environment %s of project %s, revision %d\n",
			result.Flag,
			header.Environment,
			header.Project,
			header.Revision,
		)
	}
	for _, taken := range result.Steps {
		mark := a.paint(red, "no ")
		if taken.Holds {
			mark = a.paint(green, "yes")
		}
		a.printf("  %s  %s\n", mark, strings.TrimSpace(taken.What+" "+taken.Detail))
	}
	for _, line := range []struct{ name, value string }{
		{"value", string(result.Value)}, {"variation", result.Variation}, {"reason", string(result.Reason)}, {"rule", result.Rule},
	} {
		if line.value != "" {
			a.printf("%-10s %s\n", line.name+":", line.value)
		}
	}
}
