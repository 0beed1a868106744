// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command clidocs writes the reference of the command line into the directory that is its argument.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "clidocs:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("the argument is a directory")
	}
	// Pages of commands that are gone must not stay.
	old, err := filepath.Glob(filepath.Join(arguments[0], "jackstaff*.md"))
	if err != nil {
		return err
	}
	for _, page := range old {
		if err := os.Remove(page); err != nil { //nolint:gosec // Its pages are this program's own.
			return err
		}
	}
	if err := os.MkdirAll(arguments[0], 0o755); err != nil { //nolint:gosec // Documents are for everybody.
		return err
	}
	app := &cli.App{Streams: genericiooptions.NewTestIOStreamsDiscard(), Clock: clock.RealClock{}}
	return doc.GenMarkdownTree(app.Command(), arguments[0])
}
