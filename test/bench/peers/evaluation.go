// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// slice is about how long one engine is measured at a time.
const slice = 30 * time.Millisecond

// timing is what was measured of one engine with one flag.
type timing struct {
	// nanoseconds are per evaluation, by round.
	nanoseconds []float64
	allocations int
}

// timings are by engine and flag.
type timings [][]timing

// measureAll measures every engine with every flag. In each round the engines take their turns with a flag, one right
// after the other, so that what disturbs the machine for longer disturbs them all.
func measureAll(engines []engine, rounds int) (timings, error) {
	measurements := make(timings, len(engines))
	for i := range measurements {
		measurements[i] = make([]timing, len(measured))
	}
	for f, flag := range measured {
		questions := make([]question, len(engines))
		repeats := make([]int, len(engines))
		for e := range engines {
			questions[e] = engines[e].ask(flag, customer)
			repeats[e] = calibrate(questions[e].evaluate)
			if _, err := questions[e].answer(); err != nil {
				return nil, fmt.Errorf("%s, %q: %w", engines[e].name, flag, err)
			}
			measurements[e][f].allocations = int(testing.AllocsPerRun(100, questions[e].evaluate))
		}
		for range rounds {
			for e := range engines {
				runtime.GC() // Nobody pays for the garbage of another.
				perEvaluation := float64(repeat(questions[e].evaluate, repeats[e])) / float64(repeats[e])
				measurements[e][f].nanoseconds = append(measurements[e][f].nanoseconds, perEvaluation)
			}
		}
	}
	return measurements, nil
}

func repeat(evaluate func(), n int) time.Duration {
	begin := time.Now()
	for range n {
		evaluate()
	}
	return time.Since(begin)
}

// calibrate returns how often to repeat an evaluation for it to take about a slice of time.
func calibrate(evaluate func()) int {
	for n := 1; ; n *= 2 {
		if took := repeat(evaluate, n); took > slice/8 {
			return max(1, int(float64(n)*float64(slice)/float64(took)))
		}
	}
}

// ratio is the median, over the rounds, of how many times as long as the engine b the engine a takes for a flag.
func (t timings) ratio(a, b, flag int) float64 {
	ratios := make([]float64, len(t[a][flag].nanoseconds))
	for round := range ratios {
		ratios[round] = t[a][flag].nanoseconds[round] / t[b][flag].nanoseconds[round]
	}
	return median(ratios)
}

// ratioTogether is ratio for all flags, one after the other.
func (t timings) ratioTogether(a, b int) float64 {
	ratios := make([]float64, len(t[a][0].nanoseconds))
	for round := range ratios {
		var sumA, sumB float64
		for flag := range measured {
			sumA += t[a][flag].nanoseconds[round]
			sumB += t[b][flag].nanoseconds[round]
		}
		ratios[round] = sumA / sumB
	}
	return median(ratios)
}

func median[T float64 | time.Duration](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// print prints a row of each engine with its median and its allocations. Only ratios have something in a further
// column.
func (t timings) print(table *tabwriter.Writer, engines []engine, further ...string) {
	row(table, "", slices.Concat(measured, further))
	for e := range engines {
		var cells []string
		for f := range measured {
			microseconds := median(t[e][f].nanoseconds) / 1000
			cells = append(cells, fmt.Sprintf("%s / %d", digits(microseconds), t[e][f].allocations))
		}
		row(table, title(engines[e].name, engines[e].module), cells)
	}
}

func (t timings) printRatios(table *tabwriter.Writer, name string, ratio func(flag int) float64, further ...float64) {
	var cells []string
	for f := range measured {
		cells = append(cells, digits(ratio(f)))
	}
	for _, f := range further {
		cells = append(cells, digits(f))
	}
	row(table, name, cells)
}

func newTable(caption string) *tabwriter.Writer {
	fmt.Printf("\n%s\n", caption)
	return tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func row(table *tabwriter.Writer, name string, cells []string) {
	fmt.Fprintf(table, "%s\t%s\t\n", name, strings.Join(cells, "\t"))
}

// digits writes a number with two or three digits that count.
func digits(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 0.1:
		return fmt.Sprintf("%.2f", f)
	default:
		return fmt.Sprintf("%.3f", f)
	}
}

func compareEngines(_ context.Context, rounds int) error {
	engines, err := evaluators()
	if err != nil {
		return err
	}
	defer closeAll(engines)
	measurements, err := measureAll(engines, rounds)
	if err != nil {
		return err
	}
	const byHand, ours, firstPeer = 0, 1, 2
	table := newTable(
		fmt.Sprintf("The engines: microseconds and allocations of one evaluation, median of %d runs", rounds),
	)
	measurements.print(table, engines)
	measurements.printRatios(table, "Jackstaff takes, times the floor", func(flag int) float64 {
		return measurements.ratio(ours, byHand, flag)
	})
	measurements.printRatios(table, "The fastest peer takes, times Jackstaff", func(flag int) float64 {
		fastest := measurements.ratio(firstPeer, ours, flag)
		for e := firstPeer + 1; e < len(engines); e++ {
			fastest = min(fastest, measurements.ratio(e, ours, flag))
		}
		return fastest
	})
	return table.Flush()
}

func compareProviders(_ context.Context, rounds int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	engines, err := providers(dir)
	if err != nil {
		return err
	}
	defer closeAll(engines)
	measurements, err := measureAll(engines, rounds)
	if err != nil {
		return err
	}
	const noop = 0
	table := newTable(
		fmt.Sprintf(
			"Through the OpenFeature Go SDK: microseconds and allocations of one evaluation, median of %d runs",
			rounds,
		),
	)
	measurements.print(table, engines, "together")
	for e := noop + 1; e < len(engines); e++ {
		measurements.printRatios(table, engines[e].name+" takes, times the no-op provider", func(flag int) float64 {
			return measurements.ratio(e, noop, flag)
		}, measurements.ratioTogether(e, noop))
	}
	return table.Flush()
}
