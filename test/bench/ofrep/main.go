// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command ofrep measures the server of OFREP next to a bare net/http handler that decodes the same requests and encodes
// the same answers with encoding/json, echo. Each server is a process of its own with all that it has in production:
// the real listener, logs and counters. They are asked by wrk, one right after the other, and compared as a ratio,
// because machines differ and are noisy. It measures too what memory the operator takes with many flags, on a control
// plane of its own; KUBEBUILDER_ASSETS names the directory of etcd and kube-apiserver.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	parts := flag.String("parts", "speed,memory", "what is measured")
	rounds := flag.Int("rounds", 7, "how often each server is measured; the median counts")
	duration := flag.Duration("duration", 3*time.Second, "how long each of these takes")
	serveAs := flag.String("serve", "", "only serve, and write the address: ofrep or echo")
	answers := flag.String("answers", "", "the file that has the answers of echo")
	flag.Parse()
	ctx := context.Background()
	var err error
	switch *serveAs {
	case "ofrep":
		err = serveOFREP(ctx)
	case "echo":
		err = serveEcho(*answers)
	default:
		err = run(ctx, strings.Split(*parts, ","), *rounds, *duration)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, parts []string, rounds int, duration time.Duration) error {
	ctrl.SetLogger(logr.Discard())
	fmt.Printf("%s/%s, %d processors, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if slices.Contains(parts, "speed") {
		if err := compare(ctx, rounds, duration); err != nil {
			return fmt.Errorf("speed: %w", err)
		}
	}
	if slices.Contains(parts, "memory") {
		if err := compareMemory(ctx); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
	}
	return nil
}

// workload is a kind of request.
type workload struct{ name, path string }

var workloads = []workload{{"single", singlePath}, {"bulk of 100", bulkPath}}

// process is a running server.
type process struct {
	id     int
	url    string
	stdin  io.WriteCloser
	stdout *bufio.Scanner
}

// serve runs this program as a server.
func serve(ctx context.Context, arguments ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, program, arguments...)
}

// start runs a program, which writes a line when it is ready and ends with its standard input.
func start(ctx context.Context, program string, arguments ...string) (*process, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{id: command.Process.Pid, stdin: stdin, stdout: bufio.NewScanner(stdout)}
	if !p.stdout.Scan() {
		return nil, errors.New("the program did not start")
	}
	p.url = p.stdout.Text()
	return p, nil
}

// cpu is the time of processors that the server has taken.
func (p *process) cpu() (time.Duration, error) {
	if _, err := fmt.Fprintln(p.stdin); err != nil {
		return 0, err
	}
	if !p.stdout.Scan() {
		return 0, errors.New("the server does not say what it took")
	}
	return time.ParseDuration(p.stdout.Text())
}

// sample is what one round measured of one server.
type sample struct{ perSecond, cpu float64 }

func compare(ctx context.Context, rounds int, duration time.Duration) error {
	ours, err := serve(ctx, "-serve", "ofrep")
	if err != nil {
		return err
	}
	defer ours.stdin.Close()
	folder, err := os.MkdirTemp("", "ofrep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	answers := filepath.Join(folder, "answers.json")
	if err := record(ctx, ours.url, answers); err != nil {
		return err
	}
	echo, err := serve(ctx, "-serve", "echo", "-answers", answers)
	if err != nil {
		return err
	}
	defer echo.stdin.Close()
	load, name, err := newLoad(folder)
	if err != nil {
		return err
	}
	fmt.Printf("load: %s, %d connections, %d rounds of %s\n", name, connections, rounds, duration)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tOFREP requests/s\techo\tratio\tOFREP CPU/request\techo\tratio\t")
	for _, of := range workloads {
		if err := sameAnswers(ctx, ours.url, echo.url, of.path); err != nil {
			return err
		}
		var samples [2][]sample
		for range rounds {
			for i, server := range []*process{ours, echo} {
				measured, err := measure(ctx, server, load, of.path, duration)
				if err != nil {
					return err
				}
				samples[i] = append(samples[i], measured)
			}
		}
		perSecond := func(s sample) float64 { return s.perSecond }
		cpu := func(s sample) float64 { return s.cpu }
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.2f\t%.1fµs\t%.1fµs\t%.2f\t\n", of.name,
			median(samples[0], perSecond), median(samples[1], perSecond), ratio(samples, perSecond),
			median(samples[0], cpu)*1e6, median(samples[1], cpu)*1e6, ratio(samples, cpu))
	}
	return table.Flush()
}

func measure(ctx context.Context, server *process, load load, path string, duration time.Duration) (sample, error) {
	before, err := server.cpu()
	if err != nil {
		return sample{}, err
	}
	requests, took, err := load(ctx, server.url+path, duration)
	if err != nil {
		return sample{}, err
	}
	after, err := server.cpu()
	if err != nil {
		return sample{}, err
	}
	return sample{perSecond: float64(requests) / took.Seconds(), cpu: (after - before).Seconds() / float64(requests)}, nil
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, each := range samples {
		values = append(values, of(each))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ratio is the median of the rounds' ratios.
func ratio(samples [2][]sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples[0]))
	for i := range samples[0] {
		values = append(values, of(samples[0][i])/of(samples[1][i]))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ask makes one request.
func ask(ctx context.Context, url string) ([]byte, error) {
	request, err := newRequest(ctx, url)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, response.Status, body)
	}
	return body, err
}

// record writes a file of the answers by path, for echo.
func record(ctx context.Context, url, file string) error {
	answers := map[string]json.RawMessage{}
	for _, of := range workloads {
		body, err := ask(ctx, url+of.path)
		if err != nil {
			return err
		}
		answers[of.path] = body
	}
	data, err := json.Marshal(answers)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// sameAnswers fails where the servers do not do the same work.
func sameAnswers(ctx context.Context, ours, echo, path string) error {
	var answers [2]any
	for i, url := range []string{ours, echo} {
		body, err := ask(ctx, url+path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &answers[i]); err != nil {
			return err
		}
	}
	if !reflect.DeepEqual(answers[0], answers[1]) {
		return fmt.Errorf("%s: the servers give different answers", path)
	}
	return nil
}
