// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// holders are what may hold flags in a process of its own.
var holders = []string{holdNothing, holdOurs, holdTheirs}

const (
	holdNothing = "nothing"
	holdOurs    = "jackstaff"
	holdTheirs  = "flagd"
)

// memory is what a process holds, in bytes.
type memory struct {
	// Heap is what is in use after a garbage collection, and Resident what the process has of the machine's memory then.
	Heap, Resident uint64
	// Peak is the most that the process has had of the machine's memory.
	Peak uint64
}

func compareMemory(ctx context.Context, _ int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := os.Executable()
	if err != nil {
		return err
	}
	table := newTable("Memory in MiB of a process that has read a file of flags, after a garbage collection")
	row(table, "", []string{"flags", "heap", "resident", "resident at most"})
	for _, flags := range []int{100, 10_000} {
		compiled := many(flags)
		files := map[string]string{holdOurs: filepath.Join(dir, datafile.FileName), holdTheirs: filepath.Join(dir, flagdFile)}
		if err := os.WriteFile(files[holdOurs], datafileOf(compiled, 1), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(files[holdTheirs], flagdOf(compiled, 1), 0o600); err != nil {
			return err
		}
		for _, holder := range holders {
			command := exec.CommandContext(ctx, program, "-hold", holder, "-file", files[holder])
			command.Stderr = os.Stderr
			output, err := command.Output()
			if err != nil {
				return fmt.Errorf("%s with %d flags: %w", holder, flags, err)
			}
			var used memory
			if err := json.Unmarshal(output, &used); err != nil {
				return err
			}
			name := map[string]string{
				holdNothing: "this program", holdOurs: "Jackstaff's engine", holdTheirs: title("flagd core", "github.com/open-feature/flagd/core"),
			}[holder]
			row(table, name, []string{strconv.Itoa(flags), mebibytes(used.Heap), mebibytes(used.Resident), mebibytes(used.Peak)})
		}
	}
	return table.Flush()
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

// report holds a file in an engine and writes what this process holds.
func report(holder, file string) error {
	held, err := holdFile(holder, file)
	if err != nil {
		return err
	}
	runtime.GC()
	debug.FreeOSMemory()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	used := memory{Heap: heap.HeapAlloc}
	for name, field := range map[string]*uint64{"VmRSS": &used.Resident, "VmHWM": &used.Peak} {
		if *field, err = processStatus(name); err != nil {
			return err
		}
	}
	if err := held(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(used)
}

// holdFile returns what keeps the engine and asks it whether it has the file.
func holdFile(holder, file string) (func() error, error) {
	if holder == holdNothing {
		return func() error { return nil }, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch holder {
	case holdOurs:
		engine, err := prepare(data)
		return func() error {
			result := engine.Evaluate("revision", nil, time.Now())
			return must(result.Variation != nil && result.Variation.Value == 1.0, result)
		}, err
	case holdTheirs:
		core, err := prepareFlagd(data)
		return func() error {
			value, _, _, _, err := core.ResolveFloatValue(context.Background(), "", "revision", nil)
			if err != nil {
				return err
			}
			return must(value == 1, value)
		}, err
	default:
		return nil, fmt.Errorf("nothing is called %q; there are %s", holder, strings.Join(holders, ", "))
	}
}

// processStatus reads a number of kilobytes of /proc/self/status
// (https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
func processStatus(name string) (uint64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 3 && fields[0] == name+":" {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status says nothing of %s", name)
}
