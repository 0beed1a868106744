// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is the one that distroless images call nonroot. It is a number, so that a pod with runAsNonRoot starts without a
// further word.
const user = "65532:65532"

// index returns an image of each binary, under one name.
func (o *options) index(binaries []binary) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	index = mutate.Annotations(index, o.labels()).(v1.ImageIndex)
	for _, binary := range binaries {
		image, err := o.image(binary)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", binary.path, err)
		}
		index = mutate.AppendManifests(
			index,
			mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &binary.platform}},
		)
	}
	return index, nil
}

func (o *options) image(binary binary) (v1.Image, error) {
	content, err := o.layer(binary)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer),
	)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(
		image,
		mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "hack/image", Created: o.time()}},
	)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = binary.platform.OS, binary.platform.Architecture, binary.platform.Variant
	config.Created = o.time()
	config.Config = v1.Config{User: user, Entrypoint: []string{o.path}, Labels: maps.Clone(o.labels())}
	return mutate.ConfigFile(image, config)
}

func (o *options) time() v1.Time { return v1.Time{Time: time.Unix(o.created, 0).UTC()} }

// layer is a tar file with the binary and nothing else. It belongs to root, so that the program cannot change itself.
func (o *options) layer(binary binary) ([]byte, error) {
	content, err := os.ReadFile(binary.path)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	if err := writeFile(archive, strings.TrimPrefix(o.path, "/"), 0o555, content); err != nil {
		return nil, err
	}
	return layer.Bytes(), archive.Close()
}

// writeFile adds a file that has no time and no owner of its own.
func writeFile(archive *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     mode,
		Size:     int64(len(content)),
		ModTime:  time.Unix(0, 0),
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}
