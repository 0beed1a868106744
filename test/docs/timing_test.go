// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// plainRequest is what a line is compared with on a busy machine.
	plainRequest = "kubectl -n " + project + " get featureflags >/dev/null\n"
	// slowdown is how many plain requests a line may take where they are slow, as on a machine that runs other tests.
	slowdown = 10
)

// times is the file with the times between the lines of a step.
func times(folder string, step int) string {
	return filepath.Join(folder, fmt.Sprintf("%d.times", step))
}

// linesOf are the commands of a block, one a line but for those that a backslash continues.
func linesOf(text string) []string {
	var lines []string
	continued := false
	for line := range strings.Lines(text) {
		switch {
		case continued:
			lines[len(lines)-1] += line
		case strings.TrimSpace(line) == "":
			continue
		default:
			lines = append(lines, line)
		}
		continued = strings.HasSuffix(strings.TrimSuffix(line, "\n"), `\`)
	}
	return lines
}

// timed is a block that writes the time before and after each of its lines, and before and after one plain request at
// both ends.
func timed(text, file string) string {
	now := "echo \"$EPOCHREALTIME\" >>" + quote(file) + "\n"
	return now + plainRequest + now + strings.Join(linesOf(text), now) + now + plainRequest + now
}

// slowLines returns what to say about each line of a block that took too long, by the times that it has written.
func slowLines(text, written string, within time.Duration) ([]string, error) {
	lines := linesOf(text)
	var seconds []float64
	for field := range strings.FieldsSeq(written) {
		at, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, fmt.Errorf("read a time: %w", err)
		}
		seconds = append(seconds, at)
	}
	if len(seconds) != len(lines)+3 {
		return nil, fmt.Errorf("%d times of %d lines", len(seconds), len(lines))
	}
	took := func(i int) time.Duration {
		return time.Duration((seconds[i+1] - seconds[i]) * float64(time.Second)).Round(time.Millisecond)
	}
	plain := max(took(0), took(len(lines)+1))
	limit := max(within, slowdown*plain)
	var slow []string
	for i, line := range lines {
		if took := took(i + 1); took > limit {
			slow = append(slow, fmt.Sprintf("takes %s, and may take %s where a plain request takes %s: %s",
				took, limit, plain, strings.TrimSpace(line)))
		}
	}
	return slow, nil
}

func reportSlow(t *testing.T, where string, s step, file string) {
	t.Helper()
	written, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	slow, err := slowLines(s.text, string(written), s.within)
	if err != nil {
		t.Errorf("%s: %v", where, err)
	}
	for _, line := range slow {
		t.Errorf("%s: %s", where, line)
	}
	t.Logf("%s: times of a plain request, each line, and a plain request:\n%s", where, written)
}

// A line that is too slow for somebody on call must not pass because the machine is taken to be busy.
func TestSlowLines(t *testing.T) {
	const text = "a\nb \\\n  c\n"
	for name, tc := range map[string]struct {
		times string
		want  int
		fails bool
	}{
		"quick":                           {"10.0 10.1 11.9 12.0 12.1", 0, false},
		"one line is slow":                {"10.0 10.1 12.2 12.3 12.4", 1, false},
		"both are slow":                   {"10.0 10.1 12.2 14.3 14.4", 2, false},
		"slow, on a busy machine":         {"10.0 10.5 14.0 14.1 14.2", 0, false},
		"busy at the end alone":           {"10.0 10.1 14.0 14.1 14.6", 0, false},
		"too slow for a busy machine too": {"10.0 10.5 15.6 15.7 15.8", 1, false},
		"a line was not timed":            {"10.0 10.1 11.9 12.0", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			slow, err := slowLines(text, tc.times, 2*time.Second)
			if len(slow) != tc.want || (err != nil) != tc.fails {
				t.Errorf("slow are %q, want %d; %v", slow, tc.want, err)
			}
		})
	}
}
