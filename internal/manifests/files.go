// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin is the path that stands for the standard input.
const Stdin = "-"

// ErrNoFiles is returned by Read where the paths hold no manifest files at all.
var ErrNoFiles = errors.New("no files that end in .yaml, .yml or .json")

// File is a file of manifests.
type File struct {
	// Name is how problems name the file.
	Name string
	// Data is its content.
	Data []byte
}

// Read reads files, and directories with all that is below them: the files that end in .yaml, .yml or .json, in order
// of their names, without what is hidden. A file that is named itself may end in anything. Stdin is read from stdin. A
// file is read once, however often it is reached. Of a directory that holds a kustomization, what kustomize builds of
// it is read in the place of its files. It fails where a path does not exist or cannot be read, and with ErrNoFiles.
func Read(paths []string, stdin io.Reader) ([]File, error) { return readPaths(paths, stdin, true) }

// ReadFiles is Read that reads the files of a kustomization as they are.
func ReadFiles(paths []string, stdin io.Reader) ([]File, error) {
	return readPaths(paths, stdin, false)
}

func readPaths(paths []string, stdin io.Reader, build bool) ([]File, error) {
	var files []File
	seen := map[string]struct{}{}
	add := func(name string) error {
		name = filepath.Clean(name)
		if _, twice := seen[name]; twice {
			return nil
		}
		seen[name] = struct{}{}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, File{Name: name, Data: data})
		return nil
	}
	for _, path := range paths {
		if path == Stdin {
			data, err := io.ReadAll(stdin)
			if err != nil {
				return nil, fmt.Errorf("read standard input: %w", err)
			}
			files = append(files, File{Name: "<stdin>", Data: data})
			continue
		}
		if name := kustomization(path); build && name != "" {
			data, err := kustomize(path)
			if err != nil {
				return nil, err
			}
			files = append(files, File{Name: name, Data: data})
			continue
		}
		if err := walk(path, add); err != nil {
			return nil, err
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w in %s", ErrNoFiles, strings.Join(paths, ", "))
	}
	return files, nil
}

// walk calls add for path itself where it is a file, else for every manifest file below it.
func walk(path string, add func(name string) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return add(path)
	}
	return filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != path && IsHidden(entry.Name()):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || !IsManifest(name):
			return nil
		}
		return add(name)
	})
}

// IsManifest reports whether a file of that name is looked at in a directory.
func IsManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// IsHidden reports whether a path below a directory is not looked at because it, or a directory on the way, begins with
// a dot.
func IsHidden(name string) bool {
	return slices.ContainsFunc(
		strings.Split(filepath.ToSlash(name), "/"),
		func(part string) bool { return strings.HasPrefix(part, ".") },
	)
}

// document is one document of a file.
type document struct {
	file string
	// line is the line of the file that the document begins in, from 1.
	line int
	data []byte
}

// split returns the documents of a file, which lines of --- separate.
func split(file File) []document {
	var documents []document
	next := document{file: file.Name, line: 1}
	begin, line := 0, 0
	end := func(at int) {
		next.data = file.Data[begin:at]
		if len(bytes.TrimSpace(next.data)) > 0 {
			documents = append(documents, next)
		}
	}
	for offset := 0; offset < len(file.Data); {
		line++
		after := len(file.Data)
		if i := bytes.IndexByte(file.Data[offset:], '\n'); i >= 0 {
			after = offset + i + 1
		}
		if isSeparator(file.Data[offset:after]) {
			end(offset)
			begin, next.line = after, line+1
		}
		offset = after
	}
	end(len(file.Data))
	return documents
}

// isSeparator reports whether a line is --- with nothing but a comment behind it.
func isSeparator(line []byte) bool {
	rest, found := bytes.CutPrefix(line, []byte("---"))
	trimmed := bytes.TrimSpace(rest)
	return found && (len(trimmed) == 0 || trimmed[0] == '#' && rest[0] != '#')
}
