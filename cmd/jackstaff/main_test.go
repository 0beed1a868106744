// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asProgram is set where this test runs itself as the program.
const asProgram = "JACKSTAFF_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// Whoever is on call must find the one line that says what to do, and not among what the client logs.
func TestAnUnreachableClusterIsOneLine(t *testing.T) {
	for _, arguments := range []string{
		"get flags", "status production", "toggle payments -e production --off", "publish production", "history payments",
		"diff -e production ../../config/samples", "doctor",
	} {
		t.Run(arguments, func(t *testing.T) {
			words := append(strings.Fields(arguments), "--server", "https://127.0.0.1:1")
			command := exec.CommandContext(t.Context(), os.Args[0], words...)
			command.Env = append(os.Environ(), asProgram+"=1", "KUBECONFIG="+filepath.Join(t.TempDir(), "missing"))
			said := &strings.Builder{}
			command.Stderr = said
			failed := (*exec.ExitError)(nil)
			if err := command.Run(); !errors.As(err, &failed) {
				t.Errorf("it ends with %v", err)
			}
			if lines := strings.Split(strings.TrimSpace(said.String()), "\n"); len(lines) != 1 ||
				!strings.Contains(lines[0], "the cluster at 127.0.0.1:1 does not answer") {
				t.Errorf("it says\n%s", said)
			}
		})
	}
}
