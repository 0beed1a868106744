// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/jackstaff-dev/jackstaff/internal/cli"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

var update = flag.Bool("update", false, "write the golden files")

// now is when every command is run.
var now = time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)

// result is what came of a command.
type result struct {
	code     int
	out, err string
}

// jackstaff runs a command in this process.
func jackstaff(ctx context.Context, stdin string, arguments ...string) result {
	return jackstaffAt(ctx, clocktesting.NewFakePassiveClock(now), stdin, arguments...)
}

func jackstaffAt(ctx context.Context, clock clock.PassiveClock, stdin string, arguments ...string) result {
	var out, errOut bytes.Buffer
	app := &cli.App{
		Streams: genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &errOut},
		Clock:   clock,
		Version: "v1.2.3",
	}
	code := app.Run(ctx, append([]string{"jackstaff"}, arguments...))
	return result{code, out.String(), errOut.String()}
}

// TestFiles runs commands that need no cluster in testdata, and compares exit code and output with testdata/golden.
func TestFiles(t *testing.T) {
	mistakes, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		arguments []string
		stdin     string
		code      int
	}{
		"validate":                 {arguments: []string{"validate", "flags"}},
		"validate-mistakes":        {arguments: []string{"validate", "flags", "mistakes.yaml"}, code: 1},
		"validate-json":            {arguments: []string{"validate", "-o", "json", "mistakes.yaml"}, code: 1},
		"validate-sarif":           {arguments: []string{"validate", "-o", "sarif", "mistakes.yaml"}, code: 1},
		"validate-stdin":           {arguments: []string{"validate", "-"}, stdin: string(mistakes), code: 1},
		"validate-warnings":        {arguments: []string{"validate", "flags/checkout.yaml"}},
		"validate-strict":          {arguments: []string{"validate", "--strict", "flags/checkout.yaml"}, code: 1},
		"validate-no-path":         {arguments: []string{"validate"}, code: 2},
		"validate-no-such-path":    {arguments: []string{"validate", "none"}, code: 1},
		"validate-no-such-format":  {arguments: []string{"validate", "-o", "xml", "flags"}, code: 2},
		"validate-no-such-flag":    {arguments: []string{"validate", "--nope", "flags"}, code: 2},
		"render":                   {arguments: []string{"render", "flags", "-e", "production", "--revision", "7"}},
		"render-flagd":             {arguments: []string{"render", "flags", "-e", "production", "-o", "flagd"}},
		"render-no-environment":    {arguments: []string{"render", "flags", "-e", "staging"}, code: 1},
		"render-other-namespace":   {arguments: []string{"render", "flags", "-e", "production", "-n", "other"}, code: 1},
		"render-mistakes":          {arguments: []string{"render", "mistakes.yaml", "-e", "nowhere"}, code: 1},
		"render-environment-unset": {arguments: []string{"render", "flags"}, code: 2},
		"evaluate-override":        {arguments: []string{"evaluate", "new_checkout", "-e", "production", "-f", "flags", "--context", "targetingKey=alice"}},
		"evaluate-explain": {arguments: []string{"evaluate", "new_checkout", "-e", "production", "-f", "flags", "--explain",
			"--context-file", "context.yaml", "--context", "targetingKey=12", "--context", "app.version=2.5.0"}},
		"evaluate-json": {arguments: []string{"evaluate", "new_checkout", "-e", "production", "-f", "flags", "--explain", "-o", "json",
			"--context", "targetingKey=bob", "--at", "2027-07-01T00:00:00Z"}},
		"evaluate-no-such-flag":  {arguments: []string{"evaluate", "nothing", "-e", "production", "-f", "flags"}, code: 1},
		"evaluate-wrong-context": {arguments: []string{"evaluate", "new_checkout", "-e", "production", "-f", "flags", "--context", "plan"}, code: 2},
		"evaluate-datafile": {
			arguments: []string{"evaluate", "page-size", "--datafile", "-"},
			stdin:     `{"audiences":{},"environment":"e","events":{},"flags":{"page-size":{"defaultVariation":"a","enabled":false,"type":"Number","variations":[{"key":"a","value":7}]}},"project":"p","revision":3,"schemaVersion":"1.0"}`,
		},
		"test":          {arguments: []string{"test", "flags"}},
		"test-failing":  {arguments: []string{"test", "failing_test.yaml"}, code: 1},
		"test-junit":    {arguments: []string{"test", "-o", "junit", "flags", "failing_test.yaml"}, code: 1},
		"test-none":     {arguments: []string{"test", "changed"}, code: 1},
		"import":        {arguments: []string{"import", "flagd.json", "-e", "production", "-n", "shop"}},
		"import-strict": {arguments: []string{"import", "flagd.json", "-e", "production", "--strict"}, code: 1},
		"import-wrong":  {arguments: []string{"import", "context.yaml", "-e", "production"}, code: 1},
		"diff":          {arguments: []string{"diff", "changed", "-e", "production", "--against", "flags"}},
		"diff-none":     {arguments: []string{"diff", "flags", "-e", "production", "--against", "flags", "--exit-code"}},
		"diff-json":     {arguments: []string{"diff", "changed", "-e", "production", "--against", "flags", "-o", "json", "--exit-code"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir("testdata")
			got := jackstaff(t.Context(), tc.stdin, tc.arguments...)
			if got.code != tc.code {
				t.Errorf("the exit code is %d, want %d", got.code, tc.code)
			}
			text := got.out
			if got.err != "" {
				text += "--- stderr\n" + got.err
			}
			golden := filepath.Join("golden", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if delta := cmp.Diff(string(want), text); delta != "" {
				t.Errorf("output (-want +got):\n%s", delta)
			}
		})
	}
}

// TestRenderIsWhatIsPublished publishes the samples as some revision, and renders them as the same one.
func TestRenderIsWhatIsPublished(t *testing.T) {
	const revision = 42
	samples := filepath.Join("..", "..", "config", "samples")
	files, err := manifests.Read([]string{samples}, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := manifests.Load(t.Context(), files, "default")
	if err != nil {
		t.Fatal(err)
	}
	for _, environment := range set.Environments {
		compiled := compile.NewEnvironment(environment.Name, nil)
		for _, flag := range set.Flags {
			compiled.SetFlag(flag)
		}
		for _, audience := range set.Audiences {
			compiled.SetAudience(audience)
		}
		for _, event := range set.Events {
			compiled.SetEvent(event)
		}
		compiled.Compile()
		server := fake.NewClientBuilder().Build()
		publisher := &publish.Publisher{Client: server, Metadata: server, Clock: clocktesting.NewFakePassiveClock(now)}
		environment.Status.PublishedRevision = revision - 1
		content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
		if _, err := publisher.Publish(t.Context(), environment, content, &publish.Served{}); err != nil {
			t.Fatal(err)
		}
		served := &corev1.ConfigMap{}
		if err := server.Get(
			t.Context(),
			client.ObjectKey{Namespace: environment.Namespace, Name: environment.DatafileName()},
			served,
		); err != nil {
			t.Fatal(err)
		}
		for format, key := range map[string]string{"native": datafile.FileName, "flagd": flagd.FileName} {
			got := jackstaff(
				t.Context(),
				"",
				"render",
				samples,
				"-e",
				environment.Name,
				"-o",
				format,
				"--revision",
				strconv.Itoa(revision),
			)
			if got.code != cli.ExitOK || got.out != served.Data[key] || got.out == "" {
				t.Errorf(
					"%s of %s: exit code %d, %s (-published +rendered):\n%s",
					format,
					environment.Name,
					got.code,
					got.err,
					cmp.Diff(served.Data[key], got.out),
				)
			}
		}
	}
	if len(set.Environments) == 0 {
		t.Error("the samples have no environments")
	}
}

func TestDiffAgainstGit(t *testing.T) {
	repository := t.TempDir()
	git := func(arguments ...string) {
		t.Helper()
		command := exec.CommandContext(
			t.Context(),
			"git",
			append([]string{"-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com"}, arguments...)...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", arguments, err, out)
		}
	}
	flags := filepath.Join(repository, "deploy", "flags")
	put := func(from string) {
		t.Helper()
		if err := os.CopyFS(flags, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "nothing")
	put("testdata/flags")
	git("add", ".")
	git("commit", "-q", "-m", "flags")
	if err := os.RemoveAll(flags); err != nil {
		t.Fatal(err)
	}
	put("testdata/changed")

	for name, tc := range map[string]struct {
		path, revision, want string
		code                 int
	}{
		"a directory":                    {path: flags, revision: "HEAD", want: "12.5 % move from off to on"},
		"a file":                         {path: filepath.Join(flags, "checkout.yaml"), revision: "HEAD", want: "12.5 % of subjects move from off to on"},
		"before the directory was added": {path: flags, revision: "HEAD~1", want: "production: new_checkout added\n"},
		"no such revision":               {path: flags, revision: "nope", want: "Not a valid object name nope", code: 1},
		"an option":                      {path: flags, revision: "--output=/tmp/x", want: "is no revision", code: 2},
	} {
		t.Run(name, func(t *testing.T) {
			got := jackstaff(t.Context(), "", "diff", tc.path, "-e", "production", "--against-git", tc.revision)
			if got.code != tc.code || !strings.Contains(got.out+got.err, tc.want) {
				t.Errorf("exit code %d, want %d and %q in\n%s%s", got.code, tc.code, tc.want, got.out, got.err)
			}
		})
	}
}

func TestPluginNamesItselfAsKubectlDoes(t *testing.T) {
	var out bytes.Buffer
	app := &cli.App{
		Streams: genericiooptions.IOStreams{Out: &out, ErrOut: &out},
		Clock:   clocktesting.NewFakePassiveClock(now),
	}
	if code := app.Run(
		t.Context(),
		[]string{"/usr/bin/kubectl-jackstaff", "validate", "--help"},
	); code != cli.ExitOK ||
		!strings.Contains(out.String(), "kubectl jackstaff validate PATH...") {
		t.Errorf("exit code %d and\n%s", code, &out)
	}
}
