// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	flagdevaluator "github.com/open-feature/flagd/core/pkg/evaluator"
	"github.com/open-feature/flagd/core/pkg/logger"
	"github.com/open-feature/flagd/core/pkg/store"
	"github.com/open-feature/flagd/core/pkg/sync"
	"go.uber.org/zap"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// goCore is the evaluator of flagd itself and of its provider for Go. It has no known limits.
func goCore() evaluator {
	return evaluator{
		name:  "Go core",
		limit: func(*datafile.Document, evaluation) string { return "" },
		evaluate: func(t *testing.T, file []byte, questions []evaluation) []answer {
			answers := make([]answer, len(questions))
			// In a bubble the evaluator's clock stands still.
			synctest.Test(t, func(t *testing.T) {
				log := logger.NewLogger(zap.NewNop(), false)
				flags, err := store.NewStore(log, []string{"file"})
				if err != nil {
					t.Fatal(err)
				}
				core := flagdevaluator.NewJSON(log, flags)
				if err := core.SetState(sync.DataSync{FlagData: string(file), Source: "file"}); err != nil {
					t.Fatalf("seed %d: the Go core refuses the file: %v", *seed, err)
				}
				for i, question := range questions {
					var context map[string]any
					if err := json.Unmarshal(question.Context, &context); err != nil {
						t.Fatal(err)
					}
					got := core.ResolveAsAnyValue(t.Context(), "", question.Key, context)
					answers[i] = answer{Value: got.Value, Variant: got.Variant}
					if got.Error != nil {
						answers[i].Error = got.Error.Error()
					}
				}
			})
			return answers
		},
	}
}

// javaScriptCore is the evaluator of flagd's provider for JavaScript. It is there where the environment variable
// CONFORMANCE_NODE names the Node.js to run it with; its packages must be installed then.
func javaScriptCore(t *testing.T) (evaluator, bool) {
	node := os.Getenv("CONFORMANCE_NODE")
	if node == "" {
		return evaluator{}, false
	}
	command := exec.CommandContext(t.Context(), node, "client.js")
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", node, err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		if _, err := io.Copy(io.Discard, output); err != nil {
			t.Error(err)
		}
		_ = command.Wait() // The process has had its say; that the test is over is no error.
	})
	requests, responses := json.NewEncoder(input), json.NewDecoder(bufio.NewReader(output))
	return evaluator{
		name:  "JavaScript core",
		limit: javaScriptLimit,
		evaluate: func(t *testing.T, file []byte, questions []evaluation) []answer {
			request := struct {
				Now         int64        `json:"now"`
				File        string       `json:"file"`
				Evaluations []evaluation `json:"evaluations"`
			}{now.Unix(), string(file), questions}
			if err := requests.Encode(request); err != nil {
				t.Fatalf("seed %d: ask the JavaScript core: %v", *seed, err)
			}
			var response struct {
				Results []answer `json:"results"`
			}
			if err := responses.Decode(&response); err != nil {
				t.Fatalf("seed %d: the JavaScript core does not answer: %v", *seed, err)
			}
			if len(response.Results) != len(questions) {
				t.Fatalf(
					"seed %d: the JavaScript core gives %d answers to %d questions",
					*seed,
					len(response.Results),
					len(questions),
				)
			}
			return response.Results
		},
	}, true
}

// longNumber is a version's number that JavaScript may not hold.
var longNumber = regexp.MustCompile(`^[vV]?[0-9.]*[0-9]{16}`)

// javaScriptLimit names the known limits of @openfeature/flagd-core 4.0.1, which internal/flagd documents.
func javaScriptLimit(document *datafile.Document, question evaluation) string {
	var context map[string]any
	if err := json.Unmarshal(question.Context, &context); err != nil {
		return "unreadable context"
	}
	subjects, versions := attributes(document, question.Key)
	for path := range subjects {
		if subject, isString := lookUp(context, path).(string); isString && !isASCII(subject) {
			return "subject outside of ASCII" // It hashes UTF-16 code units, not UTF-8 bytes.
		}
	}
	for path := range versions {
		if version, isString := lookUp(context, path).(string); isString &&
			(len(version) > 256 || longNumber.MatchString(version)) {
			return "version of more than 256 characters or with a number beyond 2^53-1"
		}
	}
	return ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
