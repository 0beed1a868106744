// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// diffOptions are what the command line of diff says.
type diffOptions struct {
	of         project
	against    []string
	againstGit string
	output     string
	exitCode   bool
	prune      bool
	cluster    *cluster
}

func (a *App) diffCommand() *cobra.Command {
	o := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff PATH... -e ENVIRONMENT",
		Short: "Say which flags manifests would change, and for whom",
		Long: "Compare the datafile of manifests with what a cluster serves, with other manifests, or with the same paths " +
			"in a revision of\n" +
			"Git. Of each flag that changes it is said which share of subjects gets another variation: exactly where the " +
			"same hash\n" +
			"decides, of the subjects that match a rule where conditions decide, and expected where another hash decides.\n\n" +
			"Compared with a cluster are the objects that the manifests hold: what they do not hold stays as it is served, " +
			"but with --prune.\n" +
			pathsHelp,
		Example: "  jackstaff diff deploy/flags -e production\n" +
			"  jackstaff diff deploy/flags -e production --against-git origin/main",
		GroupID: filesGroup,
		Args:    cobra.MinimumNArgs(1),
		RunE:    a.run(func(cmd *cobra.Command, paths []string) error { return a.diff(cmd.Context(), paths, o) }),
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.of.environment, "environment", "e", "", "The environment (required).")
	flags.StringArrayVar(
		&o.against,
		"against",
		nil,
		"A file or directory of manifests to compare with. It can be given more than once.",
	)
	flags.StringVar(&o.againstGit, "against-git", "", "A revision of Git to compare with, such as HEAD or origin/main.")
	flags.StringVarP(&o.output, "output", "o", textOutput, "The format: text or json.")
	flags.BoolVar(&o.exitCode, "exit-code", false, "Exit with 1 where a flag changes.")
	flags.BoolVar(&o.prune, "prune", false, "Take what the cluster has and the manifests have not for deleted.")
	cmd.MarkFlagsMutuallyExclusive("against", "against-git")
	cmd.MarkFlagsMutuallyExclusive("prune", "against")
	cmd.MarkFlagsMutuallyExclusive("prune", "against-git")
	_ = cmd.MarkFlagRequired("environment") // It fails only for a flag that does not exist.
	o.cluster = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) diff(ctx context.Context, paths []string, o *diffOptions) error {
	if o.output != textOutput && o.output != jsonOutput {
		return usagef("--output is %s or %s", textOutput, jsonOutput)
	}
	o.of.namespace = o.cluster.askedNamespace()
	if len(o.against) == 0 && o.againstGit == "" {
		if err := o.cluster.connect(); err != nil {
			return err
		}
		o.of.fallback, o.of.unmentioned = o.cluster.namespace, true // The cluster knows its environments.
	}
	rendered, err := a.compilePaths(ctx, paths, o.of)
	if err != nil {
		return err
	}
	after, err := rendered.document()
	if err != nil {
		return err
	}
	o.of.namespace = after.Project
	before, err := a.compared(ctx, paths, o)
	if err != nil {
		return err
	}
	if len(o.against) == 0 && o.againstGit == "" && !o.prune {
		after = overlaid(before, after, rendered.flags)
	}
	changes := diff.Documents(before, after)
	if o.output == jsonOutput {
		err = a.printJSON(struct {
			Environment string        `json:"environment"`
			Changes     []diff.Change `json:"changes"`
		}{after.Environment, slices.Concat([]diff.Change{}, changes)})
	} else {
		a.printChanges(after.Environment, changes)
	}
	if err == nil && o.exitCode && len(changes) > 0 {
		return errReported
	}
	return err
}

// overlaid is what is served once manifests are applied and nothing is deleted: the flags of the manifests, which are
// compiled in after as far as they are not archived, over what is served before.
func overlaid(before, after *datafile.Document, flags []*v1alpha1.FeatureFlag) *datafile.Document {
	document := &datafile.Document{
		Header:    after.Header,
		Flags:     maps.Clone(before.Flags),
		Audiences: maps.Clone(before.Audiences),
		Events:    maps.Clone(before.Events),
	}
	for _, flag := range flags {
		if flag.Spec.Archived {
			delete(document.Flags, flag.Key())
		}
	}
	copyOver(&document.Flags, after.Flags)
	copyOver(&document.Audiences, after.Audiences)
	copyOver(&document.Events, after.Events)
	return document
}

func copyOver[T any](to *map[string]T, from map[string]T) {
	if *to == nil {
		*to = map[string]T{}
	}
	maps.Copy(*to, from)
}

func (a *App) printChanges(environment string, changes []diff.Change) {
	if len(changes) == 0 {
		a.printf("%s: no flag changes\n", environment)
		return
	}
	colours := map[diff.Kind]colour{diff.Added: green, diff.Removed: red, diff.Changed: yellow}
	for i := range changes {
		head, rest, _ := strings.Cut(changes[i].Text(), "\n")
		a.printf("%s: %s\n", environment, a.paint(colours[changes[i].Kind], head))
		if rest != "" {
			a.printf("%s\n", []byte(rest))
		}
	}
}

// compared is the document to compare with.
func (a *App) compared(ctx context.Context, paths []string, o *diffOptions) (*datafile.Document, error) {
	var rendered *render
	var err error
	of := o.of
	of.unmentioned = true
	switch {
	case len(o.against) > 0:
		rendered, err = a.compilePaths(ctx, o.against, of)
	case o.againstGit != "":
		var files []manifests.File
		if files, err = readGit(ctx, o.againstGit, paths); err == nil {
			rendered, err = a.compileFiles(ctx, files, of)
		}
	default:
		o.cluster.namespace = o.of.namespace
		return o.cluster.servedDocument(ctx, o.of.environment)
	}
	if err != nil {
		return nil, fmt.Errorf("what is compared with: %w", err)
	}
	return rendered.document()
}

// readGit reads what paths held in a revision, in which a path may be missing.
func readGit(ctx context.Context, revision string, paths []string) ([]manifests.File, error) {
	if strings.HasPrefix(revision, "-") {
		return nil, usagef("%q is no revision", revision)
	}
	var files []manifests.File
	for _, name := range paths {
		if name == manifests.Stdin {
			return nil, usagef("the standard input has no revisions; name files or directories")
		}
		directory, pattern := name, "."
		if info, err := os.Stat(name); err != nil {
			return nil, err
		} else if !info.IsDir() {
			directory, pattern = filepath.Dir(name), filepath.Base(name)
		}
		if manifests.IsKustomization(name) {
			return nil, usagef(
				"%s is a kustomization, which can reach beyond it: check out %s beside it, and compare with --against",
				name,
				revision,
			)
		}
		prefix, err := git(ctx, directory, "rev-parse", "--show-prefix")
		if err != nil {
			return nil, err
		}
		// Of the names of the whole repository, because an archive of a directory that the revision lacks is an error.
		top, err := git(ctx, directory, "rev-parse", "--show-toplevel")
		if err != nil {
			return nil, err
		}
		inside := path.Join(strings.TrimSpace(string(prefix)), pattern)
		found, err := readArchive(ctx, strings.TrimSpace(string(top)), revision, inside, name)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// readArchive reads the manifests at or below one path of a repository.
func readArchive(ctx context.Context, top, revision, inside, name string) ([]manifests.File, error) {
	listed, err := git(ctx, top, "ls-tree", "-r", "-z", "--name-only", revision, "--", inside)
	if err != nil || len(listed) == 0 {
		return nil, err
	}
	data, err := git(ctx, top, "archive", "--format=tar", revision, "--", inside)
	if err != nil {
		return nil, err
	}
	var files []manifests.File
	archive := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the archive of %s: %w", revision, err)
		}
		below := strings.TrimPrefix(header.Name, inside+"/")
		if header.Typeflag != tar.TypeReg ||
			header.Name != inside && (!manifests.IsManifest(below) || manifests.IsHidden(below)) {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("read the archive of %s: %w", revision, err)
		}
		files = append(
			files,
			manifests.File{
				Name: revision + ":" + path.Join(filepath.ToSlash(name), strings.TrimPrefix(below, inside)),
				Data: content,
			},
		)
	}
}

// git runs git in a directory and returns what it prints.
func git(ctx context.Context, directory string, arguments ...string) ([]byte, error) {
	var out, errOut bytes.Buffer
	words := append([]string{"-C", directory}, arguments...)
	cmd := exec.CommandContext(ctx, "git", words...) //nolint:gosec // Running git is the purpose; a revision is no option.
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", arguments[0], err, strings.TrimSpace(errOut.String()))
	}
	return out.Bytes(), nil
}
