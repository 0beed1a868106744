// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many clients ask at the same time.
const connections = 32

// load asks a URL for a while, and returns how many requests were answered, and in what time.
type load func(ctx context.Context, url string, duration time.Duration) (requests int64, took time.Duration, err error)

// newLoad is wrk where that is installed (the package wrk of Debian), with its script in a folder, else a generator in
// Go, which takes more of the machine.
func newLoad(folder string) (load, string, error) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return generate, "this program, as wrk is not installed", nil //nolint:nilerr // It is no error.
	}
	script := filepath.Join(folder, "request.lua")
	request := fmt.Sprintf(
		"wrk.method = 'POST'\nwrk.body = '%s'\nwrk.headers['Content-Type'] = "+
			"'application/json'\nwrk.headers['Authorization'] = 'Bearer %s'\n",
		body,
		key,
	)
	return func(ctx context.Context, url string, duration time.Duration) (int64, time.Duration, error) {
		return runWrk(ctx, wrk, script, url, duration)
	}, "wrk", os.WriteFile(script, []byte(request), 0o600)
}

// summary is how wrk ends its report.
var summary = regexp.MustCompile(`(\d+) requests in ([0-9.a-z]+),`)

func runWrk(ctx context.Context, wrk, script, url string, duration time.Duration) (int64, time.Duration, error) {
	report, err := exec.CommandContext(
		ctx,
		wrk,
		"-t",
		"1",
		"-c",
		strconv.Itoa(connections),
		"-d",
		duration.String(),
		"-s",
		script,
		url,
	).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w: %s", err, report)
	}
	found := summary.FindStringSubmatch(string(report))
	if found == nil || strings.Contains(string(report), "Non-2xx") || strings.Contains(string(report), "Socket errors") {
		return 0, 0, fmt.Errorf("wrk reports: %s", report)
	}
	requests, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	took, err := time.ParseDuration(found[2])
	return requests, took, err
}

// generate is load in Go.
func generate(ctx context.Context, url string, duration time.Duration) (int64, time.Duration, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	began := time.Now()
	var requests atomic.Int64
	var failed atomic.Pointer[error]
	clients := sync.WaitGroup{}
	for range connections {
		clients.Go(func() {
			for time.Since(began) < duration && failed.Load() == nil {
				if err := drain(ctx, client, url); err != nil {
					failed.Store(&err)
				}
				requests.Add(1)
			}
		})
	}
	clients.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return 0, 0, *err
	}
	return requests.Load(), took, nil
}

func drain(ctx context.Context, client *http.Client, url string) error {
	request, err := newRequest(ctx, url)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func newRequest(ctx context.Context, url string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+key)
	return request, nil
}
