// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// The output formats of validate.
const (
	textOutput  = "text"
	jsonOutput  = "json"
	sarifOutput = "sarif"
)

// validationReport is what validate found.
type validationReport struct {
	// Checked is the number of objects of our Kinds, and Skipped that of other documents.
	Checked  int                 `json:"checked"`
	Skipped  int                 `json:"skipped"`
	Errors   int                 `json:"errors"`
	Warnings int                 `json:"warnings"`
	Problems []manifests.Problem `json:"problems"`
}

func (a *App) validateCommand() *cobra.Command {
	var namespace, output string
	var strict bool
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check manifests by the rules of the API server and of admission",
		Long: "Check manifests as a cluster would: by the Kinds' schemas with their CEL rules, by the rules of admission, " +
			"and for unknown\n" +
			"fields. All files together are one set, in which references, keys and prerequisite cycles are looked at.\n" +
			pathsHelp + " Documents of other Kinds are skipped.\n\n" +
			"The exit code is 1 where there are errors, and with --strict where there are warnings.",
		Example: "  jackstaff validate deploy/flags\n" +
			"  kubectl kustomize overlays/production | jackstaff validate -\n" +
			"  jackstaff validate -o sarif . >flags.sarif",
		GroupID: filesGroup,
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(cmd *cobra.Command, paths []string) error {
			write, known := map[string]func(*validationReport) error{
				textOutput: a.printText, sarifOutput: a.printSARIF,
				jsonOutput: func(found *validationReport) error { return a.printJSON(found) },
			}[output]
			if !known {
				return usagef("--output is %s, %s or %s", textOutput, jsonOutput, sarifOutput)
			}
			if err := checkName("--namespace", namespace); err != nil {
				return err
			}
			files, err := manifests.Read(paths, a.Streams.In)
			if err != nil {
				return err
			}
			set, err := manifests.Load(cmd.Context(), files, cmp.Or(namespace, defaultNamespace))
			if err != nil {
				return err
			}
			found := &validationReport{Checked: set.Len(), Skipped: set.Skipped, Problems: set.Problems}
			found.Errors = len(set.Errors())
			found.Warnings = len(set.Problems) - found.Errors
			if err := write(found); err != nil {
				return err
			}
			if found.Errors > 0 || strict && found.Warnings > 0 {
				return errReported
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "The namespace of objects that name none. Default default.")
	cmd.Flags().StringVarP(&output, "output", "o", textOutput, "The format: text, json or sarif (2.1.0).")
	cmd.Flags().BoolVar(&strict, "strict", false, "Let warnings fail the check, too.")
	return cmd
}

func (a *App) printText(found *validationReport) error {
	for _, problem := range found.Problems {
		c := yellow
		if problem.Severity == manifests.Error {
			c = red
		}
		a.printf("%s: %s: %s\n", problem.Position, a.paint(c, string(problem.Severity)), problem.Text())
	}
	a.printf("%s checked, %s, %s; %s skipped\n",
		count(found.Checked, "object"),
		count(found.Errors, "error"),
		count(found.Warnings, "warning"),
		count(found.Skipped, "other document"),
	)
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printJSON prints a value for programs, in which nothing acts on a terminal or in the log of a CI system.
func (a *App) printJSON(value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := a.Streams.Out.Write(quote.JSON(b.Bytes()))
	return err
}

// printRow prints a row of a table.
func printRow(w io.Writer, columns ...string) {
	for i := range columns {
		columns[i] = quote.Line(columns[i])
	}
	_, _ = fmt.Fprintln(w, strings.Join(columns, "\t"))
}
