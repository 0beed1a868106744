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
)

func (a *App) exportCommand() *cobra.Command {
	var c *cluster
	var output string
	var all bool
	cmd := &cobra.Command{
		Use:   "export [flags|environments|audiences|events] [NAME...]",
		Short: "Print objects of a cluster as manifests to keep",
		Long: "Print the objects of a namespace as manifests, without what the server and the operator add, and without " +
			"the freeze and the\n" +
			"rollback of environments, which are not for Git. Without arguments it prints all four Kinds.\n\n" +
			"With -o openfeature-manifest it prints the flags as OpenFeature's flag manifest, from which its command line\n" +
			"generates code. The default in the code is the flag's default variation; archived flags are left out.\n\n" +
			"With --all it prints everything that the project is, for a restore or another cluster: also the SDK keys, what is\n" +
			"published and kept, freezes and rollbacks. Keep that as a secret, and apply it with kubectl apply --server-side.\n" +
			"Another operator believes it where its Secret jackstaff-seal is the same.",
		Example: "  jackstaff export -n shop >flags.yaml\n" +
			"  jackstaff export -n shop -o openfeature-manifest >flags.json && openfeature generate go\n" +
			"  jackstaff export -n shop --all >backup.yaml",
		GroupID: clusterGroup,
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			kinds, names, err := exported(arguments, output, all)
			if err != nil {
				return err
			}
			if err := c.connect(); err != nil {
				return err
			}
			switch {
			case all:
				return a.exportAll(cmd.Context(), c)
			case output == manifestOutput:
				return a.exportManifest(cmd.Context(), c, names)
			}
			return a.exportObjects(c, kinds, names, manifest)
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", yamlOutput, "The format: yaml or openfeature-manifest.")
	cmd.Flags().BoolVar(
		&all,
		"all",
		false,
		"Print everything that the project is: SDK keys, what is published and kept, freezes and rollbacks too.",
	)
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// exportedKinds are the Kinds in an order in which they can be applied.
var exportedKinds = []string{"environments", "events", "audiences", "flags"}

// exported says which Kinds, and which objects of one, are asked for.
func exported(arguments []string, output string, all bool) (kinds, names []string, err error) {
	switch {
	case !slices.Contains([]string{yamlOutput, manifestOutput}, output):
		return nil, nil, usagef("--output is %s or %s", yamlOutput, manifestOutput)
	case all && (len(arguments) > 0 || output == manifestOutput):
		return nil, nil, usagef("--all prints all objects of the namespace as YAML; leave the other arguments out")
	case len(arguments) == 0:
		return exportedKinds, nil, nil
	}
	_, plural, err := resourceOf(arguments[0])
	if err != nil {
		return nil, nil, err
	}
	if output == manifestOutput && plural != "flags" {
		return nil, nil, usagef("a flag manifest holds flags, and no %s", plural)
	}
	return arguments[:1], arguments[1:], nil
}

// exportObjects prints the objects of these Kinds, or those of them that have these names, as a function writes them.
func (a *App) exportObjects(
	c *cluster, kinds, names []string, written func(object map[string]any) map[string]any,
) error {
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
			if err := a.printExported(info.Name, written(object.Object)); err != nil {
				return err
			}
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

// manifest returns what a person would have written of an object for Git.
func manifest(object map[string]any) map[string]any {
	written := wholeManifest(object)
	keep(written["metadata"].(map[string]any), "labels", func(name string) bool {
		return !strings.Contains(name, ".toolkit.fluxcd.io/")
	})
	publish, found, _ := unstructured.NestedMap(object, "spec", "publish")
	if found && object["kind"] == "FlagEnvironment" {
		maps.DeleteFunc(publish, func(name string, _ any) bool {
			return strings.HasPrefix(name, "suspend") || name == "revision"
		})
		_ = unstructured.SetNestedMap(written, publish, "spec", "publish") // There is a map in its place.
	}
	return written
}

// keep leaves of a map in metadata the names that are wanted, and drops the map where none is left.
func keep(metadata map[string]any, field string, wanted func(name string) bool) {
	values, _ := metadata[field].(map[string]any)
	maps.DeleteFunc(values, func(name string, _ any) bool { return !wanted(name) })
	if len(values) == 0 {
		delete(metadata, field)
	}
}
