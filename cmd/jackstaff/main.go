// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command jackstaff is the command line. Installed under the name kubectl-jackstaff it is a plugin of kubectl.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Schedules name time zones, and not every machine has a tz database.
	_ "time/tzdata"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // Users of clouds have their own ways to get a token.
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	// The client logs each failed attempt, beside the error that the command line explains.
	klog.SetLogger(logr.Discard())
	app := &cli.App{
		Streams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Clock:   clock.RealClock{},
		Version: version,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := app.Run(ctx, os.Args)
	stop()
	os.Exit(code)
}
