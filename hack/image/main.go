// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image packs static binaries into a container image without a container engine: one layer with one file on an
// empty base, for each platform. The same binaries make the same bytes.
//
//	go run . -out image.tar -sbom sbom.json -tag jackstaff/manager:dev -version dev linux/amd64=manager-amd64 linux/arm64=manager-arm64
//
// The file is an OCI image layout, which containerd, podman, skopeo and kind read, and has the manifest that `docker
// load` looks for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// options are what the command line says.
type options struct {
	out, sbom, tag, path, title, source, licenses, version, revision string
	// created is the time of the commit, in seconds since 1970, so that a build of the same commit says the same.
	created int64
	push    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	o := &options{}
	flag.StringVar(&o.out, "out", "image.tar", "the image's file")
	flag.StringVar(
		&o.sbom,
		"sbom",
		"",
		"the file for the bill of materials (CycloneDX, JSON) of the first binary; empty for none",
	)
	flag.StringVar(&o.tag, "tag", "", "the image's name, such as jackstaff/manager:dev")
	flag.StringVar(&o.path, "path", "/manager", "where the binary lies in the image, which is its entrypoint")
	flag.StringVar(&o.title, "title", "Jackstaff", "what the image is called")
	flag.StringVar(&o.source, "source", "https://github.com/jackstaff-dev/jackstaff", "where its source is")
	flag.StringVar(&o.licenses, "licenses", "Apache-2.0", "its licence, as an SPDX expression")
	flag.StringVar(&o.version, "version", "dev", "its version")
	flag.StringVar(&o.revision, "revision", "", "the commit that it is built from")
	flag.Int64Var(&o.created, "created", 0, "when that commit was made, in seconds since 1970")
	flag.BoolVar(
		&o.push,
		"push",
		false,
		"also push the image to the registry that its name says, with the credentials of docker login",
	)
	flag.Parse()
	err := o.run(ctx, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// binary is one argument.
type binary struct {
	platform v1.Platform
	path     string
}

func parseBinaries(arguments []string) ([]binary, error) {
	var binaries []binary
	for _, argument := range arguments {
		platform, file, found := strings.Cut(argument, "=")
		if !found || file == "" {
			return nil, fmt.Errorf("%q is no PLATFORM=FILE, such as linux/amd64=manager", argument)
		}
		parsed, err := v1.ParsePlatform(platform)
		if err != nil || parsed.Architecture == "" {
			return nil, fmt.Errorf("%q is no platform, such as linux/amd64", platform)
		}
		binaries = append(binaries, binary{platform: *parsed, path: file})
	}
	if len(binaries) == 0 {
		return nil, errors.New("no binaries; name them as PLATFORM=FILE")
	}
	return binaries, nil
}

func (o *options) run(ctx context.Context, arguments []string) error {
	binaries, err := parseBinaries(arguments)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(o.tag)
	if err != nil {
		return fmt.Errorf("read -tag: %w", err)
	}
	if !path.IsAbs(o.path) {
		return fmt.Errorf("-path %q is not absolute", o.path)
	}
	index, err := o.index(binaries)
	if err != nil {
		return err
	}
	if err := writeArchive(o.out, tag, index); err != nil {
		return fmt.Errorf("write %s: %w", o.out, err)
	}
	if o.sbom != "" {
		if err := writeSBOM(o.sbom, binaries[0].path, o.version); err != nil {
			return fmt.Errorf("write %s: %w", o.sbom, err)
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if o.push {
		if err := remote.WriteIndex(
			tag,
			index,
			remote.WithContext(ctx),
			remote.WithAuthFromKeychain(authn.DefaultKeychain),
		); err != nil {
			return fmt.Errorf("push %s: %w", tag, err)
		}
	}
	fmt.Printf("%s@%s\n", o.tag, digest)
	return nil
}

// labels are those of https://github.com/opencontainers/image-spec/blob/main/annotations.md.
func (o *options) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":    o.title,
		"org.opencontainers.image.source":   o.source,
		"org.opencontainers.image.licenses": o.licenses,
		"org.opencontainers.image.version":  o.version,
		"org.opencontainers.image.created":  time.Unix(o.created, 0).UTC().Format(time.RFC3339),
	}
	if o.revision != "" {
		labels["org.opencontainers.image.revision"] = o.revision
	}
	return labels
}
