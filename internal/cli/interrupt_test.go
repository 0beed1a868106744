// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
)

// Whoever interrupts a command in an incident must know whether the change that it made is stored.
func TestAnInterruptedWaitSaysThatItIsStored(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	w := &waiter{wanted: true, timeout: time.Hour}
	shows := target{namespace: "shop"}.command([]string{"status", "production"})
	_, err := w.until(ctx, "the change of payments", shows, func(context.Context) (progress, error) {
		stop()
		return progress{}, nil
	})
	if err == nil || !errors.Is(err, context.Canceled) {
		t.Fatalf("it ends with %v", err)
	}
	want := `the change of payments is stored, and waiting was interrupted; "jackstaff status production -n shop" shows ` +
		`whether it is served`
	if got := explained(err); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	_, err = w.until(t.Context(), "the change of payments", shows, func(context.Context) (progress, error) {
		return progress{}, &url.Error{Op: "Get", URL: "https://c1:6443/apis", Err: timeoutError{}}
	})
	if got := explained(err); !strings.HasPrefix(got, "the change of payments is stored") ||
		!strings.Contains(got, "the cluster at c1:6443 does not answer") {
		t.Errorf("where the cluster goes away, it says %q", got)
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// Whoever interrupts a request that hangs must not be sent to another cluster.
func TestAnInterruptedRequest(t *testing.T) {
	for op, want := range map[string]string{"Patch": "whether the change is stored is not known", "Get": "had answered"} {
		err := fmt.Errorf("x: %w", &url.Error{Op: op, URL: "https://c1:6443/apis", Err: context.Canceled})
		got := explained(err)
		if !strings.HasPrefix(got, "interrupted") || !strings.Contains(got, want) || strings.Contains(got, "choose another") {
			t.Errorf("%s: it says %q", op, got)
		}
	}
}

// The advice of an error, --break-glass, is added to the line that failed, which may wait.
func TestBreakGlassTakesWait(t *testing.T) {
	for _, line := range []string{
		"toggle payments -e production --brake --wait --break-glass", "rollback production --to 3 --wait --break-glass",
	} {
		streams, _, _, said := genericiooptions.NewTestIOStreams()
		app := &App{Streams: streams, Clock: clock.RealClock{}}
		arguments := append([]string{"jackstaff"}, strings.Fields(line)...)
		code := app.Run(t.Context(), append(arguments, "--kubeconfig", t.TempDir()+"/missing"))
		if code != ExitFailure || strings.Contains(said.String(), "none of the others can be") {
			t.Errorf("%s: it ends with %d: %s", line, code, said)
		}
	}
}
