// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// chartFolder is the chart as it is developed: its version is that of no release.
const chartFolder = "charts/jackstaff"

// chart packs the chart as `helm package` does, with the version and the image of the release.
func (o *options) chart() ([]byte, error) {
	repository, tag := cutTag(o.image)
	changes := map[string][][2]string{
		"Chart.yaml": {
			{"\nversion: 0.1.0\n", "\nversion: " + o.number() + "\n"},
			{"\nappVersion: dev\n", "\nappVersion: " + tag + "\n"},
		},
		"values.yaml": {{"\n  repository: jackstaff/manager\n", "\n  repository: " + repository + "\n"}},
	}
	var files []file
	err := fs.WalkDir(os.DirFS(chartFolder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(chartFolder, name))
		if err != nil {
			return err
		}
		text := string(data)
		for _, change := range changes[name] {
			if strings.Count(text, change[0]) != 1 {
				return fmt.Errorf("%s has not once the line %q", name, strings.TrimSpace(change[0]))
			}
			text = strings.Replace(text, change[0], change[1], 1)
		}
		made := file{path.Join("jackstaff", name), 0o644, []byte(text)}
		if name == "Chart.yaml" { // Helm looks for it first.
			files = append([]file{made}, files...)
		} else {
			files = append(files, made)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pack the chart: %w", err)
	}
	return gzipped(files, o.created)
}

// notesOf returns the section of a changelog for a version, or the one of what is not released yet, which is named so
// once it is.
func notesOf(changelog, number string) (string, error) {
	var found, unreleased []string
	var section *[]string
	for line := range strings.Lines(changelog) {
		if title, isTitle := strings.CutPrefix(line, "## "); isTitle {
			name, _, _ := strings.Cut(strings.Trim(title, "[ \n"), " ")
			section = map[string]*[]string{number: &found, "Unreleased": &unreleased}[strings.TrimSuffix(name, "]")]
			continue
		}
		if section != nil {
			*section = append(*section, line)
		}
	}
	for _, lines := range [][]string{found, unreleased} {
		if text := strings.TrimSpace(strings.Join(lines, "")); text != "" {
			return text + "\n", nil
		}
	}
	return "", fmt.Errorf("CHANGELOG.md says nothing of %s: it needs a section %q", number, "## "+number)
}

// krew is the manifest by which `kubectl krew install` finds the command line.
func (o *options) krew(archives []archive) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: jackstaff
spec:
  version: %s
  homepage: https://github.com/jackstaff-dev/jackstaff
  shortDescription: Feature flags as Kubernetes resources
  description: |
    Switches feature flags, says what is served, who changed it and when, and rolls
    back. Validates, evaluates and compares flags in manifests without a cluster.
  caveats: |
    The commands that ask a cluster need the operator in it:
    https://github.com/jackstaff-dev/jackstaff/blob/main/docs/install.md
  platforms:
`, o.version)
	for _, made := range archives {
		fmt.Fprintf(&text, `  - selector:
      matchLabels: {os: %s, arch: %s}
    uri: %s/%s/%s
    sha256: "%s"
    bin: %s
`, made.system, made.architecture, o.downloads, o.version, made.name, made.digest, made.program)
	}
	return text.Bytes()
}
