// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryLimitFiles hold the limit of the container, as cgroup v2 and v1 mount them.
var memoryLimitFiles = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// memoryShare is the share of the container's limit, in percent, above which the garbage collector works harder. The
// rest is for what the collector does not manage: stacks, and pages of the program's file.
const memoryShare = 90

// limitMemory tells the garbage collector of the container's limit, so that garbage is collected before the kernel ends
// the process. It returns the limit in bytes that holds, and 0 where the container has none.
func limitMemory() int64 {
	limit := memoryLimit(os.Getenv("GOMEMLIMIT"), func(name string) string {
		data, _ := os.ReadFile(name) //nolint:gosec // The names are constants.
		return string(data)
	})
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
}

// memoryLimit is the limit to set, in bytes, and 0 where none is to be set: where an administrator has set one, and
// where the container has none. Read returns the contents of a file, and nothing where there is none.
func memoryLimit(environment string, read func(name string) string) int64 {
	if environment != "" {
		return 0 // The Go runtime has read it.
	}
	for _, name := range memoryLimitFiles {
		limit, err := strconv.ParseInt(strings.TrimSpace(read(name)), 10, 64)
		// Without a limit, cgroup v2 says "max", and v1 a number near to the highest.
		if err == nil && limit > 0 && limit < math.MaxInt64/2 {
			return limit / 100 * memoryShare
		}
	}
	return 0
}
