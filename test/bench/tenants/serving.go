// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/test/bench/durations"
	"github.com/jackstaff-dev/jackstaff/test/bench/operator"
)

const (
	// evaluationGoal is how many times its quiet p99 a neighbour's evaluation may take.
	evaluationGoal = 3
	// costlyClients is how many clients ask for the costly flag at a time.
	costlyClients = 16
	// largeValue is the size of the value of a flag, in bytes, so that the answer to a request for all flags is large.
	largeValue = 300 << 10
	// evaluations is how many evaluations of the neighbour are measured.
	evaluations = 400
)

// serving is a manager that serves an environment of a neighbour and one of somebody else.
type serving struct {
	*bench
	*operator.Manager

	// neighbour and other are the server keys of the environments.
	neighbour, other string
	http             *http.Client
}

// startServing starts a manager and waits until both environments are served.
func startServing(ctx context.Context, folder string) (*serving, error) {
	b, err := newBench(ctx, folder)
	if err != nil {
		return nil, err
	}
	s := &serving{bench: b, http: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}}
	if err := b.fill(ctx, "neighbour", crowd{environments: 1, flags: 10}); err != nil {
		return s, err
	}
	if err := b.fill(ctx, "other", crowd{environments: 1}); err != nil {
		return s, err
	}
	flag := costlyFlag()
	if mistakes := validation.FeatureFlag(flag); len(mistakes) > 0 {
		return s, fmt.Errorf("the costly flag is not admitted: %w", mistakes.ToAggregate())
	}
	large := builders.MakeFlag("large", "other").Type(v1alpha1.FlagTypeString).
		Variation("text", `"`+strings.Repeat("x", largeValue)+`"`).DefaultVariation("text").
		Environment(environmentName(0)).Fallthrough("text").Defaulted().Obj()
	for _, flag := range []*v1alpha1.FeatureFlag{flag, large} {
		if err := b.Create(ctx, flag); err != nil {
			return s, err
		}
	}
	if s.Manager, err = b.startManager(ctx, folder, "--api-plain-http", "--api-requests-per-second=0"); err != nil {
		return s, err
	}
	if s.neighbour, err = s.keyOf(ctx, "neighbour"); err != nil {
		return s, err
	}
	if s.other, err = s.keyOf(ctx, "other"); err != nil {
		return s, err
	}
	return s, wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true,
		func(ctx context.Context) (bool, error) {
			_, neighbour, _ := s.evaluate(ctx, s.neighbour, "flag-00000", `{}`)
			_, other, _ := s.evaluate(ctx, s.other, "costly", `{}`)
			return neighbour == http.StatusOK && other == http.StatusOK, nil
		})
}

// end ends what has been started.
func (s *serving) end() {
	if s == nil {
		return
	}
	if s.Manager != nil {
		s.Stop()
	}
	s.stop()
}

// costlyFlag is near to the most steps that admission lets a flag take, and longer texts than those that it judges by
// make it more: the budget of a request ends it then.
func costlyFlag() *v1alpha1.FeatureFlag {
	values := make([]string, 1000)
	for i := range values {
		values[i] = strings.Repeat("a", 95) + fmt.Sprintf("%05d", i)
	}
	rule := builders.MakeRule("costly")
	for range 20 {
		rule = rule.Condition("text", v1alpha1.OperatorNotContains, values...)
	}
	for len(validation.FeatureFlag(costlyWith(rule))) > 0 && len(values) > 10 {
		values, rule = values[:len(values)*9/10], builders.MakeRule("costly")
		for range 20 {
			rule = rule.Condition("text", v1alpha1.OperatorNotContains, values...)
		}
	}
	return costlyWith(rule)
}

func costlyWith(rule *builders.RuleBuilder) *v1alpha1.FeatureFlag {
	return builders.MakeFlag("costly", "other").Boolean().Environment(environmentName(0)).
		Rule(rule.Serve("on")).Defaulted().Obj()
}

// keyOf waits for the SDK keys of a namespace's environment and returns the server key.
func (s *serving) keyOf(ctx context.Context, namespace string) (key string, err error) {
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true,
		func(ctx context.Context) (bool, error) {
			secrets := &corev1.SecretList{}
			if err := s.List(ctx, secrets, client.InNamespace(namespace)); err != nil {
				return false, err
			}
			if len(secrets.Items) == 0 {
				return false, nil
			}
			key = string(secrets.Items[0].Data["server"])
			return true, nil
		})
	if err != nil {
		return "", fmt.Errorf("wait for the SDK keys of %s: %w: %s", namespace, err, s.Log())
	}
	return key, nil
}

// evaluate asks for one flag by OFREP. It returns how long that took and the status.
func (s *serving) evaluate(ctx context.Context, key, flag, of string) (time.Duration, int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url()+"/ofrep/v1/evaluate/flags/"+flag,
		strings.NewReader(`{"context":`+of+`}`))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := s.http.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return time.Since(began), response.StatusCode, err
}

// evaluations measures the neighbour's evaluations, one after the other.
func (s *serving) evaluations(ctx context.Context) ([]time.Duration, error) {
	took := make([]time.Duration, 0, evaluations)
	for range evaluations {
		duration, status, err := s.evaluate(ctx, s.neighbour, "flag-00000", `{"targetingKey":"alice","plan":"beta"}`)
		if err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("the neighbour is answered %d: %w", status, err)
		}
		took = append(took, duration)
	}
	return took, nil
}

// measureEvaluating measures a neighbour's evaluations, first quietly, then while many clients ask for a costly flag
// with a context that makes it as costly as may be. It returns what is over its goal.
func measureEvaluating(ctx context.Context, folder string) ([]string, error) {
	s, err := startServing(ctx, folder)
	defer s.end()
	if err != nil {
		return nil, err
	}
	quiet, err := s.evaluations(ctx)
	if err != nil {
		return nil, err
	}
	text := `{"targetingKey":"eve","text":"` + strings.Repeat("a", 16<<10) + `"}`
	var costly []time.Duration
	for range 20 {
		took, _, err := s.evaluate(ctx, s.other, "costly", text)
		if err != nil {
			return nil, err
		}
		costly = append(costly, took)
	}
	asking, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	var asked atomic.Int64
	for range costlyClients {
		group.Go(func() {
			for asking.Err() == nil {
				_, _, _ = s.evaluate(asking, s.other, "costly", text) // The end fails the last.
				asked.Add(1)
			}
		})
	}
	time.Sleep(time.Second)
	began, before := time.Now(), asked.Load()
	beside, err := s.evaluations(ctx)
	perSecond := float64(asked.Load()-before) / time.Since(began).Seconds()
	stop()
	group.Wait()
	if err != nil {
		return nil, err
	}
	fmt.Printf(
		"the costliest flag that is admitted, with an attribute of 16 KiB: p50 %s, p99 %s; %d clients ask for it %.0f "+
			"times a second\n",
		durations.Rounded(durations.Percentile(costly, 50)),
		durations.Rounded(durations.Percentile(costly, 99)),
		costlyClients,
		perSecond,
	)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "a neighbour's\tquiet p50\tbeside p50\tquiet p99\tbeside p99\tratio of p99\tgoal\t")
	ratio := float64(durations.Percentile(beside, 99)) / float64(durations.Percentile(quiet, 99))
	fmt.Fprintf(
		table,
		"evaluation\t%s\t%s\t%s\t%s\t%.2f\t%d\t\n",
		durations.Rounded(durations.Percentile(quiet, 50)),
		durations.Rounded(
			durations.Percentile(beside, 50),
		),
		durations.Rounded(durations.Percentile(quiet, 99)),
		durations.Rounded(durations.Percentile(beside, 99)),
		ratio,
		evaluationGoal,
	)
	var over []string
	if ratio > evaluationGoal {
		over = append(
			over,
			fmt.Sprintf("a neighbour's evaluation takes %.2f times its quiet p99, goal %d", ratio, evaluationGoal),
		)
	}
	return over, table.Flush()
}

// attack takes memory from the server until ctx ends.
type attack struct {
	name string
	run  func(ctx context.Context, s *serving)
}

// attacks are those that have taken a replica's memory before anything was earned.
func attacks() []attack {
	return []attack{
		{"20 requests at a time of 1 MiB of small objects", func(ctx context.Context, s *serving) {
			body := []byte(`{"context":{"a":[{}` + strings.Repeat(",{}", (1<<20)/3-10) + `]}}`)
			s.inParallel(ctx, 20, func(ctx context.Context) { s.post(ctx, bytes.NewReader(body), int64(len(body))) })
		}},
		{"1000 connections that announce 1 MiB and send little", func(ctx context.Context, s *serving) {
			s.inParallel(ctx, 1000, func(ctx context.Context) {
				reader, writer := io.Pipe()
				go func() {
					_, _ = io.WriteString(writer, `{"context":{"a":"`)
					<-ctx.Done()
					writer.CloseWithError(ctx.Err())
				}()
				s.post(ctx, reader, 1<<20)
			})
		}},
		{"500 clients that do not read their answers", func(ctx context.Context, s *serving) {
			s.inParallel(ctx, 500, func(ctx context.Context) { s.ignore(ctx) })
		}},
	}
}

// measureAttacks measures the memory under each attack, and whether the neighbour is answered meanwhile.
func measureAttacks(ctx context.Context, folder string, lasting time.Duration) ([]string, error) {
	var over []string
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "attack\tMiB before\tMiB at most\tlimit\tneighbour answered\tof\tp99\t")
	for _, attack := range attacks() {
		s, err := startServing(ctx, folder)
		if err != nil {
			s.end()
			return nil, err
		}
		before, err := s.Memory()
		if err != nil {
			s.end()
			return nil, err
		}
		attacking, stop := context.WithTimeout(ctx, lasting)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			attack.run(attacking, s)
		}()
		answered, asked, took := 0, 0, []time.Duration{0}
		for attacking.Err() == nil {
			duration, status, err := s.evaluate(ctx, s.neighbour, "flag-00000", `{"targetingKey":"alice"}`)
			if asked++; err == nil && status == http.StatusOK {
				answered++
				took = append(took, duration)
			}
			time.Sleep(20 * time.Millisecond)
		}
		stop()
		<-ended
		after, err := s.Memory()
		s.end()
		if err != nil {
			return append(over, attack.name+": the manager has ended"), table.Flush()
		}
		fmt.Fprintf(
			table,
			"%s\t%.0f\t%.0f\t%d\t%d\t%d\t%s\t\n",
			attack.name,
			before.Resident,
			after.Most,
			shippedLimit,
			answered,
			asked,
			durations.Rounded(durations.Percentile(took, 99)),
		)
		if after.Most > shippedLimit {
			over = append(over, fmt.Sprintf("%s takes %.0f MiB, goal %d", attack.name, after.Most, shippedLimit))
		}
		if answered < asked {
			over = append(over, fmt.Sprintf("beside %s %d of %d requests are answered", attack.name, answered, asked))
		}
	}
	return over, table.Flush()
}

// inParallel runs do so many times at a time, again and again until ctx ends.
func (s *serving) inParallel(ctx context.Context, clients int, do func(context.Context)) {
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				do(ctx)
			}
		})
	}
	group.Wait()
}

// post asks for all flags with a body that announces a length, on a connection of its own.
func (s *serving) post(ctx context.Context, body io.Reader, length int64) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url()+"/ofrep/v1/evaluate/flags", body)
	if err != nil {
		return
	}
	request.ContentLength = length
	request.Header.Set("Authorization", "Bearer "+s.other)
	request.Header.Set("Content-Type", "application/json")
	if response, err := s.http.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	select { // Who is refused does not ask at once.
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

// ignore asks for all flags and does not read the answer.
func (s *serving) ignore(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url()+"/ofrep/v1/evaluate/flags",
		strings.NewReader(`{"context":{}}`))
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+s.other)
	request.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DisableKeepAlives: true, ReadBufferSize: 1024}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return
	}
	<-ctx.Done()
	_ = response.Body.Close()
}

// url is where the server answers.
func (s *serving) url() string { return "http://" + s.API }

// measureServing measures the parts that ask a server.
func measureServing(ctx context.Context, folder string, parts []string) ([]string, error) {
	var over []string
	var failures []error
	if slices.Contains(parts, "evaluating") {
		missed, err := measureEvaluating(ctx, folder)
		over, failures = append(over, missed...), append(failures, err)
	}
	if slices.Contains(parts, "attacks") {
		missed, err := measureAttacks(ctx, folder, 8*time.Second)
		over, failures = append(over, missed...), append(failures, err)
	}
	return over, errors.Join(failures...)
}
