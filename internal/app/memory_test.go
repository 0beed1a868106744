// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import "testing"

// Without the limit, the heap grows to twice what lives on it, and the kernel ends the process at its limit.
func TestMemoryLimitIsThatOfTheContainer(t *testing.T) {
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for name, tc := range map[string]struct {
		environment string
		files       map[string]string
		want        int64
	}{
		"cgroup v2":              {files: map[string]string{v2: "1073741800\n"}, want: 966367620},
		"cgroup v1":              {files: map[string]string{v1: "1000\n"}, want: 900},
		"cgroup v2 has no limit": {files: map[string]string{v2: "max\n"}},
		"cgroup v1 has no limit": {files: map[string]string{v1: "9223372036854771712\n"}},
		"no files":               {},
		"an administrator's":     {environment: "500MiB", files: map[string]string{v2: "1073741800\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if limit := memoryLimit(tc.environment, func(name string) string { return tc.files[name] }); limit != tc.want {
				t.Errorf("the limit is %d, want %d", limit, tc.want)
			}
		})
	}
}
