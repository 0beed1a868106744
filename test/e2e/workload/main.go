// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command workload is a program that mounts a datafile and asks one flag all the time, through an OpenFeature provider:
// Jackstaff's or the unmodified one of flagd. It prints a line of JSON, with the time, whenever kubelet has written
// another revision and whenever the answer has changed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	flagd "github.com/open-feature/go-sdk-contrib/providers/flagd/pkg"
	"github.com/open-feature/go-sdk/openfeature"

	jackstaff "github.com/jackstaff-dev/jackstaff/sdk/openfeature"
)

// interval is how often it looks, which is the resolution of what it prints.
const interval = 5 * time.Millisecond

// version is set by the linker.
var version = "dev"

func main() {
	provider := flag.String("provider", "jackstaff", "jackstaff or flagd")
	dir := flag.String("flags", "/etc/flags", "the directory at which the ConfigMap is mounted")
	key := flag.String("ask", "payments", "the key of a Boolean flag")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *provider, *dir, *key)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "workload", version+":", err)
		os.Exit(1)
	}
}

func makeProvider(name, dir string) (openfeature.FeatureProvider, error) {
	switch name {
	case "jackstaff":
		return jackstaff.NewProvider(dir)
	case "flagd":
		return flagd.NewProvider(flagd.WithFileResolver(), flagd.WithOfflineFilePath(filepath.Join(dir, "flagd.json")))
	}
	return nil, fmt.Errorf("no provider %q", name)
}

func run(ctx context.Context, name, dir, key string) error {
	provider, err := makeProvider(name, dir)
	if err != nil {
		return err
	}
	if err := openfeature.SetProviderAndWait(provider); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer openfeature.Shutdown()
	client := openfeature.NewDefaultClient()

	var seen, answered string
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if link, err := os.Readlink(filepath.Join(dir, "..data")); err == nil && link != seen {
			seen = link
			say(map[string]any{"event": "file", "revision": revisionIn(dir)})
		}
		value, err := client.BooleanValue(ctx, key, false, openfeature.NewEvaluationContext("customer-42", nil))
		answer := fmt.Sprint(value, err)
		if answer != answered {
			answered = answer
			line := map[string]any{"event": "answer", "value": value}
			if err != nil {
				line["error"] = err.Error()
			}
			say(line)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// revisionIn is the number in the header of the native document, and 0 where it cannot be read.
func revisionIn(dir string) int64 {
	var header struct {
		Revision int64 `json:"revision"`
	}
	if content, err := os.ReadFile(filepath.Join(dir, "datafile.json")); err == nil {
		_ = json.Unmarshal(content, &header)
	}
	return header.Revision
}

func say(line map[string]any) {
	line["at"] = time.Now().UTC().Format(time.RFC3339Nano)
	_ = json.NewEncoder(os.Stdout).Encode(line)
}
