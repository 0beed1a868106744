// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// rest is how long evaluations are watched while nothing changes.
const rest = time.Second

// follower is a provider that follows a mounted file, in a form that the file may have.
type follower struct {
	name  string
	begin func(dir string) (*client, error)
	files func(compiled *compile.Environment, revision int64) (map[string][]byte, error)
}

var followers = []follower{
	{"Jackstaff's provider", beginOurs, func(compiled *compile.Environment, revision int64) (map[string][]byte, error) {
		return map[string][]byte{datafile.FileName: datafileOf(compiled, revision)}, nil
	}},
	{
		"Jackstaff's provider, compressed",
		beginOurs,
		func(compiled *compile.Environment, revision int64) (map[string][]byte, error) {
			compressed, err := datafile.Compress(datafileOf(compiled, revision))
			if err != nil {
				return nil, err
			}
			header := header(revision)
			header.Compressed = datafile.CompressedFileName
			return map[string][]byte{
				datafile.FileName:           datafile.EncodeHeader(header),
				datafile.CompressedFileName: compressed,
			}, nil
		},
	},
	{"flagd's provider", beginTheirs, func(compiled *compile.Environment, revision int64) (map[string][]byte, error) {
		return map[string][]byte{flagdFile: flagdOf(compiled, revision)}, nil
	}},
}

func compareSwaps(context.Context, int) error {
	table := newTable(
		"From the swap of a mounted file, as kubelet does it, to the first changed answer, and the longest evaluation " +
			"meanwhile",
	)
	row(
		table,
		"",
		[]string{"flags", "bytes", "swaps", "median", "longest", "longest evaluation, median", "of all", "at rest"},
	)
	for _, size := range []struct{ flags, swaps int }{{100, 21}, {10_000, 5}} {
		compiled := many(size.flags)
		for i := range followers {
			measurement, err := followers[i].measure(compiled, size.swaps)
			if err != nil {
				return fmt.Errorf("%s, %d flags: %w", followers[i].name, size.flags, err)
			}
			row(table, title(followers[i].name, measurement.module), []string{
				strconv.Itoa(
					size.flags,
				),
				strconv.Itoa(measurement.bytes),
				strconv.Itoa(size.swaps),
				rounded(median(measurement.swaps)),
				rounded(
					slices.Max(measurement.swaps),
				),
				rounded(median(measurement.evaluations)),
				rounded(slices.Max(measurement.evaluations)),
				rounded(measurement.atRest),
			})
			// Were an evaluation to wait for a load, one would take as long in every swap. With few flags, or in a single swap,
			// what else the machine does may take longer.
			if evaluation := slices.Min(measurement.evaluations); measurement.module == "" && size.flags >= 10_000 &&
				evaluation > slices.Min(measurement.swaps)/2 {
				return fmt.Errorf(
					"%s: an evaluation took at least %s in every swap of %d flags",
					followers[i].name,
					evaluation,
					size.flags,
				)
			}
		}
	}
	return table.Flush()
}

// swapped is what was measured of one follower.
type swapped struct {
	module string
	bytes  int
	swaps  []time.Duration
	// evaluations are the longest ones between each swap and the first changed answer, and atRest the longest without a
	// swap.
	evaluations []time.Duration
	atRest      time.Duration
}

func (f *follower) measure(compiled *compile.Environment, swaps int) (measurement swapped, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return swapped{}, err
	}
	defer os.RemoveAll(dir)
	m := &mount{dir: dir}
	prepare := func(revision int64) (func() error, error) {
		setRevision(compiled, revision)
		files, err := f.files(compiled, revision)
		if err != nil {
			return nil, err
		}
		measurement.bytes = 0
		for _, data := range files {
			measurement.bytes += len(data)
		}
		return m.prepare(files)
	}
	commit, err := prepare(1)
	if err != nil {
		return swapped{}, err
	}
	if err := commit(); err != nil {
		return swapped{}, err
	}
	client, err := f.begin(dir)
	if err != nil {
		return swapped{}, err
	}
	defer client.close()
	measurement.module = client.module
	_, measurement.atRest = client.watch(math.MaxInt64, rest)
	for revision := int64(2); revision < int64(swaps)+2; revision++ {
		commit, err := prepare(revision)
		if err != nil {
			return swapped{}, err
		}
		begin := time.Now()
		if err := commit(); err != nil {
			return swapped{}, err
		}
		changed, evaluation := client.watch(revision, initTime)
		if !changed {
			return swapped{}, fmt.Errorf("no answer of revision %d within %s", revision, initTime)
		}
		measurement.swaps = append(measurement.swaps, time.Since(begin))
		measurement.evaluations = append(measurement.evaluations, evaluation)
	}
	return measurement, nil
}

// watch evaluates until the flag "revision" serves a revision, at most for a time. It returns whether it does, and how
// long the longest evaluation took.
func (c *client) watch(revision int64, atMost time.Duration) (changed bool, longest time.Duration) {
	ctx := context.Background()
	begin := time.Now()
	for before := begin; before.Sub(begin) < atMost; {
		changed = c.Int(ctx, "revision", 0, openfeature.EvaluationContext{}) == revision
		now := time.Now()
		longest = max(longest, now.Sub(before))
		if changed {
			break
		}
		before = now
	}
	return changed, longest
}

func rounded(d time.Duration) string { return d.Round(max(d/100, 1)).String() }
