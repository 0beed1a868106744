// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command architecture writes the table of packages into docs/architecture.md: what each package holds, by its package
// comment, and what it may import, by the depguard rules of .golangci.yml. It fails where a package has no comment.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// page is the document that holds the table, between its two marks.
const (
	page  = "docs/architecture.md"
	begin = "<!-- packages: written by make generate -->\n"
	end   = "<!-- packages: end -->\n"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "architecture:", err)
		os.Exit(1)
	}
}

// run writes the table for the repository in the current folder.
func run(ctx context.Context) error {
	files, err := goFiles(ctx)
	if err != nil {
		return err
	}
	packages, err := readPackages(files)
	if err != nil {
		return err
	}
	linter, err := os.ReadFile(".golangci.yml")
	if err != nil {
		return fmt.Errorf("read the linter's rules: %w", err)
	}
	rules, err := readRules(linter)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	written, err := replace(string(old), table(packages, rules))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(written), 0o644) //nolint:gosec // Documents are for everybody.
}

// goFiles lists the Go files of every module of the repository, those that are not committed yet among them.
func goFiles(ctx context.Context) ([]string, error) {
	var complaint bytes.Buffer
	list := exec.CommandContext(ctx, "git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.go")
	list.Stderr = &complaint
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the Go files: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return strings.Fields(string(out)), nil
}

// replace puts the table between the marks of the page.
func replace(page, table string) (string, error) {
	head, rest, found := strings.Cut(page, begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", errors.New("has no marks for the table; write them anew from hack/architecture")
	}
	return head + begin + "\n" + table + "\n" + end + tail, nil
}
