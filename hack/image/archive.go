// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeArchive writes index as an OCI image layout in a tar file.
func writeArchive(file string, tag name.Tag, index v1.ImageIndex) error {
	folder, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	written, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	// containerd takes the name from the first, others the tag from the second.
	names := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          containerdName(tag),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	})
	if err := written.AppendIndex(index, names); err != nil {
		return err
	}
	if err := writeDockerManifest(filepath.Join(folder, "manifest.json"), tag, index); err != nil {
		return err
	}
	return pack(file, folder)
}

// containerdName is the name with the registry as container runtimes write it.
func containerdName(tag name.Tag) string {
	registry := tag.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry + "/" + tag.RepositoryStr() + ":" + tag.TagStr()
}

// writeDockerManifest writes what `docker load` looks for. It knows one platform only, so it gets the first.
func writeDockerManifest(file string, tag name.Tag, index v1.ImageIndex) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	config, err := image.Manifest()
	if err != nil {
		return err
	}
	blob := func(hash v1.Hash) string { return path.Join("blobs", hash.Algorithm, hash.Hex) }
	entry := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: blob(config.Config.Digest), RepoTags: []string{tag.Name()}}
	if tag.RegistryStr() == name.DefaultRegistry {
		entry.RepoTags[0] = tag.RepositoryStr() + ":" + tag.TagStr()
	}
	for _, layer := range config.Layers {
		entry.Layers = append(entry.Layers, blob(layer.Digest))
	}
	content, err := json.Marshal([]any{entry})
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// pack writes the files of folder into a tar file, in the order of their names.
func pack(file, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		return writeFile(archive, name, 0o644, content)
	})
	return errors.Join(err, archive.Close(), out.Close())
}
