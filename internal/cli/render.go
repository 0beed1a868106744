// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// The formats that render prints.
const (
	nativeOutput = "native"
	flagdOutput  = "flagd"
)

func (a *App) renderCommand() *cobra.Command {
	var of project
	var output string
	var revision int64
	cmd := &cobra.Command{
		Use:   "render PATH... -e ENVIRONMENT",
		Short: "Print the datafile that the operator would publish of manifests",
		Long: "Print the very bytes that the operator would publish of these manifests as a revision of an environment, " +
			"where nothing was\n" +
			"published before. A native document that would be stored compressed is printed as it is before that. On a " +
			"terminal, what\n" +
			"would act there is escaped.\n" + pathsHelp,
		Example: "  jackstaff render deploy/flags -e production -o flagd >flagd.json",
		GroupID: filesGroup,
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(cmd *cobra.Command, paths []string) error {
			formats := map[string]v1alpha1.DatafileFormat{
				nativeOutput: v1alpha1.DatafileFormatNative,
				flagdOutput:  v1alpha1.DatafileFormatFlagd,
			}
			format, known := formats[output]
			if !known {
				return usagef("--output is %s or %s", nativeOutput, flagdOutput)
			}
			if revision < 0 {
				return usagef("--revision is 0 or more")
			}
			rendered, err := a.compilePaths(cmd.Context(), paths, of)
			if err != nil {
				return err
			}
			data, err := rendered.encode(format, revision)
			if err != nil {
				return err
			}
			if a.isTerminal() {
				data = quote.JSON(data)
			}
			_, err = a.Streams.Out.Write(data)
			return err
		}),
	}
	addProjectFlags(cmd, &of)
	cmd.Flags().StringVarP(&output, "output", "o", nativeOutput, "The format: native or flagd.")
	cmd.Flags().Int64Var(&revision, "revision", 0, "The number of the revision.")
	return cmd
}

// addProjectFlags adds the flags that choose an environment in files.
func addProjectFlags(cmd *cobra.Command, of *project) {
	cmd.Flags().StringVarP(&of.environment, "environment", "e", "", "The environment (required).")
	cmd.Flags().StringVarP(&of.namespace, "namespace", "n", "",
		"The namespace, also of objects that name none. Default the only one in the manifests.")
	_ = cmd.MarkFlagRequired("environment") // It fails only for a flag that does not exist.
}

// encode returns a published file as revision.
func (r *render) encode(format v1alpha1.DatafileFormat, revision int64) ([]byte, error) {
	if !slices.Contains(r.environment.Spec.Datafile.Formats, format) {
		return nil, fmt.Errorf(
			"environment %q publishes no %s datafile; see spec.datafile.formats",
			r.environment.Name,
			format,
		)
	}
	files, complete, err := publish.Layout(r.header(revision), r.content, r.environment.Spec.Datafile, publish.Files{})
	if err != nil {
		return nil, err
	}
	if format == v1alpha1.DatafileFormatNative {
		return files.Native()
	}
	if !complete {
		return nil, fmt.Errorf("the flagd file does not fit into the ConfigMap of environment %q", r.environment.Name)
	}
	return []byte(files.Text[flagd.FileName]), nil
}
