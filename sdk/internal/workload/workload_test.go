// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workload tests what importing the Go provider does to the module graph of a workload.
package workload

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxModules is how many modules a workload gets with the provider.
const maxModules = 25

const program = `package main

import (
	"fmt"

	jackstaff "github.com/jackstaff-dev/jackstaff/sdk/openfeature"
)

func main() { fmt.Println(jackstaff.NewProvider("/etc/flags")) }
`

// A workload keeps its own versions of client-go and its other dependencies: the provider must bring few modules, and
// none of Kubernetes'.
func TestWorkloadGetsFewModules(t *testing.T) {
	sdk, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(sdk, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/workload\n\ngo 1.26.0\n\nrequire github.com/jackstaff-dev/jackstaff/sdk v0.0.0\n\n" +
			"replace github.com/jackstaff-dev/jackstaff/sdk => " + sdk + "\n",
		"go.sum":  string(sums),
		"main.go": program,
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(arguments ...string) string {
		command := exec.CommandContext(t.Context(), "go", arguments...)
		command.Dir = directory
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		command.Stderr = os.Stderr
		output, err := command.Output()
		if err != nil {
			t.Fatalf("go %s: %v", strings.Join(arguments, " "), err)
		}
		return string(output)
	}
	run("vet", ".")
	modules := strings.Split(strings.TrimSpace(run("list", "-m", "all")), "\n")[1:] // The first one is the workload.
	if len(modules) > maxModules {
		t.Errorf("%d modules, more than %d:\n%s", len(modules), maxModules, strings.Join(modules, "\n"))
	}
	for _, module := range modules {
		if strings.Contains(module, "k8s.io") {
			t.Errorf("the workload gets %s", module)
		}
	}
}
