// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackstaff-dev/jackstaff/internal/importer"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

func (a *App) importCommand() *cobra.Command {
	var namespace, environment string
	var strict bool
	cmd := &cobra.Command{
		Use:   "import FILE… -e ENVIRONMENT",
		Short: "Turn flagd's flag definitions into manifests",
		Long: "Turn flagd files, OpenFeature's flag manifests, and FeatureFlags of the OpenFeature operator, into manifests\n" +
			"for one environment. Targeting becomes rules, and shared evaluators become audiences; subjects keep what a\n" +
			"fractional has given them where its hash can be said by texts and an attribute. A FILE is a file, a\n" +
			"directory, or - for the standard input. A file may hold several documents and Lists; resources of other Kinds\n" +
			"are counted and skipped. What is not carried over as it was is printed with its reason on " +
			"standard error.",
		Example: "  jackstaff import flags.flagd.json -e production -n shop >flags.yaml\n" +
			"  kubectl get featureflags.core.openfeature.dev -A -o yaml | jackstaff import - -e production",
		GroupID: filesGroup,
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(_ *cobra.Command, arguments []string) error {
			if err := cmp.Or(checkName("--environment", environment), checkName("--namespace", namespace)); err != nil {
				return err
			}
			result, err := a.importFiles(arguments, importer.Options{Namespace: namespace, Environment: environment})
			if err != nil {
				return err
			}
			if err := a.printImported(result); err != nil {
				return err
			}
			if strict && len(result.Losses) > 0 {
				return errReported
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(
		&environment,
		"environment",
		"e",
		"",
		"The environment that the flags are served in (required).",
	)
	cmd.Flags().StringVarP(
		&namespace,
		"namespace",
		"n",
		"",
		"The namespace of all flags. Default that of each resource, else default.",
	)
	cmd.Flags().BoolVar(&strict, "strict", false, "Fail where something is not carried over as it was.")
	_ = cmd.MarkFlagRequired("environment") // It fails only for a flag that does not exist.
	return cmd
}

// importFiles imports every file that the arguments name.
func (a *App) importFiles(arguments []string, options importer.Options) (*importer.Result, error) {
	files, err := manifests.Read(arguments, a.Streams.In)
	if err != nil {
		return nil, err
	}
	imported := importer.New(options)
	for _, file := range files {
		if err := imported.Add(file.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
	}
	return imported.Result()
}

// printImported prints what was imported, and what was not on standard error: one line for each reason, with all flags
// that it is about.
func (a *App) printImported(result *importer.Result) error {
	for _, audience := range result.Audiences {
		if err := a.printManifest(audience); err != nil {
			return err
		}
	}
	for _, flag := range result.Flags {
		if err := a.printManifest(flag); err != nil {
			return err
		}
	}
	var reasons []string
	flags := map[string][]string{}
	for _, loss := range result.Losses {
		if _, known := flags[loss.Reason]; !known {
			reasons = append(reasons, loss.Reason)
		}
		flags[loss.Reason] = append(flags[loss.Reason], cmp.Or(loss.Flag, "the file"))
	}
	for _, reason := range reasons {
		a.notef("%s: %s", strings.Join(flags[reason], ", "), reason)
	}
	for _, kind := range slices.Sorted(maps.Keys(result.Skipped)) {
		a.notef("skipped %d %s", result.Skipped[kind], kind)
	}
	return nil
}

// printManifest prints an object without its status, as one document of several.
func (a *App) printManifest(object any) error {
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	delete(fields, "status")
	if data, err = quote.YAML(fields); err != nil {
		return err
	}
	a.printf("---\n%s", safe(data))
	return nil
}
