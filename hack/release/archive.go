// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// file is one of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

// archive is the command line for one platform.
type archive struct {
	binary

	// name is that of the archive, and program that of the binary in it.
	name, program string
	digest        string
}

// packCommandLine writes an archive for each platform.
func (o *options) packCommandLine() ([]archive, error) {
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	var archives []archive
	for _, built := range o.binaries {
		data, err := os.ReadFile(built.path)
		if err != nil {
			return nil, err
		}
		made := archive{binary: built, program: "jackstaff"}
		made.name = fmt.Sprintf("jackstaff_%s_%s_%s", o.number(), built.system, built.architecture)
		pack, suffix := gzipped, ".tar.gz"
		if built.system == "windows" {
			made.program += ".exe"
			pack, suffix = zipped, ".zip"
		}
		made.name += suffix
		packed, err := pack([]file{{made.program, 0o755, data}, {"LICENSE", 0o644, license}}, o.created)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", made.name, err)
		}
		made.digest = digestOf(packed)
		if err := os.WriteFile(filepath.Join(o.out, made.name), packed, 0o600); err != nil {
			return nil, err
		}
		archives = append(archives, made)
	}
	return archives, nil
}

// gzipped packs files into a tar archive.
func gzipped(files []file, created time.Time) ([]byte, error) {
	var packed bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	written := tar.NewWriter(compressed)
	for _, f := range files {
		header := &tar.Header{
			Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: created, Format: tar.FormatUSTAR,
		}
		if err := written.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := written.Write(f.data); err != nil {
			return nil, err
		}
	}
	err = errors.Join(written.Close(), compressed.Close())
	return packed.Bytes(), err
}

// zipped packs files into a zip archive.
func zipped(files []file, created time.Time) ([]byte, error) {
	var packed bytes.Buffer
	written := zip.NewWriter(&packed)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: created}
		header.SetMode(os.FileMode(f.mode))
		into, err := written.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := into.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := written.Close()
	return packed.Bytes(), err
}
