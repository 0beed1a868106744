// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// exportAll prints everything that a project is: what is published and kept, the SDK keys, and the objects of the four
// Kinds with freezes and rollbacks. What others are found by comes first, so that whoever applies it from top to bottom
// has the operator take up what was published.
func (a *App) exportAll(ctx context.Context, c *cluster) error {
	environments := &v1alpha1.FlagEnvironmentList{}
	if err := c.client.List(ctx, environments, client.InNamespace(c.namespace)); err != nil {
		return fmt.Errorf("list environments: %w", err)
	}
	published, err := publishedObjects(ctx, c, environments.Items)
	if err != nil {
		return err
	}
	for _, object := range published {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return fmt.Errorf("export %s: %w", object.GetName(), err)
		}
		if err := a.printExported(object.GetName(), publishedManifest(fields)); err != nil {
			return err
		}
	}
	return a.exportObjects(c, exportedKinds, nil, wholeManifest)
}

// publishedObjects are the Secrets of SDK keys that are valid, and the ConfigMaps that are served or kept.
func publishedObjects(
	ctx context.Context, c *cluster, environments []v1alpha1.FlagEnvironment,
) ([]client.Object, error) {
	var objects []client.Object
	for i := range environments {
		for _, key := range environments[i].Status.SDKKeys {
			secret := &corev1.Secret{}
			if err := c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: key.SecretName}, secret); err != nil {
				return nil, fmt.Errorf("read the SDK keys of %s: %w", environments[i].Name, err)
			}
			secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
			objects = append(objects, secret)
		}
	}
	for _, kind := range []string{v1alpha1.DatafileHistory, v1alpha1.DatafileServed} {
		datafiles := &corev1.ConfigMapList{}
		if err := c.client.List(ctx, datafiles, client.InNamespace(c.namespace), client.MatchingLabels{
			v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ProjectLabel: c.namespace, v1alpha1.DatafileLabel: kind,
		}); err != nil {
			return nil, fmt.Errorf("list datafiles: %w", err)
		}
		for i := range datafiles.Items {
			datafiles.Items[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
			objects = append(objects, &datafiles.Items[i])
		}
	}
	return objects, nil
}

// publishedManifest returns what the operator wrote of a ConfigMap or a Secret.
func publishedManifest(object map[string]any) map[string]any {
	written := manifestOf(object)
	keep(written["metadata"].(map[string]any), "annotations", func(name string) bool {
		return strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/")
	})
	for _, field := range []string{"immutable", "type", "data", "binaryData"} {
		if value := object[field]; value != nil {
			written[field] = value
		}
	}
	return written
}

// wholeManifest returns what a person would have written of an object, with freezes and rollbacks.
func wholeManifest(object map[string]any) map[string]any {
	written := manifestOf(object)
	keep(written["metadata"].(map[string]any), "annotations", isWanted)
	written["spec"] = object["spec"]
	return written
}

// manifestOf returns an object without a spec, and without what the server adds.
func manifestOf(object map[string]any) map[string]any {
	from, _ := object["metadata"].(map[string]any)
	metadata := map[string]any{}
	for _, name := range []string{"name", "namespace", "labels", "annotations"} {
		if from[name] != nil {
			metadata[name] = from[name]
		}
	}
	return map[string]any{"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata}
}

// isWanted reports whether an annotation says what is wanted.
func isWanted(annotation string) bool { return !slices.Contains(serverAnnotations, annotation) }

func (a *App) printExported(name string, manifest map[string]any) error {
	data, err := quote.YAML(manifest)
	if err != nil {
		return fmt.Errorf("export %s: %w", name, err)
	}
	a.printf("---\n%s", safe(data))
	return nil
}
