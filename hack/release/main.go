// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release packs what release.sh has built: an archive of the command line for each platform, the chart and the
// manifests that install the version, the manifest for krew (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/),
// the notes, and checksums of it all. The same input makes the same bytes.
//
//	go run ./hack/release -version v0.2.0 -image jackstaff/manager:v0.2.0 -out dist/v0.2.0 linux/amd64=jackstaff windows/amd64=jackstaff.exe
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// checksumsFile lists the others, as sha256sum does and checks.
const checksumsFile = "checksums.txt"

// options are what the command line says.
type options struct {
	// version is that of the release, with its v.
	version string
	// image is the operator's image of that version.
	image string
	// out is the folder that is filled. What is there stays, and is in the checksums.
	out string
	// downloads is the address below which the files of a version will be found.
	downloads string
	// created is the time in archives.
	created time.Time
	// binaries are those of the command line.
	binaries []binary
}

// binary is a command line that was built.
type binary struct{ system, architecture, path string }

func main() {
	o := &options{}
	flag.StringVar(&o.version, "version", "", "the version of the release, such as v0.2.0")
	flag.StringVar(&o.image, "image", "", "the operator's image of that version, such as jackstaff/manager:v0.2.0")
	flag.StringVar(&o.out, "out", "", "the folder to fill")
	flag.StringVar(
		&o.downloads, "downloads", "https://github.com/jackstaff-dev/jackstaff/releases/download",
		"the address below which the files will be found, in a folder of the version",
	)
	created := flag.Int64("created", 0, "when the commit was made, in seconds since 1970")
	flag.Parse()
	o.created = time.Unix(*created, 0).UTC()
	err := o.parse(flag.Args())
	if err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// parse reads the arguments, platform=path, and judges the options.
func (o *options) parse(arguments []string) error {
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(o.version, "v")); err != nil ||
		!strings.HasPrefix(o.version, "v") {
		return fmt.Errorf("-version %q is none: write it as v1.2.3 or v1.2.3-rc.1", o.version)
	}
	if repository, tag := cutTag(o.image); repository == "" || tag == "" {
		return fmt.Errorf("-image %q has no tag: write it as jackstaff/manager:%s", o.image, o.version)
	}
	if o.out == "" {
		return errors.New("-out names no folder")
	}
	for _, argument := range arguments {
		platform, path, found := strings.Cut(argument, "=")
		system, architecture, both := strings.Cut(platform, "/")
		if !found || !both {
			return fmt.Errorf("%q is no platform=path, such as linux/amd64=jackstaff", argument)
		}
		o.binaries = append(o.binaries, binary{system: system, architecture: architecture, path: path})
	}
	if len(o.binaries) == 0 {
		return errors.New("no binary of the command line is named")
	}
	slices.SortFunc(o.binaries, func(a, b binary) int {
		return cmp.Or(strings.Compare(a.system, b.system), strings.Compare(a.architecture, b.architecture))
	})
	return nil
}

// number is the version without its v, as charts and archives have it.
func (o *options) number() string { return strings.TrimPrefix(o.version, "v") }

// cutTag parts an image's name from its tag, which is after the last slash: a registry has a port.
func cutTag(image string) (repository, tag string) {
	at := strings.LastIndexByte(image, ':')
	if at < strings.LastIndexByte(image, '/') || at < 0 {
		return image, ""
	}
	return image[:at], image[at+1:]
}

func (o *options) run() error {
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return err
	}
	archives, err := o.packCommandLine()
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	notes, err := notesOf(string(changelog), o.number())
	if err != nil {
		return err
	}
	chart, err := o.chart()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"jackstaff-" + o.number() + ".tgz": chart, "krew.yaml": o.krew(archives), "notes.md": []byte(notes),
	} {
		if err := os.WriteFile(filepath.Join(o.out, name), data, 0o600); err != nil {
			return err
		}
	}
	return o.sum()
}

// sum writes the checksums of all files.
func (o *options) sum() error {
	entries, err := os.ReadDir(o.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == checksumsFile {
			continue
		}
		data, err := os.ReadFile(filepath.Join(o.out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", digestOf(data), entry.Name())
	}
	return os.WriteFile(filepath.Join(o.out, checksumsFile), []byte(sums.String()), 0o600)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
