// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

func (a *App) exportCommand() *cobra.Command {
	var c *cluster
	var output string
	cmd := &cobra.Command{
		Use:   "export [flags|environments|audiences|events] [NAME...]",
		Short: "Print objects of a cluster as manifests to keep",
		Long: "Print the objects of a namespace as manifests, without what the server and the operator add, and without " +
			"the freeze and the\n" +
			"rollback of environments, which are not for Git. Without arguments it prints all four Kinds.\n\n" +
			"With -o openfeature-manifest it prints the flags as OpenFeature's flag manifest, from which its command line\n" +
			"generates code. The default in the code is the flag's default variation; archived flags are left out.",
		Example: "  jackstaff export -n shop >flags.yaml\n" +
			"  jackstaff export -n shop -o openfeature-manifest >flags.json && openfeature generate go",
		GroupID: clusterGroup,
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if !slices.Contains([]string{yamlOutput, manifestOutput}, output) {
				return usagef("--output is %s or %s", yamlOutput, manifestOutput)
			}
			kinds, names := []string{"environments", "events", "audiences", "flags"}, []string(nil)
			if len(arguments) > 0 {
				kinds, names = arguments[:1], arguments[1:]
			}
			for _, kind := range kinds {
				_, plural, err := resourceOf(kind)
				if err != nil {
					return err
				}
				if output == manifestOutput && len(kinds) == 1 && plural != "flags" {
					return usagef("a flag manifest holds flags, and no %s", plural)
				}
			}
			if err := c.connect(); err != nil {
				return err
			}
			if output == manifestOutput {
				return a.exportManifest(cmd.Context(), c, names)
			}
			return a.exportObjects(c, kinds, names)
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", yamlOutput, "The format: yaml or openfeature-manifest.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// exportObjects prints the objects of these Kinds, or those of them that have these names.
func (a *App) exportObjects(c *cluster, kinds, names []string) error {
	for _, kind := range kinds {
		full, _, err := resourceOf(kind)
		if err != nil {
			return err
		}
		infos, err := resource.NewBuilder(c.flags).Unstructured().NamespaceParam(c.namespace).DefaultNamespace().
			ResourceTypeOrNameArgs(true, append([]string{full}, names...)...).Latest().Flatten().Do().Infos()
		if err != nil {
			return err
		}
		for _, info := range infos {
			object, isObject := info.Object.(*unstructured.Unstructured)
			if !isObject {
				return fmt.Errorf("the API server answered with %T", info.Object)
			}
			data, err := quote.YAML(manifest(object.Object))
			if err != nil {
				return fmt.Errorf("export %s: %w", info.Name, err)
			}
			a.printf("---\n%s", safe(data))
		}
	}
	return nil
}

// serverAnnotations are set by the server, by tools or by requests, and say nothing of what is wanted.
var serverAnnotations = []string{
	"kubectl.kubernetes.io/last-applied-configuration",
	"argocd.argoproj.io/tracking-id",
	v1alpha1.ChangesAnnotation,
	v1alpha1.PublishRequestedAtAnnotation,
	v1alpha1.PinAgainAnnotation,
	v1alpha1.RotateKeysRequestedAtAnnotation,
	v1alpha1.RevokeKeysBeforeAnnotation,
	v1alpha1.ConfirmDeleteAnnotation,
}

// manifest returns what a person would have written of an object.
func manifest(object map[string]any) map[string]any {
	from, _ := object["metadata"].(map[string]any)
	metadata := map[string]any{}
	for _, name := range []string{"name", "namespace", "labels", "annotations"} {
		if from[name] != nil {
			metadata[name] = from[name]
		}
	}
	keep(metadata, "annotations", func(name string) bool { return !slices.Contains(serverAnnotations, name) })
	keep(metadata, "labels", func(name string) bool { return !strings.Contains(name, ".toolkit.fluxcd.io/") })
	if publish, found, _ := unstructured.NestedMap(
		object,
		"spec",
		"publish",
	); found &&
		object["kind"] == "FlagEnvironment" {
		maps.DeleteFunc(publish, func(name string, _ any) bool {
			return strings.HasPrefix(name, "suspend") || name == "revision"
		})
		_ = unstructured.SetNestedMap(object, publish, "spec", "publish") // There is a map in its place.
	}
	return map[string]any{
		"apiVersion": object["apiVersion"],
		"kind":       object["kind"],
		"metadata":   metadata,
		"spec":       object["spec"],
	}
}

// keep leaves of a map in metadata the names that are wanted, and drops the map where none is left.
func keep(metadata map[string]any, field string, wanted func(name string) bool) {
	values, _ := metadata[field].(map[string]any)
	maps.DeleteFunc(values, func(name string, _ any) bool { return !wanted(name) })
	if len(values) == 0 {
		delete(metadata, field)
	}
}
