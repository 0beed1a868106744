// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// build packs this test's own binary for two platforms.
func build(t *testing.T, change func(*options)) *options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := &options{
		out: filepath.Join(
			t.TempDir(),
			"image.tar",
		),
		sbom:     filepath.Join(t.TempDir(), "sbom.json"),
		tag:      "jackstaff/manager:1.2.3",
		path:     "/manager",
		title:    "Jackstaff",
		source:   "https://example.com/source",
		licenses: "Apache-2.0",
		version:  "v1.2.3",
		revision: "abc",
		created:  1767225600,
	}
	if change != nil {
		change(o)
	}
	if err := o.run(context.Background(), []string{"linux/amd64=" + self, "linux/arm64=" + self}); err != nil {
		t.Fatal(err)
	}
	return o
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestTheSameBinariesMakeTheSameBytes(t *testing.T) {
	first, second := build(t, nil), build(t, nil)
	if !bytes.Equal(read(t, first.out), read(t, second.out)) {
		t.Error("two builds of the image differ")
	}
	if !bytes.Equal(read(t, first.sbom), read(t, second.sbom)) {
		t.Error("two builds of the bill of materials differ")
	}
}

// unpack unpacks a tar file.
func unpack(t *testing.T, archive io.Reader) string {
	t.Helper()
	folder := t.TempDir()
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, filepath.Clean("/"+header.Name))
		content, err := io.ReadAll(reader)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(file), 0o755)
		}
		if err == nil {
			err = os.WriteFile(file, content, header.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkImage checks what a cluster sees of an image.
func checkImage(t *testing.T, image v1.Image, architecture string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != architecture {
		t.Errorf("it is for %s/%s", config.OS, config.Architecture)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("it runs as %q", config.Config.User)
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/manager"}) {
		t.Errorf("its entrypoint is %q", config.Config.Entrypoint)
	}
	for label, want := range map[string]string{"version": "v1.2.3", "revision": "abc", "created": "2026-01-01T00:00:00Z", "licenses": "Apache-2.0"} {
		if got := config.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("it has %d layers (%v), want one", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	root := unpack(t, content)
	said, err := exec.CommandContext(
		t.Context(),
		filepath.Join(root, config.Config.Entrypoint[0]),
		"-test.list",
		"TestCluster",
	).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "TestClusters") {
		t.Errorf("its entrypoint said %q (%v)", said, err)
	}
}

func TestClustersRunIt(t *testing.T) {
	o := build(t, nil)
	root, err := layout.ImageIndexFromPath(unpack(t, bytes.NewReader(read(t, o.out))))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Manifests[0].Annotations["io.containerd.image.name"]; got != "docker.io/jackstaff/manager:1.2.3" {
		t.Errorf("containerd would call it %q", got)
	}
	index, err := root.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, architecture := range []string{"amd64", "arm64"} {
		if got := platforms.Manifests[i].Platform.Architecture; got != architecture {
			t.Errorf("the index says %s, want %s", got, architecture)
		}
		image, err := index.Image(platforms.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, image, architecture)
	}
}

func TestDockerLoadsTheFirstPlatform(t *testing.T) {
	o := build(t, nil)
	tag, err := name.NewTag(o.tag)
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(o.out, &tag)
	if err != nil {
		t.Fatal(err)
	}
	checkImage(t, image, "amd64")
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	o := build(t, func(o *options) {
		o.tag, o.push = strings.TrimPrefix(server.URL, "http://")+"/jackstaff/manager:1.2.3", true
	})
	tag, err := name.NewTag(o.tag)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(tag, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"}))
	if err != nil {
		t.Fatal(err)
	}
	checkImage(t, image, "arm64")
}

func TestSBOMNamesTheModules(t *testing.T) {
	bom := &cdx.BOM{}
	if err := json.Unmarshal(read(t, build(t, nil).sbom), bom); err != nil {
		t.Fatal(err)
	}
	if got := bom.Metadata.Component; got.Name != "github.com/jackstaff-dev/jackstaff/hack/image" ||
		got.Version != "v1.2.3" {
		t.Errorf("it is the bill of %s %s", got.Name, got.Version)
	}
	for _, module := range []string{"std", "github.com/google/go-containerregistry"} {
		if !slices.ContainsFunc(
			*bom.Components,
			func(c cdx.Component) bool { return c.Name == module && c.Version != "" && c.PackageURL != "" },
		) {
			t.Errorf("module %s is missing", module)
		}
	}
}

// The Dockerfile copies what .dockerignore lets through. A package that it does not would break the build there only.
func TestDockerfileGetsWhatTheManagerImports(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/manager")
	list.Dir = "../.."
	packages, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields(string(read(t, "../../.dockerignore")))
	for found := range strings.FieldsSeq(string(packages)) {
		folder, ours := strings.CutPrefix(found, "github.com/jackstaff-dev/jackstaff/")
		if first, _, _ := strings.Cut(path.Clean(folder), "/"); ours && !slices.Contains(allowed, "!"+first) {
			t.Errorf(".dockerignore keeps out %s, which the manager imports", folder)
		}
	}
}
