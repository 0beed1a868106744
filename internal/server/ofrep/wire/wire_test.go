// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

func TestReadContext(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want map[string]any
		code Code
	}{
		"everything JSON has": {
			body: `{"context": {"targetingKey": "alice", "n": 1.5, "b": true, "none": null, "list": ["x", 2], "deep": {"er": {}}}, "further": [1]}`,
			want: map[string]any{
				"targetingKey": "alice", "n": 1.5, "b": true, "none": nil, "list": []any{"x", 2.0}, "deep": map[string]any{"er": map[string]any{}},
			},
		},
		"no context":                   {body: `{}`},
		"a context that is null":       {body: `{"context": null}`},
		"a name that comes twice":      {body: `{"context": {"a": 1, "a": 2}}`, want: map[string]any{"a": 2.0}},
		"escapes":                      {body: `{"context": {"\u0061": "\ud83d\ude00"}}`, want: map[string]any{"a": "😀"}},
		"a targeting key that is null": {body: `{"context": {"targetingKey": null}}`, want: map[string]any{"targetingKey": nil}},
		"integers beyond 2^53": {
			body: `{"context": {"n": 1234567890123456789, "list": [-9007199254740993], "f": 1e21}}`,
			want: map[string]any{"n": json.Number("1234567890123456789"), "list": []any{json.Number("-9007199254740993")}, "f": 1e21},
		},
		"a targeting key of a number":   {body: `{"context": {"targetingKey": 1}}`, code: InvalidContext},
		"a context that is a list":      {body: `{"context": []}`, code: InvalidContext},
		"a number too large":            {body: `{"context": {"n": 1e999}}`, code: InvalidContext},
		"a text as long as may be":      {body: `{"context": {"a": "` + strings.Repeat("x", 16<<10) + `"}}`, want: map[string]any{"a": strings.Repeat("x", 16<<10)}},
		"a text too long":               {body: `{"context": {"a": "` + strings.Repeat("x", 16<<10+1) + `"}}`, code: InvalidContext},
		"a name too long":               {body: `{"context": {"` + strings.Repeat("x", 16<<10+1) + `": 1}}`, code: InvalidContext},
		"too many values":               {body: `{"context": {"a": [` + strings.Repeat("{},", 10_000) + `{}]}}`, code: InvalidContext},
		"nesting too deep":              {body: `{"context": {"a": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, code: InvalidContext},
		"nesting too deep to be passed": {body: `{"further": ` + strings.Repeat("[", 100_000), code: ParseError},
		"nothing":                       {body: ``, code: ParseError},
		"a list":                        {body: `[]`, code: ParseError},
		"half of it":                    {body: `{"context": {"a":`, code: ParseError},
		"something after it":            {body: `{} {}`, code: ParseError},
		"nonsense after it":             {body: `{}A`, code: ParseError},
		"what is not UTF-8":             {body: "{\"context\": {\"a\": \"\xff\"}}", code: ParseError},
	} {
		t.Run(name, func(t *testing.T) {
			got, failed := ReadContext([]byte(tc.body))
			code := Code("")
			if failed != nil {
				code = failed.Code
			}
			if code != tc.code {
				t.Fatalf("got %+v, want the code %q", failed, tc.code)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	flag := &evaluate.Flag{Key: `a "key"`, Metadata: map[string]string{"b": "2", "a": "<1>"}}
	result := &evaluate.Result{
		Flag:      flag,
		Variation: &evaluate.Variation{Key: "on", JSON: []byte("true")},
		Reason:    evaluate.PrerequisiteFailed,
	}
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"for servers": {
			AppendResult(nil, result, true),
			`{"key":"a \"key\"","reason":"DEFAULT","variant":"on","value":true,"metadata":{"a":"<1>","b":"2"}}`,
		},
		"for clients": {AppendResult(nil, result, false), `{"key":"a \"key\"","reason":"DEFAULT","variant":"on","value":true}`},
		"one alone": {
			AppendAnswer(nil, result, true, Set{ID: "shop.production", Revision: 7}),
			`{"key":"a \"key\"","reason":"DEFAULT","variant":"on","value":true,"metadata":{"a":"<1>","b":"2","flagSetId":"shop.production","version":"7"}}`,
		},
		"one alone, whose author names a version": {
			AppendAnswer(nil, &evaluate.Result{
				Flag: &evaluate.Flag{Key: "x", Metadata: map[string]string{"version": "2"}}, Reason: evaluate.Disabled,
			}, true, Set{ID: "shop.production", Revision: 7}),
			`{"key":"x","reason":"DISABLED","metadata":{"flagSetId":"shop.production","version":"2"}}`,
		},
		"one alone, for clients": {
			AppendAnswer(nil, result, false, Set{ID: "shop.production", Revision: 7}),
			`{"key":"a \"key\"","reason":"DEFAULT","variant":"on","value":true,"metadata":{"flagSetId":"shop.production","version":"7"}}`,
		},
		"the code's default": { // Clients use the default that they were asked with.
			AppendResult(nil, &evaluate.Result{Flag: &evaluate.Flag{Key: "x"}, Reason: evaluate.Disabled}, true),
			`{"key":"x","reason":"DISABLED"}`,
		},
		"a failure": {AppendFailure(nil, "x", &Failure{404, FlagNotFound, "no"}), `{"key":"x","errorCode":"FLAG_NOT_FOUND","errorDetails":"no"}`},
		"of all":    {AppendFailure(nil, "", &Failure{400, ParseError, "\xff"}), `{"errorCode":"PARSE_ERROR","errorDetails":"` + "\ufffd" + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(tc.got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// No body makes the reader panic, and what it reads is what encoding/json reads.
func FuzzReadContext(f *testing.F) {
	for _, seed := range []string{`{"context":{"targetingKey":"a","x":[1,{"y":null}]}}`, `{"context":{"a":1e400}}`, `[`, "\xff", `{"context":{},"context":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, failed := ReadContext(body)
		if failed != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", body, err)
		}
		if got == nil {
			return
		}
		var context evaluate.Context
		if err := json.Unmarshal(want["context"], &context); err != nil {
			t.Fatalf("encoding/json refuses the context of %q: %v", body, err)
		}
		if diff := cmp.Diff(map[string]any(context), got); diff != "" {
			t.Error(diff)
		}
	})
}
