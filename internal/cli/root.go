// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: one file a command. It works on manifests and datafiles, for which it needs no
// cluster, and on the objects of a cluster.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// The exit codes.
const (
	// ExitOK says that what was asked for was done.
	ExitOK = 0
	// ExitFailure says that it was not, or that what was looked at is not as it should be.
	ExitFailure = 1
	// ExitUsage says that the command line itself is wrong.
	ExitUsage = 2
)

// errReported ends a command whose output says already what is wrong.
var errReported = errors.New("not as it should be")

// usageError is a mistake in the command line that only a command itself can see.
type usageError struct{ error }

func usagef(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

// App is what the commands share.
type App struct {
	// Streams are where the commands read and write.
	Streams genericiooptions.IOStreams
	// Clock tells at what time flags are evaluated and what is asked for is asked for.
	Clock clock.PassiveClock
	// Version is what --version prints.
	Version string

	// started says that a command has begun, so that what fails from here on is no mistake of usage.
	started bool
}

// Run runs the command line, whose first argument is the program's name, and returns the exit code.
func (a *App) Run(ctx context.Context, arguments []string) int {
	root := a.Command()
	if strings.HasPrefix(filepath.Base(arguments[0]), "kubectl-") {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl jackstaff"}
	}
	root.SetArgs(arguments[1:])
	root.SetIn(a.Streams.In)
	root.SetOut(a.Streams.Out)
	root.SetErr(quote.Writer(a.Streams.ErrOut))
	command, err := root.ExecuteContextC(ctx)
	usage := usageError{}
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errReported):
		return ExitFailure
	case !a.started || errors.As(err, &usage):
		a.errorf("%v\nRun \"%s --help\" for usage.", err, command.CommandPath())
		return ExitUsage
	default:
		a.errorf("%s", []byte(explained(err)))
		return ExitFailure
	}
}

// Command returns the tree of commands.
func (a *App) Command() *cobra.Command {
	root := &cobra.Command{
		Use:   "jackstaff",
		Short: "Feature flags as Kubernetes resources",
		Long: "jackstaff checks, renders, evaluates, tests and compares flag manifests without a cluster,\n" +
			"and shows and changes the flags of a cluster. Installed as kubectl-jackstaff it is also \"kubectl jackstaff\".",
		Version:           a.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.AddGroup(
		&cobra.Group{ID: filesGroup, Title: "Without a cluster:"},
		&cobra.Group{ID: clusterGroup, Title: "With a cluster:"},
	)
	root.AddCommand(
		a.newCommand(),
		a.validateCommand(),
		a.renderCommand(),
		a.evaluateCommand(),
		a.testCommand(),
		a.diffCommand(),
		a.importCommand(),
		a.getCommand(),
		a.statusCommand(),
		a.toggleCommand(),
		a.archiveCommand(),
		a.publishCommand(),
		a.freezeCommand(),
		a.historyCommand(),
		a.logCommand(),
		a.rollbackCommand(),
		a.breakGlassCommand(),
		a.exportCommand(),
		a.doctorCommand(),
		a.versionCommand(),
		a.optionsCommand(),
	)
	return root
}

// The groups of commands.
const (
	filesGroup   = "files"
	clusterGroup = "cluster"
)

// run notes that a command has begun.
func (a *App) run(do func(cmd *cobra.Command, arguments []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, arguments []string) error {
		a.started = true
		return do(cmd, arguments)
	}
}

func (a *App) printf(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.Streams.Out, format, quoted(arguments)...)
}

func (a *App) errorf(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.Streams.ErrOut, "jackstaff: "+format+"\n", quoted(arguments)...)
}

// notef says something on the error stream that is no part of the output.
func (a *App) notef(format string, arguments ...any) {
	_, _ = fmt.Fprintf(a.Streams.ErrOut, format+"\n", quoted(arguments)...)
}

// colour is a colour of terminals, in the numbers of ECMA-48.
type colour int

const (
	red    colour = 31
	green  colour = 32
	yellow colour = 33
)

// safe is text that is quoted already, such as one in a colour, or a document.
type safe string

// paint colours a text where the output is a terminal and NO_COLOR (https://no-color.org) does not forbid it.
func (a *App) paint(c colour, text string) safe {
	text = quote.Line(text)
	if !a.isTerminal() || os.Getenv("NO_COLOR") != "" {
		return safe(text)
	}
	return safe(fmt.Sprintf("\x1b[%dm%s\x1b[0m", c, text))
}

// isTerminal reports whether a terminal shows the output.
func (a *App) isTerminal() bool {
	file, isFile := a.Streams.Out.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// quoted is the edge at which everything is quoted that is printed for people. Errors may have several lines.
func quoted(arguments []any) []any {
	clean := make([]any, len(arguments))
	for i, argument := range arguments {
		switch argument := argument.(type) {
		case safe, nil:
			clean[i] = argument
		case error:
			clean[i] = quote.Text(argument.Error())
		case fmt.Stringer:
			clean[i] = quote.Line(argument.String())
		case []byte:
			clean[i] = quote.Text(string(argument))
		default:
			clean[i] = argument
			if value := reflect.ValueOf(argument); value.Kind() == reflect.String {
				clean[i] = quote.Line(value.String())
			}
		}
	}
	return clean
}
