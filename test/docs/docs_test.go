// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	update  = flag.Bool("update", false, "write testdata/not-run.txt anew")
	running = flag.String(
		"running",
		"",
		"the bin/run of a make run that is up, to follow the pages there; default one of its own",
	)
)

// page is a document, by its path in the repository.
type page struct {
	path  string
	steps []step
}

func (p page) runs() bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.kind == run || s.kind == fail })
}

// pages reads README, CONTRIBUTING and every page of docs but the generated reference of the command line.
func pages(t *testing.T) []page {
	t.Helper()
	root := filepath.Join("..", "..")
	paths := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if !strings.HasPrefix(relative, filepath.Join("docs", "cli")+string(filepath.Separator)) {
			paths = append(paths, relative)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []page
	for _, path := range paths {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		steps, err := parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		all = append(all, page{path: path, steps: steps})
	}
	return all
}

// What no test runs may rot, so that each such block is a decision that a reviewer sees.
func TestNotRun(t *testing.T) {
	var list strings.Builder
	for _, page := range pages(t) {
		for _, step := range page.steps {
			if step.kind == notRun {
				fmt.Fprintf(&list, "%s: %s\n", page.path, step.argument)
			}
		}
	}
	golden := filepath.Join("testdata", "not-run.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), list.String()); diff != "" {
		t.Errorf("other blocks than those of %s are not run; -update writes it anew (-want +got):\n%s", golden, diff)
	}
}

func TestPages(t *testing.T) {
	all := pages(t)
	if t.Failed() {
		return
	}
	s := startSession(t)
	for _, page := range all {
		if page.runs() {
			t.Run(page.path, func(t *testing.T) { s.runPage(t, page) })
		}
	}
}

// runPage runs the steps of a page in order, in a folder that looks like the repository after `make run`.
func (s *session) runPage(t *testing.T, page page) {
	if err := s.reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	here := s.checkout(t, filepath.Join(folder, "repository"))
	script, err := s.script(t.Context(), page, folder, here)
	if err != nil {
		t.Fatal(err)
	}
	// A page builds a program at most, on a machine that runs other tests meanwhile.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", script)
	shell.Dir, shell.Env = here, s.shellEnvironment(folder, here)
	// What a block leaves in the background ends with it.
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	shell.WaitDelay = time.Second
	complaint, failed := shell.CombinedOutput()
	if shell.Process != nil {
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
	}
	report(t, page, folder, string(complaint), failed)
}

// tooSlow are programs that no test starts from a page: a block that needs one says that it is not run.
var tooSlow = []string{"make", "docker", "helm", "kind"}

// shellEnvironment is what a reader's shell has who follows a page: kubectl and jackstaff.
func (s *session) shellEnvironment(folder, here string) []string {
	path := []string{filepath.Join(folder, "refused"), filepath.Join(here, "bin"), filepath.Join(here, "bin", "k8s")}
	return []string{
		"PATH=" + strings.Join(append(path, os.Getenv("PATH")), ":"),
		"HOME=" + folder, "TMPDIR=" + folder, "LANG=C.UTF-8", "USER=reader",
		"GIT_AUTHOR_NAME=reader", "GIT_AUTHOR_EMAIL=reader@example.com",
		"GIT_COMMITTER_NAME=reader", "GIT_COMMITTER_EMAIL=reader@example.com",
		"GOCACHE=" + s.goCache, "GOMODCACHE=" + s.goModules, "GOFLAGS=-buildvcs=false " + os.Getenv("GOFLAGS"),
	}
}

// checkout makes a folder with everything of the repository, and with the bin of this session.
func (s *session) checkout(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(s.root)
	if err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		filepath.Join("bin", "k8s"):       os.Getenv("KUBEBUILDER_ASSETS"),
		filepath.Join("bin", "jackstaff"): filepath.Join(s.programs, "jackstaff"),
		filepath.Join("bin", "manager"):   filepath.Join(s.programs, "manager"),
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "bin" && name != ".git" {
			links[name] = filepath.Join(s.root, name)
		}
	}
	refused := filepath.Join(filepath.Dir(folder), "refused")
	for _, path := range []string{filepath.Join(folder, "bin", "run"), refused} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range tooSlow {
		refusal := "#!/bin/sh\necho 'No test starts " + program + " from a page: mark the block as not run.'\nexit 1\n"
		if err := os.WriteFile(filepath.Join(refused, program), []byte(refusal), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// script writes the shell script that takes the steps of a page, each with its output in a file, and returns its path.
func (s *session) script(ctx context.Context, page page, folder, here string) (string, error) {
	var script strings.Builder
	script.WriteString(
		"set -e -o pipefail\nshopt -s expand_aliases\nexec 3>" + quote(filepath.Join(folder, "done")) + " </dev/null\n",
	)
	write := func(name, content string) (string, error) {
		path := filepath.Join(folder, name)
		return quote(path), os.WriteFile(path, []byte(content), 0o600)
	}
	become := func(i int, role string) error {
		environment, err := s.account(ctx, role, filepath.Join(folder, role+".kubeconfig"))
		if err != nil {
			return err
		}
		var exports strings.Builder
		for _, name := range slices.Sorted(maps.Keys(environment)) {
			exports.WriteString("export " + name + "=" + quote(environment[name]) + "\n")
		}
		path, err := write(fmt.Sprintf("%d.env", i), exports.String())
		script.WriteString("cp " + path + " bin/run/env\n. bin/run/env\n")
		return err
	}
	if err := become(-1, administrator); err != nil {
		return "", err
	}
	for i, step := range page.steps {
		script.WriteString("cd " + quote(here) + "\n")
		var path string
		var err error
		switch step.kind {
		case as:
			err = become(i, step.argument)
		case file:
			path, err = write(fmt.Sprintf("%d.file", i), step.text)
			fmt.Fprintf(&script, "mkdir -p \"$(dirname %[1]s)\" && cp %[2]s %[1]s\n", quote(step.argument), path)
		case run, prepare, fail:
			text := step.text
			if step.within > 0 {
				text = timed(step.text, times(folder, i))
			}
			path, err = write(fmt.Sprintf("%d.sh", i), text)
			fmt.Fprintf(&script, "exec >%s 2>&1\n", quote(printed(folder, i)))
			if step.kind == fail {
				script.WriteString("set +e\n. " + path + "\n[ $? -ne 0 ] || { echo 'This had to fail.'; exit 1; }\nset -e\n")
			} else {
				script.WriteString(". " + path + "\n")
			}
		case output, notRun:
		}
		if err != nil {
			return "", fmt.Errorf("line %d: %w", step.line, err)
		}
		fmt.Fprintf(&script, "echo %d >&3\n", i)
	}
	path := filepath.Join(folder, "page.sh")
	return path, os.WriteFile(path, []byte(script.String()), 0o600)
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// printed is the file with what a step printed.
func printed(folder string, step int) string {
	return filepath.Join(folder, fmt.Sprintf("%d.out", step))
}

// report says which steps of a page did something else than their reader expects.
func report(t *testing.T, page page, folder, complaint string, failed error) {
	t.Helper()
	taken, err := os.ReadFile(filepath.Join(folder, "done"))
	if err != nil {
		t.Fatalf("%s was not begun: %v %s", page.path, failed, complaint)
	}
	finished := strings.Count(string(taken), "\n")
	last := -1
	for i, step := range page.steps[:min(finished+1, len(page.steps))] {
		if step.within > 0 && i < finished {
			reportSlow(t, fmt.Sprintf("%s:%d", page.path, step.line), step, times(folder, i))
		}
		if step.kind == output && i < finished {
			out, err := os.ReadFile(printed(folder, last))
			if err != nil {
				t.Fatal(err)
			}
			if !matches(step.text, string(out)) {
				t.Errorf("%s:%d: the command before prints something else:\n%s\nThe page says:\n%s",
					page.path, step.line, out, step.text)
			}
		}
		if step.kind == run || step.kind == fail || step.kind == prepare {
			last = i
		}
		if i == finished {
			out, _ := os.ReadFile(printed(folder, i))
			t.Errorf(
				"%s:%d: the block fails (%v):\n%s\nIt printed:\n%s%s",
				page.path,
				step.line,
				failed,
				step.text,
				out,
				complaint,
			)
		}
	}
}
