// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command peers measures what evaluates flags next to the engines of other systems, with equal flags in the form that
// each takes: how long an evaluation takes, in the engines and through the OpenFeature Go SDK; how soon a swapped file
// answers; and what holding flags takes of memory. Everything is measured in one run and compared as a ratio, because
// machines differ and are noisy. The tests of this package make sure that all engines give the same answers.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	parts := flag.String("parts", "evaluation,providers,swaps,memory", "what is measured")
	rounds := flag.Int("rounds", 15, "how often every evaluation is measured; the median counts")
	hold := flag.String(
		"hold",
		"",
		"only report the memory of this process while it holds -file in an engine: "+strings.Join(holders, ", "),
	)
	file := flag.String("file", "", "the file to hold")
	flag.Parse()
	var err error
	if *hold != "" {
		err = report(*hold, *file)
	} else {
		err = run(context.Background(), strings.Split(*parts, ","), *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, parts []string, rounds int) error {
	fmt.Printf("%s/%s, %d processors, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	for _, part := range []struct {
		name    string
		measure func(context.Context, int) error
	}{{"evaluation", compareEngines}, {"providers", compareProviders}, {"swaps", compareSwaps}, {"memory", compareMemory}} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		if err := part.measure(ctx, rounds); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// versions are those of the modules in this program.
var versions = func() map[string]string {
	found := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			found[module.Path] = module.Version
		}
	}
	return found
}()

// title is a name and the version of its module, which is empty for the floor and ours.
func title(name, module string) string {
	if module == "" {
		return name
	}
	return name + " " + versions[module]
}
