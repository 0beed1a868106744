// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// made packs a release of two programs that only have a text, and returns its folder.
func made(t *testing.T) string {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
	programs := t.TempDir()
	o := &options{
		version: "v0.2.0", image: "example.com:5000/jackstaff/manager:v0.2.0", out: t.TempDir(),
		downloads: "https://example.com", created: time.Unix(1_800_000_000, 0).UTC(),
	}
	var arguments []string
	for _, platform := range []string{"windows/amd64", "linux/arm64"} {
		path := filepath.Join(programs, strings.ReplaceAll(platform, "/", "-"))
		if err := os.WriteFile(path, []byte("the program for "+platform), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, platform+"="+path)
	}
	if err := o.parse(arguments); err != nil {
		t.Fatal(err)
	}
	if err := o.run(); err != nil {
		t.Fatal(err)
	}
	return o.out
}

func read(t *testing.T, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// unpacked returns the files of a tar archive with their modes.
func unpacked(t *testing.T, packed []byte) (contents map[string]string, modes map[string]int64) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	contents, modes = map[string]string{}, map[string]int64{}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return contents, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		contents[header.Name], modes[header.Name] = string(data), header.Mode
	}
}

func TestWhoeverDownloadsTheCommandLineCanRunIt(t *testing.T) {
	folder := made(t)
	contents, modes := unpacked(t, read(t, folder, "jackstaff_0.2.0_linux_arm64.tar.gz"))
	if contents["jackstaff"] != "the program for linux/arm64" || modes["jackstaff"] != 0o755 || contents["LICENSE"] == "" {
		t.Errorf("the archive holds %v with modes %v", contents, modes)
	}
	packed := read(t, folder, "jackstaff_0.2.0_windows_amd64.zip")
	files, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil || len(files.File) != 2 || files.File[0].Name != "jackstaff.exe" || files.File[0].Mode()&0o111 == 0 {
		t.Errorf("the archive for windows holds %v, %v", files, err)
	}
}

func TestKrewFindsTheArchives(t *testing.T) {
	folder := made(t)
	var manifest struct {
		Spec struct {
			Version   string
			Platforms []struct {
				Selector struct{ MatchLabels map[string]string }
				URI      string
				Sha256   string
				Bin      string
			}
		}
	}
	if err := yaml.UnmarshalStrict(read(t, folder, "krew.yaml"), &struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       map[string]any `json:"spec"`
	}{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(read(t, folder, "krew.yaml"), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Spec.Version != "v0.2.0" || len(manifest.Spec.Platforms) != 2 {
		t.Fatalf("the manifest is %+v", manifest)
	}
	for _, platform := range manifest.Spec.Platforms {
		name, found := strings.CutPrefix(platform.URI, "https://example.com/v0.2.0/")
		if !found || digestOf(read(t, folder, name)) != platform.Sha256 {
			t.Errorf("%s is not what the manifest says: %+v", name, platform)
		}
		if isWindows := platform.Selector.MatchLabels["os"] == "windows"; isWindows != (platform.Bin == "jackstaff.exe") {
			t.Errorf("%s runs %s", platform.URI, platform.Bin)
		}
	}
}

func TestTheChartInstallsTheRelease(t *testing.T) {
	contents, _ := unpacked(t, read(t, made(t), "jackstaff-0.2.0.tgz"))
	for name, wants := range map[string][]string{
		"jackstaff/Chart.yaml":             {"\nversion: 0.2.0\n", "\nappVersion: v0.2.0\n"},
		"jackstaff/values.yaml":            {"\n  repository: example.com:5000/jackstaff/manager\n"},
		"jackstaff/templates/manager.yaml": {"kind: Deployment"},
		"jackstaff/values.schema.json":     {"{"},
	} {
		for _, want := range wants {
			if !strings.Contains(contents[name], want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
}

func TestTheSameInputMakesTheSameBytes(t *testing.T) {
	first := read(t, made(t), checksumsFile)
	t.Chdir(filepath.Join("hack", "release"))
	if diff := cmp.Diff(string(first), string(read(t, made(t), checksumsFile))); diff != "" {
		t.Errorf("a second release differs (-first +second):\n%s", diff)
	}
	if lines := strings.Count(string(first), "\n"); lines != 5 {
		t.Errorf("%d files have a checksum, want 5:\n%s", lines, first)
	}
}

func TestNotes(t *testing.T) {
	const changelog = "# Changelog\n\n## Unreleased\n\n- next\n\n## [0.2.0] - 2027-01-01\n\n- now\n\n## 0.1.0\n\n- before\n"
	for number, want := range map[string]string{"0.2.0": "- now\n", "0.1.0": "- before\n", "0.3.0": "- next\n"} {
		if got, err := notesOf(changelog, number); err != nil || got != want {
			t.Errorf("the notes of %s are %q, %v, want %q", number, got, err, want)
		}
	}
	if _, err := notesOf("# Changelog\n", "0.2.0"); err == nil || !strings.Contains(err.Error(), "## 0.2.0") {
		t.Errorf("without a section the error is %v", err)
	}
}

func TestMistakesOfOptions(t *testing.T) {
	for want, o := range map[string]options{
		`-version "0.2.0"`: {version: "0.2.0", image: "a:b", out: "x"},
		`-version "v1"`:    {version: "v1", image: "a:b", out: "x"},
		"has no tag":       {version: "v1.0.0", image: "example.com:5000/manager", out: "x"},
		"names no folder":  {version: "v1.0.0-rc.1", image: "a:b"},
		"no platform=path": {version: "v1.0.0", image: "a:b", out: "x"},
	} {
		if err := o.parse([]string{"linux=x"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	o := options{version: "v1.0.0", image: "a:b", out: "x"}
	if err := o.parse(nil); err == nil || !strings.Contains(err.Error(), "no binary") {
		t.Errorf("without binaries: %v", err)
	}
}
