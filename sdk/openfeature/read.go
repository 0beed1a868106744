// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// dataLink is the symbolic link that kubelet replaces to bring all files of a new revision at once.
const dataLink = "..data"

// maxAttempts is how often reading begins anew because kubelet swapped meanwhile. Even the second time is rare.
const maxAttempts = 10

// files are the files of a datafile as they are.
type files struct {
	plain []byte
	// compressed is nil where there is no such file.
	compressed []byte
}

// digest identifies what was found, an error included.
type digest [2][sha256.Size]byte

func (f files) digest(err error) digest {
	if err != nil {
		return digest{sha256.Sum256([]byte(err.Error()))}
	}
	return digest{sha256.Sum256(f.plain), sha256.Sum256(f.compressed)}
}

// readFiles reads the files of a mounted directory, all of the same revision. Where there is kubelet's link, it reads
// what the link points to: the links beside it lag behind, and each of them may already lead to the next revision.
// kubelet removes the old directory, so what fails while a link moved is tried again. So is a missing compressed file,
// which may have been removed.
func readFiles(dir string) (files, error) {
	for attempt := 1; ; attempt++ {
		from := resolve(dir)
		found, err := readFilesFrom(from)
		if err == nil && found.compressed != nil || attempt == maxAttempts || resolve(dir) == from {
			return found, err
		}
	}
}

// resolve returns where the files of a mounted directory are now, without any link.
func resolve(dir string) string {
	for _, path := range []string{filepath.Join(dir, dataLink), dir} {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			return resolved
		}
	}
	return dir
}

func readFilesFrom(dir string) (files, error) {
	plain, err := readFile(filepath.Join(dir, datafile.FileName))
	if err != nil {
		return files{}, err
	}
	compressed, err := readFile(filepath.Join(dir, datafile.CompressedFileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return files{}, err
	}
	return files{plain: plain, compressed: compressed}, nil
}

// readFile reads a regular file of at most datafile.MaxSize bytes.
func readFile(path string) ([]byte, error) {
	// Opening a pipe would wait for somebody to write to it.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if info.Size() > datafile.MaxSize {
		return nil, fmt.Errorf("%s: %w", path, datafile.ErrTooLarge)
	}
	file, err := os.Open(path) //nolint:gosec // Reading the directory that the program names is what this package is for.
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var buffer bytes.Buffer
	buffer.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := buffer.ReadFrom(io.LimitReader(file, datafile.MaxSize+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return buffer.Bytes(), nil
}

// snapshot reads the document, decompressed where it is compressed, and prepares it. What is the same in the snapshot
// before, which may be nil, is taken from there.
func (f files) snapshot(before *snapshot) (*snapshot, error) {
	header, contents, err := datafile.Decode(f.plain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", datafile.FileName, err)
	}
	if header.Compressed == "" {
		return newSnapshot(header, contents, before)
	}
	if header.Compressed != datafile.CompressedFileName {
		return nil, fmt.Errorf("%s names %q, which is not where a datafile is", datafile.FileName, header.Compressed)
	}
	if f.compressed == nil {
		return nil, fmt.Errorf(
			"%s is only a header, and %s is missing: mount the whole ConfigMap",
			datafile.FileName,
			datafile.CompressedFileName,
		)
	}
	decompressed, err := datafile.Decompress(f.compressed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", datafile.CompressedFileName, err)
	}
	whole, contents, err := datafile.Decode(decompressed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", datafile.CompressedFileName, err)
	}
	// Without kubelet's link the two files are replaced one after the other.
	if whole.Compressed != "" || whole.Project != header.Project || whole.Environment != header.Environment ||
		whole.Revision != header.Revision {
		return nil, fmt.Errorf("%s and %s are not of the same revision", datafile.FileName, datafile.CompressedFileName)
	}
	return newSnapshot(whole, contents, before)
}
