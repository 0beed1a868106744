// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command example is a workload that mounts the datafile of an environment: an HTTP server whose answer a flag decides.
// deployment.yaml runs it; on a machine of your own, in the folder sdk:
//
//	go run ./openfeature/example -flags <directory with a datafile.json>
//	curl 'localhost:8080/?customer=42&country=DE'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	jackstaff "github.com/jackstaff-dev/jackstaff/sdk/openfeature"
)

func main() {
	dir := flag.String("flags", "/etc/flags", "the directory at which the ConfigMap is mounted")
	address := flag.String("address", ":8080", "the address to listen at")
	flag.Parse()
	if err := run(*dir, *address); err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(dir, address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	provider, err := jackstaff.NewProvider(dir, jackstaff.OnLoad(func(load jackstaff.Load) {
		slog.Info("datafile", "revision", load.Revision, "flags", load.Flags, "took", load.Duration, "error", load.Err)
	}))
	if err != nil {
		return err
	}
	if err := openfeature.SetProviderAndWait(provider); err != nil {
		// A workload that must not start without its flags returns here. This one starts with the defaults in its code.
		slog.Warn("no flags yet", "error", err)
	}
	defer openfeature.Shutdown()
	client := openfeature.NewDefaultClient()

	server := &http.Server{Addr: address, ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			customer := openfeature.NewEvaluationContext(
				r.FormValue("customer"),
				map[string]any{"country": r.FormValue("country")},
			)
			if client.Boolean(r.Context(), "new_checkout", false, customer) {
				_, _ = fmt.Fprintln(w, "the new checkout")
			} else {
				_, _ = fmt.Fprintln(w, "the checkout as you know it")
			}
		})}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
