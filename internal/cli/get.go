// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// tableAccept asks the API server for the columns that the Kinds define.
const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// kinds are the Kinds by the names that the command line has for them, the plural first.
var kinds = append(kindsOfPeople(), kindNames{
	resource: "flagchanges", names: []string{"changes", "change", "flagchange", "flagchanges", "ffc"},
})

// kindNames are a resource, and the names that the command line has for it.
type kindNames struct {
	resource string
	names    []string
}

// kindsOfPeople are the Kinds that people write, by their words, and as kubectl has them.
func kindsOfPeople() []kindNames {
	var all []kindNames
	for _, kind := range v1alpha1.Kinds {
		names := []string{kind.Words, kind.Word, strings.ToLower(kind.Name), kind.Resource, kind.ShortName}
		if kind.Word == "environment" {
			names = append(names, "env", "envs")
		}
		all = append(all, kindNames{resource: kind.Resource, names: names})
	}
	return all
}

// resourceOf returns the full name of a resource, and what people call several of it.
func resourceOf(name string) (full, plural string, err error) {
	var known []string
	for _, kind := range kinds {
		if slices.Contains(kind.names, strings.ToLower(name)) {
			return kind.resource + "." + v1alpha1.GroupVersion.Group, kind.names[0], nil
		}
		known = append(known, kind.names[0])
	}
	return "", "", usagef("there are %s, and no %q", strings.Join(known, ", "), name)
}

func (a *App) getCommand() *cobra.Command {
	var output string
	var everywhere, watching bool
	var c *cluster
	cmd := &cobra.Command{
		Use:   "get [flags|environments|audiences|events|changes] [NAME...]",
		Short: "Show flags, environments, audiences, events or changes",
		Long: "Show objects as kubectl get does. The Kinds have their singular and short names, too: flag, ffl, " +
			"environment, env, ffe, audience, ffa,\n" +
			"event, ffev, change, ffc. A flag is found by its name or its key.",
		Example: "  jackstaff get\n  jackstaff get environments -n shop -o wide\n  jackstaff get flag new-checkout -o " +
			"yaml\n  jackstaff get -w",
		GroupID: clusterGroup,
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			printer, err := newPrinter(strings.TrimPrefix(output, wideOutput))
			if err != nil {
				return err
			}
			what := kinds[0].names[0]
			if len(arguments) > 0 {
				what, arguments = arguments[0], slices.Clone(arguments[1:])
			}
			full, plural, err := resourceOf(what)
			if err != nil {
				return err
			}
			if watching && printer != nil {
				return usagef("--watch prints a table, and takes no --output but wide")
			}
			if err := c.connect(); err != nil {
				return err
			}
			if err := c.findNames(cmd.Context(), full, arguments); err != nil {
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
				if !everywhere {
					plural += " in namespace " + c.namespace
				}
				shown := &table{app: a, what: plural, withNamespace: everywhere, wide: output == wideOutput}
				if watching {
					return shown.watch(cmd.Context(), func() *resource.Result { return result.TransformRequests(asTable).Do() })
				}
				return shown.print(result.TransformRequests(asTable).Do())
			}
			return a.printObjects(printer, result.Do(), len(arguments) == 1)
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: wide, json, yaml or name. Default a table.")
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "Show the table again whenever it changes, until interrupted.")
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

// wideOutput is the format that shows all columns.
const wideOutput = "wide"

// watchInterval is how often a table that is watched is looked at again.
const watchInterval = time.Second

// table is what the API server makes of objects for people.
type table struct {
	app                 *App
	what                string
	withNamespace, wide bool
}

// read reads the table. Each name that was asked for is a table of its own.
func (t *table) read(result *resource.Result) (*metav1.Table, error) {
	infos, err := result.Infos()
	if err != nil {
		return nil, err
	}
	whole := &metav1.Table{}
	for _, info := range infos {
		object, isObject := info.Object.(*unstructured.Unstructured)
		if !isObject {
			return nil, fmt.Errorf("the API server answered with %T", info.Object)
		}
		part := &metav1.Table{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, part); err != nil {
			return nil, fmt.Errorf("read the table of the API server: %w", err)
		}
		whole.ColumnDefinitions = part.ColumnDefinitions
		whole.Rows = append(whole.Rows, part.Rows...)
	}
	for i := range whole.Rows {
		if err := decodeRow(&whole.Rows[i]); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// print prints the table.
func (t *table) print(result *resource.Result) error {
	whole, err := t.read(result)
	if err != nil {
		return err
	}
	return t.show(t.app.Streams.Out, whole)
}

func (t *table) show(out io.Writer, whole *metav1.Table) error {
	if len(whole.Rows) == 0 {
		t.app.notef("There are no %s.", t.what)
		return nil
	}
	return printers.NewTablePrinter(printers.PrintOptions{WithNamespace: t.withNamespace, Wide: t.wide}).
		PrintObj(whole, quote.Writer(out))
}

// watch prints the table, and again whenever another of its columns than the age has changed, until the context ends.
func (t *table) watch(ctx context.Context, ask func() *resource.Result) error {
	last := ""
	err := wait.PollUntilContextCancel(ctx, watchInterval, true, func(context.Context) (bool, error) {
		whole, err := t.read(ask())
		if err != nil {
			return false, err
		}
		if now := fingerprint(whole); now != last {
			last = now
			return false, t.show(t.app.Streams.Out, whole)
		}
		return false, nil
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Whoever watches has ended it.
	}
	return err
}

// fingerprint is the same for tables that differ in nothing but ages.
func fingerprint(whole *metav1.Table) string {
	var cells []string
	for i := range whole.Rows {
		for j, cell := range whole.Rows[i].Cells {
			if j >= len(whole.ColumnDefinitions) ||
				whole.ColumnDefinitions[j].Format != "date" && whole.ColumnDefinitions[j].Name != "Age" {
				cells = append(cells, fmt.Sprint(cell))
			}
		}
		cells = append(cells, "\n")
	}
	return strings.Join(cells, "\t")
}

// findNames puts names in the place of flags' keys, and refuses what there is not with the names that are near.
func (c *cluster) findNames(ctx context.Context, full string, names []string) error {
	for i := range names {
		switch {
		case strings.HasPrefix(full, "featureflags."):
			flag, err := c.flag(ctx, names[i])
			if apierrors.IsForbidden(err) {
				return nil // Who may get one flag need not list them.
			}
			if err != nil {
				return err
			}
			names[i] = flag.Name
		case strings.HasPrefix(full, "flagenvironments."):
			if _, err := c.environment(ctx, names[i]); err != nil {
				return err
			}
		case strings.HasPrefix(full, "flagaudiences."):
			if err := c.hasAudience(ctx, names[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasAudience refuses an audience that does not exist. Who may not list audiences is told by the API server.
func (c *cluster) hasAudience(ctx context.Context, name string) error {
	list := &v1alpha1.FlagAudienceList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil //nolint:nilerr // The request for the audience itself says what is wrong.
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("there is no audience %q in namespace %q%s", name, c.namespace, validation.DidYouMean(name, names))
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
