// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

// The race detector makes the pools of the standard library forget at random, so that regular expressions allocate.

package evaluate_test

import (
	"encoding/json"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

func TestNothingIsAllocated(t *testing.T) {
	prepared, err := evaluate.New(benchmarkDocument())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"static", "rule", "split", "ten", "list", "audience", "gone"} {
		if n := testing.AllocsPerRun(100, func() { result = prepared.Evaluate(key, benchmarkContext, noon) }); n != 0 {
			t.Errorf("%s allocates %v times", key, n)
		}
	}
	operators := engine(t, everyOperator, everyAudience)
	for _, context := range []string{`{}`, everyContext} {
		decoded := decode(t, context)
		for flag := range operators.Flags() {
			if n := testing.AllocsPerRun(100, func() { result = flag.Evaluate(decoded, noon) }); n != 0 {
				t.Errorf("%s allocates %v times with %s", flag.Key, n, context)
			}
		}
	}
}

func decode(t testing.TB, context string) (decoded map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(context), &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}
