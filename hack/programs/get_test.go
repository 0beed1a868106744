// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package programs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs are a PATH of its own: what the script itself calls, and scripts by name.
func programs(t *testing.T, scripts map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for _, name := range []string{"bash", "mktemp", "rm", "sleep", "tail", "chmod", "cat", "install", "mkdir"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(directory, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range scripts {
		text := "#!" + filepath.Join(directory, "bash") + "\n" + strings.ReplaceAll(script, "DIRECTORY", directory) + "\n"
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

// Tests against real clients that are left out in silence prove nothing: what is missing is installed, or it is an
// error unless somebody has said to go without.
func TestGet(t *testing.T) {
	const (
		root, person = "echo 0", "echo 1000"
		fails        = `echo "E: Unable to locate package"; exit 100`
		brings       = `[[ $1 == update ]] && exit
			for name in node npm chromium; do echo 'echo v20.1.0' > DIRECTORY/$name; chmod +x DIRECTORY/$name; done`
		bringsDownloaded = `[[ $1 == update ]] && { echo > DIRECTORY/lists; exit; }
			[[ $1 == download && -e DIRECTORY/lists ]] || exit 100
			echo > prometheus_2.42.0_amd64.deb`
		unpacks           = `mkdir -p $3/usr/bin && echo > $3/usr/bin/promtool`
		bringsAfterUpdate = `[[ $1 == update ]] && { echo > DIRECTORY/lists; exit; }
			[[ -e DIRECTORY/lists ]] || exit 100
			` + brings
		bringsOld = `echo 'echo v18.20.4' > DIRECTORY/node; echo > DIRECTORY/npm; chmod +x DIRECTORY/node DIRECTORY/npm`
	)
	there := map[string]string{"node": "echo v24.0.1", "npm": "", "chromium-browser": ""}
	for name, tc := range map[string]struct {
		scripts    map[string]string
		browser    bool
		promtool   bool
		without    string
		wantStatus int
		want       string
	}{
		"Node.js is there":               {scripts: there},
		"a browser is there":             {scripts: there, browser: true},
		"there, and asked to do without": {scripts: there, without: "javascript browser"},
		"installed": {
			scripts: map[string]string{"id": root, "apt-get": brings}, want: "Installing Node.js 20",
		},
		"installed after an update": {
			scripts: map[string]string{"id": root, "apt-get": bringsAfterUpdate}, want: "Installing",
		},
		"a browser installed": {
			scripts: map[string]string{"id": root, "apt-get": brings}, browser: true, want: "Installing Chromium",
		},
		"no apt-get": {
			wantStatus: 1, want: "apt-get is not there. Install it, or go without by WITHOUT=javascript.",
		},
		"no browser, no apt-get": {browser: true, wantStatus: 1, want: "Chromium is missing"},
		"not root": {
			scripts: map[string]string{"id": person, "apt-get": brings}, wantStatus: 1, want: "to install it takes root",
		},
		"apt-get fails": {
			scripts: map[string]string{"id": root, "apt-get": fails}, wantStatus: 1, want: "Unable to locate package",
		},
		"apt-get brings an old one": {
			scripts: map[string]string{"id": root, "apt-get": bringsOld}, wantStatus: 1, want: "apt-get brings Node.js v18.20.4",
		},
		"an old one is there": {
			scripts: map[string]string{"node": "echo v18.0.0", "npm": ""}, wantStatus: 1,
			want: "Node.js 20 or later with npm is missing",
		},
		"promtool is there": {scripts: map[string]string{"promtool": ""}, promtool: true},
		"promtool unpacked": {
			scripts:  map[string]string{"id": root, "apt-get": bringsDownloaded, "dpkg-deb": unpacks},
			promtool: true, want: "Installing Prometheus' promtool",
		},
		"promtool, not root": {
			scripts: map[string]string{"id": person, "apt-get": brings}, promtool: true, wantStatus: 1,
			want: "Install it, or go without by WITHOUT=promtool.",
		},
		"without promtool":  {without: "promtool", promtool: true, wantStatus: 3, want: "NOT RUN, as WITHOUT=promtool says"},
		"without":           {without: "javascript", wantStatus: 3, want: "NOT RUN, as WITHOUT=javascript says"},
		"without a browser": {without: "browser", browser: true, wantStatus: 3, want: "NOT RUN"},
		"without another":   {without: "browser", wantStatus: 1, want: "WITHOUT=javascript"},
	} {
		t.Run(name, func(t *testing.T) {
			path := programs(t, tc.scripts)
			arguments := []string{"get.sh", "the clients"}
			if tc.browser {
				arguments = append(arguments, "browser")
			}
			if tc.promtool {
				arguments = append(arguments, "promtool")
			}
			command := exec.CommandContext(t.Context(), filepath.Join(path, "bash"), arguments...)
			command.Env = []string{"PATH=" + path, "WITHOUT=" + tc.without, "TMPDIR=" + t.TempDir(), "BIN=" + path}
			said, err := command.CombinedOutput()
			status, failed := 0, (*exec.ExitError)(nil)
			if errors.As(err, &failed) {
				status = failed.ExitCode()
			}
			if status != tc.wantStatus || !strings.Contains(string(said), tc.want) || tc.want == "" && len(said) > 0 {
				t.Errorf("status %d, and it says\n%s\nwant status %d and %q", status, said, tc.wantStatus, tc.want)
			}
		})
	}
}

// What hands the script's failure on must fail too, whatever the shell makes of && and ||.
func TestCallersFail(t *testing.T) {
	path := programs(t, map[string]string{"dirname": "echo DIRECTORY/hack", "go": "", "npm": ""})
	for _, folder := range []string{"hack/programs", "test/rest", "test/conformance", "test/ofrep", "test/flagd", "test/posthog"} {
		if err := os.MkdirAll(filepath.Join(path, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for script, browserFails := range map[string]bool{"conformance": false, "posthog": true, "openapi": false} {
		for status, goesOn := range map[string]bool{"1": false, "2": false, "3": true} {
			text := "#!" + filepath.Join(path, "bash") + "\nexit " + status + "\n"
			if browserFails {
				text = "#!" + filepath.Join(path, "bash") + "\n[[ -z $2 ]] && exit\nexit " + status + "\n"
			}
			get := filepath.Join(path, "hack", "programs", "get.sh")
			if err := os.WriteFile(get, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), filepath.Join(path, "bash"), "../"+script+".sh")
			command.Env = []string{"PATH=" + path, "KUBEBUILDER_ASSETS=/none"}
			said, err := command.CombinedOutput()
			if goesOn != (err == nil) {
				t.Errorf("%s ends with %v where get.sh ends with %s:\n%s", script, err, status, said)
			}
		}
	}
}
