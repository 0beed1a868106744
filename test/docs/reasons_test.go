// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Whoever reads a reason in a status finds in docs/troubleshooting.md what it means and what to do.
func TestEveryReasonHasAnEntry(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "api", "v1alpha1", "conditions.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reasons := 0
	ast.Inspect(file, func(node ast.Node) bool {
		constant, isValue := node.(*ast.ValueSpec)
		if !isValue || !strings.HasSuffix(constant.Names[0].Name, "Reason") {
			return true
		}
		reasons++
		reason, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "`"+reason+"`") {
			t.Errorf(
				"docs/troubleshooting.md has no entry for the reason %s, so that whoever sees it does not know what to do",
				reason,
			)
		}
		return true
	})
	if reasons < 20 {
		t.Errorf("found %d reasons in api/v1alpha1/conditions.go; they are elsewhere now", reasons)
	}
}
