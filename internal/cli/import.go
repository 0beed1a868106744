// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/internal/importer"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
)

func (a *App) importCommand() *cobra.Command {
	var namespace, environment string
	var strict bool
	cmd := &cobra.Command{
		Use:   "import FILE -e ENVIRONMENT",
		Short: "Turn flagd's flag definitions into manifests",
		Long: "Turn a flagd file, or a FeatureFlag of the OpenFeature operator, into manifests for one environment. Targeting becomes rules, and\n" +
			"shared evaluators become audiences; subjects keep what a fractional has given them where its hash can be said by a salt and\n" +
			"an attribute. What is not carried over as it was is printed with its reason on standard error. FILE is - for the standard input.",
		Example: "  jackstaff import flags.flagd.json -e production -n shop >flags.yaml\n" +
			"  kubectl get featureflags.core.openfeature.dev web -o yaml | jackstaff import - -e production",
		GroupID: filesGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(_ *cobra.Command, arguments []string) error {
			files, err := manifests.Read(arguments, a.Streams.In)
			if err != nil {
				return err
			}
			if len(files) != 1 {
				return usagef("%s is no file", arguments[0])
			}
			result, err := importer.Flagd(files[0].Data, cmp.Or(namespace, defaultNamespace), environment)
			if err != nil {
				return fmt.Errorf("%s: %w", files[0].Name, err)
			}
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
			for _, loss := range result.Losses {
				a.notef("%s: %s", cmp.Or(loss.Flag, files[0].Name), loss.Reason)
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
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "The namespace of the flags. Default default.")
	cmd.Flags().BoolVar(&strict, "strict", false, "Fail where something is not carried over as it was.")
	_ = cmd.MarkFlagRequired("environment") // It fails only for a flag that does not exist.
	return cmd
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
	if data, err = yaml.Marshal(fields); err != nil {
		return err
	}
	a.printf("---\n%s", data)
	return nil
}
