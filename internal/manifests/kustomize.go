// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// IsKustomization reports whether a directory holds a kustomization.
func IsKustomization(directory string) bool { return kustomization(directory) != "" }

// kustomization returns the file that makes a directory a kustomization, and nothing where there is none.
func kustomization(directory string) string {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		path := filepath.Join(directory, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// kustomize builds a kustomization as "kustomize build" does without options: it reads no file outside of the
// directories that are named as resources, and runs no plugins.
func kustomize(directory string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified // The kustomization says; else it is logged that both do.
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return nil, fmt.Errorf("build the kustomization in %s: %w", directory, err)
	}
	data, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("build the kustomization in %s: %w", directory, err)
	}
	return data, nil
}
