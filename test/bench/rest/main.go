// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command rest measures reads and writes of flags through the REST views, each next to the same read or write of the
// API server's own API: in one run, with the same token and the same HTTP client, over TLS. Admission and the
// controllers run as in production. What is compared is the ratio, because machines differ and are noisy.
// KUBEBUILDER_ASSETS names the directory of etcd and kube-apiserver.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/test/bench/durations"
)

const (
	project         = "default"
	environmentName = "staging"
	// page is the most that the view gives at once.
	page = 200
	// quiet is how long the operator writes nothing once it has nothing to do.
	quiet = 3 * time.Second
)

func main() {
	ctrl.SetLogger(logr.Discard())
	flags := flag.Int("flags", 1000, "how many flags the environment has")
	rounds := flag.Int("rounds", 300, "how often each request is made")
	profile := flag.String("cpuprofile", "", "the file for a profile of the reads through REST")
	flag.Parse()
	if err := run(context.Background(), *flags, *rounds, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// comparison is the same thing done in two ways.
type comparison struct {
	what        string
	rest, kube  func(ctx context.Context, round int) error
	both, alone []time.Duration
}

func run(ctx context.Context, flags, rounds int, profile string) error {
	b, stop, err := start(ctx, flags)
	if err != nil {
		return err
	}
	defer stop()
	comparisons := b.comparisons(flags)
	for _, c := range comparisons {
		for round := range 20 {
			if err := errors.Join(c.rest(ctx, round), c.kube(ctx, round)); err != nil {
				return fmt.Errorf("%s: %w", c.what, err)
			}
		}
	}
	if profile != "" {
		return b.profile(ctx, profile, comparisons, rounds)
	}
	fmt.Printf(
		"%s/%s, %d processors, %s, %d flags, %d rounds\n",
		runtime.GOOS,
		runtime.GOARCH,
		runtime.NumCPU(),
		runtime.Version(),
		flags,
		rounds,
	)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tREST p50\tAPI server p50\tratio\tREST p99\tAPI server p99\tratio\t")
	for _, c := range comparisons {
		if err := c.measure(ctx, rounds); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		fmt.Fprintf(table, "%s\t", c.what)
		for _, percent := range []int{50, 99} {
			ours, theirs := durations.Percentile(c.both, percent), durations.Percentile(c.alone, percent)
			fmt.Fprintf(table, "%v\t%v\t%.2f\t", ours.Round(ours/100), theirs.Round(theirs/100), float64(ours)/float64(theirs))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// measure takes the times in turns, so that what else the machine does meets both alike.
func (c *comparison) measure(ctx context.Context, rounds int) error {
	for round := range rounds {
		for turn := range 2 {
			do, times := c.rest, &c.both
			if (round+turn)%2 == 1 {
				do, times = c.kube, &c.alone
			}
			begin := time.Now()
			if err := do(ctx, round); err != nil {
				return err
			}
			*times = append(*times, time.Since(begin))
		}
	}
	return nil
}

// profile writes a profile of what REST does alone.
func (b *bench) profile(ctx context.Context, path string, comparisons []*comparison, rounds int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	for _, c := range comparisons {
		for round := range rounds {
			if err := c.rest(ctx, round); err != nil {
				return err
			}
		}
	}
	return nil
}

// bench is a running operator with its REST server, and a client of both APIs.
type bench struct {
	client *http.Client
	token  string
	// rest and kube are where the APIs are.
	rest, kube string
	// environment is the UID of the environment.
	environment string
}

// comparisons are what is measured. Flags of a list are read in pages of the same size, and all at once from the API
// server, which can.
func (b *bench) comparisons(flags int) []*comparison {
	resource := b.kube + "/apis/flags.jackstaff.dev/v1alpha1/namespaces/" + project + "/featureflags"
	phaseflag := func(rest string) string { return b.rest + "/api/v1/flags" + rest + "environment_id=" + b.environment }
	read := func(url func(round int) string) func(context.Context, int) error {
		return func(ctx context.Context, round int) error { return b.do(ctx, http.MethodGet, url(round), "", "") }
	}
	name := func(round int) string { return fmt.Sprintf("flag-%05d", round%flags) }
	pages := (flags + page - 1) / page
	return []*comparison{
		{
			what: fmt.Sprintf("list %d flags, in %d pages and at once", flags, pages),
			rest: func(ctx context.Context, _ int) error {
				for number := range pages {
					if err := b.do(
						ctx,
						http.MethodGet,
						phaseflag(fmt.Sprintf("?page=%d&per_page=%d&", number+1, page)),
						"",
						"",
					); err != nil {
						return err
					}
				}
				return nil
			},
			kube: read(func(int) string { return resource }),
		},
		{
			what: fmt.Sprintf("list a page of %d flags", page),
			rest: read(func(int) string { return phaseflag("?per_page=" + strconv.Itoa(page) + "&") }),
			kube: read(func(int) string { return resource + "?limit=" + strconv.Itoa(page) }),
		},
		{
			what: "get a flag",
			rest: read(func(round int) string {
				return b.rest + "/api/orgs/default/projects/" + project + "/flags/" + name(round)
			}),
			kube: read(func(round int) string { return resource + "/" + name(round) }),
		},
		{
			what: "toggle a flag",
			rest: func(ctx context.Context, round int) error {
				body := fmt.Sprintf(`{"enabled":%t}`, round%2 == 0)
				return b.do(ctx, http.MethodPost, phaseflag("/flag-00000/toggle?"), "application/json", body)
			},
			kube: func(ctx context.Context, round int) error {
				body := fmt.Sprintf(`{"spec":{"environments":[{"name":%q,"enabled":%t}]}}`, environmentName, round%2 == 0)
				return b.do(ctx, http.MethodPatch, resource+"/flag-00004", "application/merge-patch+json", body)
			},
		},
	}
}

// do makes a request and reads all of the answer.
func (b *bench) do(ctx context.Context, method, url, contentType, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+b.token)
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d: %s", method, url, answer.StatusCode, data)
	}
	if err == nil && !json.Valid(data) {
		err = fmt.Errorf("%s %s: not JSON", method, url)
	}
	return err
}
