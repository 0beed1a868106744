// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// tableAccept asks the API server for the columns that the Kinds define.
const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// resources are what the four Kinds are called on the command line.
var resources = []string{"flags", "environments", "audiences", "events"}

// resourceOf returns the full name of a resource.
func resourceOf(name string) (string, error) {
	full := map[string]string{"flags": "featureflags", "environments": "flagenvironments", "audiences": "flagaudiences", "events": "flagevents"}[name]
	if full == "" {
		return "", usagef("there are %s, and no %q", strings.Join(resources, ", "), name)
	}
	return full + "." + v1alpha1.GroupVersion.Group, nil
}

func (a *App) getCommand() *cobra.Command {
	var output string
	var everywhere bool
	var c *cluster
	cmd := &cobra.Command{
		Use:       "get [flags|environments|audiences|events] [NAME...]",
		Short:     "Show flags, environments, audiences or events",
		Example:   "  jackstaff get\n  jackstaff get environments -n shop\n  jackstaff get flags new-checkout -o yaml",
		GroupID:   clusterGroup,
		ValidArgs: resources,
		RunE: a.run(func(_ *cobra.Command, arguments []string) error {
			printer, err := newPrinter(output)
			if err != nil {
				return err
			}
			what := resources[0]
			if len(arguments) > 0 {
				what, arguments = arguments[0], arguments[1:]
			}
			full, err := resourceOf(what)
			if err != nil {
				return err
			}
			if err := c.connect(); err != nil {
				return err
			}
			result := resource.NewBuilder(
				c.flags,
			).Unstructured().NamespaceParam(
				c.namespace,
			).DefaultNamespace().AllNamespaces(
				everywhere,
			).
				ResourceTypeOrNameArgs(
					true,
					append([]string{full}, arguments...)...).Latest().Flatten()
			if printer == nil {
				return a.printTable(what, everywhere, result.TransformRequests(asTable).Do())
			}
			return a.printObjects(printer, result.Do(), len(arguments) == 1)
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: json, yaml or name. Default a table.")
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "Show those of all namespaces.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func asTable(request *rest.Request) { request.SetHeader("Accept", tableAccept) }

// newPrinter returns the printer of a format, and nil for a table.
func newPrinter(output string) (printers.ResourcePrinter, error) {
	switch output {
	case "":
		return nil, nil //nolint:nilnil // A table is printed by other means.
	case jsonOutput:
		return &printers.JSONPrinter{}, nil
	case "yaml":
		return &printers.YAMLPrinter{}, nil
	case "name":
		return &printers.NamePrinter{}, nil
	}
	return nil, usagef("--output is json, yaml or name")
}

// printTable prints what the API server makes of objects for people. Each name that was asked for is a table of its
// own.
func (a *App) printTable(what string, withNamespace bool, result *resource.Result) error {
	infos, err := result.Infos()
	if err != nil {
		return err
	}
	whole := &metav1.Table{}
	for _, info := range infos {
		object, isObject := info.Object.(*unstructured.Unstructured)
		if !isObject {
			return fmt.Errorf("the API server answered with %T", info.Object)
		}
		table := &metav1.Table{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, table); err != nil {
			return fmt.Errorf("read the table of the API server: %w", err)
		}
		whole.ColumnDefinitions = table.ColumnDefinitions
		whole.Rows = append(whole.Rows, table.Rows...)
	}
	if len(whole.Rows) == 0 {
		a.notef("There are no %s.", what)
		return nil
	}
	for i := range whole.Rows {
		if err := decodeRow(&whole.Rows[i]); err != nil {
			return err
		}
	}
	return printers.NewTablePrinter(
		printers.PrintOptions{WithNamespace: withNamespace},
	).PrintObj(
		whole,
		quote.Writer(a.Streams.Out),
	)
}

// decodeRow reads the metadata of a row, in which its namespace is.
func decodeRow(row *metav1.TableRow) error {
	if len(row.Object.Raw) == 0 {
		return nil
	}
	object, err := runtime.Decode(unstructured.UnstructuredJSONScheme, row.Object.Raw)
	row.Object.Object = object
	return err
}

// printObjects prints objects one after the other, or as one list in JSON and YAML.
func (a *App) printObjects(printer printers.ResourcePrinter, result *resource.Result, single bool) error {
	infos, err := result.Infos()
	if err != nil {
		return err
	}
	if _, names := printer.(*printers.NamePrinter); names || single {
		for _, info := range infos {
			if err := printer.PrintObj(info.Object, a.Streams.Out); err != nil {
				return err
			}
		}
		return nil
	}
	list := &unstructured.UnstructuredList{
		Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}},
	}
	for _, info := range infos {
		if object, isObject := info.Object.(*unstructured.Unstructured); isObject {
			list.Items = append(list.Items, *object)
		}
	}
	return printer.PrintObj(list, a.Streams.Out)
}
