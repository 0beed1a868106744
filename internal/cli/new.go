// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// schemas is where the JSON Schemas of the Kinds are, of a version.
const schemas = "https://raw.githubusercontent.com/jackstaff-dev/jackstaff/%s/docs/schemas/%s.schema.json"

// scaffold is a manifest to begin with, and what its template shows.
type scaffold struct {
	// template is the name of the template.
	template string
	kind     string

	Schema      string
	Namespace   string
	Name        string
	Key         string
	Description string
	Owner       string
	// Type is the type of a flag, such as Boolean, or of an event.
	Type         string
	Environments []string
	// Traffic is the share of subjects with which a rollout begins, such as 1%.
	Traffic    string
	Production bool

	// named is the name that was asked for, and empty where it is made of the key.
	named string
	// file is where the manifest is written, and empty for the standard output.
	file string
}

func (a *App) newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Write a manifest to begin with",
		Long: "Print a manifest that is valid as it is and says in comments what to fill in. Its first line names the\n" +
			"Kind's JSON Schema, by which an editor completes fields and marks mistakes. Nothing is switched on by\n" +
			"applying it. kubectl applies the files of a directory by their names: apply those of environments before " +
			"those of flags.",
		GroupID: filesGroup,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.newFlagCommand(), a.newRolloutCommand(), a.newEnvironmentCommand(), a.newAudienceCommand(), a.newEventCommand(),
	)
	return cmd
}

func (a *App) newFlagCommand() *cobra.Command {
	s := &scaffold{template: "flag", kind: "FeatureFlag"}
	cmd := a.scaffoldCommand(s, &cobra.Command{
		Use:   "flag KEY",
		Short: "Write a flag that is off",
		Long:  "Print a FeatureFlag that is off in each environment. Code asks for it by KEY, of which its name is made.",
		Example: "  jackstaff new flag new_checkout -e staging -e production\n" +
			"  jackstaff new flag search/page-size --type Number -n shop --filename deploy/flags",
	})
	s.options(cmd)
	cmd.Flags().StringVar(&s.Type, "type", string(v1alpha1.FlagTypeBoolean), "The type: Boolean, String, Number or JSON.")
	return cmd
}

func (a *App) newRolloutCommand() *cobra.Command {
	s := &scaffold{template: "flag", kind: "FeatureFlag", Type: string(v1alpha1.FlagTypeBoolean)}
	cmd := a.scaffoldCommand(s, &cobra.Command{
		Use:   "rollout KEY",
		Short: "Write a flag that is given to more and more people",
		Long: "Print a Boolean FeatureFlag that is off, with a rule that gives it to a share of people once it is\n" +
			"enabled. Whoever is in stays in as the share is raised.",
		Example: "  jackstaff new rollout new_checkout -e production --traffic 5%",
	})
	s.options(cmd)
	cmd.Flags().StringVar(&s.Traffic, "traffic", "1%", "The share that it begins with.")
	return cmd
}

// options are those of flags.
func (s *scaffold) options(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&s.Environments, "environment", "e", []string{"production"},
		"An environment that serves the flag. It can be given more than once.")
	cmd.Flags().StringVar(&s.Owner, "owner", "", "The team to ask.")
	s.nameOption(cmd)
}

// nameOption is that of Kinds whose objects have a key beside their name.
func (s *scaffold) nameOption(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.named, "name", "", "The name in Kubernetes. Default one that is made of KEY.")
}

func (a *App) newEnvironmentCommand() *cobra.Command {
	s := &scaffold{template: "environment", kind: "FlagEnvironment"}
	cmd := a.scaffoldCommand(s, &cobra.Command{
		Use:   "environment NAME",
		Short: "Write an environment",
		Long: "Print a FlagEnvironment. One whose name is that of a production environment is one, unless\n" +
			"--production=false says otherwise.",
		Example: "  jackstaff new environment production -n shop",
	})
	cmd.Flags().BoolVar(&s.Production, "production", false, "Guard what it serves by the permission to publish.")
	cmd.PreRun = func(cmd *cobra.Command, arguments []string) {
		if !cmd.Flags().Changed("production") {
			s.Production = validation.IsNamedLikeProduction(arguments[0])
		}
	}
	return cmd
}

func (a *App) newAudienceCommand() *cobra.Command {
	return a.scaffoldCommand(&scaffold{template: "audience", kind: "FlagAudience"}, &cobra.Command{
		Use:     "audience NAME",
		Short:   "Write an audience, which rules name",
		Long:    "Print a FlagAudience, a named set of people, for the rules of flags.",
		Example: "  jackstaff new audience beta-testers -n shop",
	})
}

func (a *App) newEventCommand() *cobra.Command {
	s := &scaffold{template: "event", kind: "FlagEvent"}
	cmd := a.scaffoldCommand(s, &cobra.Command{
		Use:     "event KEY",
		Short:   "Write an event, which experiments measure",
		Long:    "Print a FlagEvent. Code tracks it by KEY, of which its name is made.",
		Example: "  jackstaff new event order_value --type Numeric",
	})
	cmd.Flags().StringVar(&s.Type, "type", string(v1alpha1.EventTypeConversion), "The type: Conversion or Numeric.")
	s.nameOption(cmd)
	return cmd
}

// scaffoldCommand has a command write a scaffold.
func (a *App) scaffoldCommand(s *scaffold, cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = a.run(func(cmd *cobra.Command, arguments []string) error {
		s.Key = arguments[0]
		data, err := s.manifest(cmd.Context(), a.Version)
		if err != nil {
			return err
		}
		if s.file == "" {
			a.printf("%s", safe(data))
			return nil
		}
		path, err := writeNew(s.file, s.Name+".yaml", data)
		if err != nil {
			return err
		}
		a.notef("%s is written; fill it in, and check it with \"jackstaff validate %s\"", path, path)
		if len(s.Environments) > 0 {
			a.notef("apply the files of its environments before it (%s), such as with kubectl apply -f %s -f %s",
				strings.Join(s.Environments, ", "), filepath.Join(filepath.Dir(path), s.Environments[0]+".yaml"), path)
		}
		return nil
	})
	cmd.Flags().StringVarP(&s.Namespace, "namespace", "n", "", "The namespace. Default none.")
	cmd.Flags().StringVar(&s.Description, "description", "", "What it is for.")
	cmd.Flags().StringVar(&s.file, "filename", "", "The file to write, which must not be there, or a directory for it.")
	return cmd
}

// manifest is the text of a scaffold. It fails where what was asked for makes no valid manifest.
func (s *scaffold) manifest(ctx context.Context, version string) ([]byte, error) {
	if err := s.name(); err != nil {
		return nil, err
	}
	tree := "main"
	if isRelease(version) {
		tree = "v" + strings.TrimPrefix(version, "v")
	}
	s.Schema = fmt.Sprintf(schemas, tree, strings.ToLower(s.kind))
	var text bytes.Buffer
	if err := scaffolds.ExecuteTemplate(&text, s.template, s); err != nil {
		return nil, fmt.Errorf("write the %s: %w", s.kind, err)
	}
	file := manifests.File{Name: s.Name + ".yaml", Data: text.Bytes()}
	set, err := manifests.Load(ctx, []manifests.File{file}, cmp.Or(s.Namespace, defaultNamespace))
	if err != nil {
		return nil, err
	}
	var mistakes []string
	for _, mistake := range set.Errors() {
		mistakes = append(mistakes, mistake.Text())
	}
	if len(mistakes) > 0 {
		return nil, usagef("that makes no valid manifest: %s", strings.Join(mistakes, "; "))
	}
	return text.Bytes(), nil
}

// name chooses the name of the object, and drops a key that says the same.
func (s *scaffold) name() error {
	if err := checkName("--namespace", s.Namespace); err != nil {
		return err
	}
	if err := checkName("--name", s.named); err != nil {
		return err
	}
	for _, environment := range s.Environments {
		if err := checkName("--environment", environment); err != nil {
			return err
		}
	}
	s.Name = cmp.Or(s.named, validation.Label(s.Key))
	switch {
	case s.Type == "": // What code does not ask for has no key beside its name.
		if len(utilvalidation.IsDNS1123Label(s.Key)) > 0 {
			return checkName("the name", s.Key)
		}
	case s.Name == "":
		return usagef("%q has no letter or digit that a name in Kubernetes could be made of; give one with --name", s.Key)
	case s.named == "" && s.kind == "FeatureFlag" && strings.ContainsFunc(s.Key, isForeign): // Keys of events have none.
		return usagef(
			"%q has letters that a name in Kubernetes cannot have, and without them another key could get the same name; "+
				"give a name of lowercase letters, digits and hyphens with --name", s.Key)
	}
	if s.Name == s.Key {
		s.Key = ""
	}
	return nil
}

// isForeign reports whether names in Kubernetes have nothing in the place of a character of a key.
func isForeign(r rune) bool { return r > unicode.MaxASCII }

// writeNew writes a file that is not there yet, and returns its path. Where the path is a directory it is the file of
// that name in it.
func writeNew(path, name string, data []byte) (string, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, name)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // Manifests are for everybody.
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already, and stays as it is; choose another file", path)
	}
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	return path, errors.Join(err, file.Close())
}

// asYAML writes a text as it is written in a line of YAML, in quotes where that is needed.
func asYAML(text string) (string, error) {
	data, err := quote.YAML(text)
	line := strings.TrimSpace(string(data))
	if err != nil || !strings.Contains(line, "\n") {
		return line, err
	}
	data, err = json.Marshal(text) // A string of JSON is one of YAML.
	return string(quote.JSON(data)), err
}
