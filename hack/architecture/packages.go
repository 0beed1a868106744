// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path"
	"slices"
	"strings"
)

// goPackage is one folder with Go files.
type goPackage struct {
	// folder is its path in the repository.
	folder string
	// holds is the first sentence of the package comment, without "Package x".
	holds string
	// testsOnly marks a folder whose files are all tests.
	testsOnly bool
}

// readPackages returns the packages of the files, sorted by folder. Folders whose code is all generated are left out.
func readPackages(files []string) ([]goPackage, error) {
	folders := map[string][]string{}
	for _, file := range files {
		if strings.Contains(file, "testdata/") {
			continue
		}
		// A file that is deleted but still in the index of git is gone.
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			continue
		}
		folders[path.Dir(file)] = append(folders[path.Dir(file)], file)
	}
	var packages []goPackage
	var missing []string
	for folder, files := range folders {
		p, generated, err := readPackage(folder, files)
		switch {
		case err != nil:
			return nil, err
		case generated:
		case p.holds == "":
			missing = append(missing, folder)
		default:
			packages = append(packages, p)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("no package comment in %s: say in one sentence what the package holds",
			strings.Join(missing, ", "))
	}
	slices.SortFunc(packages, func(a, b goPackage) int { return strings.Compare(a.folder, b.folder) })
	return packages, nil
}

func readPackage(folder string, files []string) (p goPackage, generated bool, err error) {
	p, generated = goPackage{folder: folder, testsOnly: true}, true
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return p, false, fmt.Errorf("read %s: %w", file, err)
		}
		generated = generated && ast.IsGenerated(parsed)
		p.testsOnly = p.testsOnly && strings.HasSuffix(file, "_test.go")
		if comment := parsed.Doc.Text(); comment != "" && p.holds == "" {
			p.holds = content(comment)
		}
	}
	return p, generated, nil
}

// content is what the first sentence of a package comment says of the package, without its name.
func content(comment string) string {
	sentence := new(doc.Package).Synopsis(comment)
	for _, kind := range []string{"Package ", "Command "} {
		if rest, found := strings.CutPrefix(sentence, kind); found {
			_, sentence, _ = strings.Cut(rest, " ")
		}
	}
	for _, verb := range []string{"is ", "holds "} {
		sentence = strings.TrimPrefix(sentence, verb)
	}
	if sentence == "" {
		return ""
	}
	return strings.ToUpper(sentence[:1]) + sentence[1:]
}
