// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func nested(open, closing string, depth int, inner string) string {
	return strings.Repeat(open, depth) + inner + strings.Repeat(closing, depth)
}

func TestCanonical(t *testing.T) {
	tests := map[string]struct {
		data    string
		want    string
		wantErr string
	}{
		"a literal stays":  {data: `true`, want: `true`},
		"null stays":       {data: `null`, want: `null`},
		"white space goes": {data: " { \"a\" :\n[ 1 ,\t2 ] } ", want: `{"a":[1,2]}`},
		"keys are sorted at every level": {
			data: `{"b":{"z":1,"y":[{"d":1,"c":2}]},"a":0}`,
			want: `{"a":0,"b":{"y":[{"c":2,"d":1}],"z":1}}`,
		},
		"keys are sorted by bytes, not by UTF-16": {
			data: `{"😀":1,"é":2,"ﬀ":3,"Z":4,"a":5}`,
			want: `{"Z":4,"a":5,"é":2,"ﬀ":3,"😀":1}`,
		},
		"the last of equal keys wins":                     {data: `{"a":1,"a":2}`, want: `{"a":2}`},
		"equal keys do not merge objects":                 {data: `{"a":{"x":1},"a":{"y":2}}`, want: `{"a":{"y":2}}`},
		"an escaped key equals a plain one":               {data: `{"\u0061":1,"a":2}`, want: `{"a":2}`},
		"escapes are undone":                              {data: `"\u0041\/\u00e9"`, want: `"A/é"`},
		"characters of HTML are not escaped":              {data: `"<a href='x'>&\u003c"`, want: `"<a href='x'>&<"`},
		"U+2028 and U+2029 are escaped":                   {data: "\"\u2028\u2029\"", want: `"\u2028\u2029"`},
		"control characters are escaped":                  {data: `"\u0001\n\t\""`, want: `"\u0001\n\t\""`},
		"invalid UTF-8 becomes U+FFFD":                    {data: "\"a\xffb\"", want: `"a` + "\uFFFD" + `b"`},
		"half a surrogate pair becomes U+FFFD":            {data: `"\ud83d"`, want: "\"\uFFFD\""},
		"a surrogate pair is one character":               {data: `"\ud83d\ude00"`, want: `"😀"`},
		"an empty object":                                 {data: `{}`, want: `{}`},
		"an empty array":                                  {data: `[]`, want: `[]`},
		"a fraction of zero goes":                         {data: `1.0`, want: `1`},
		"trailing zeros go":                               {data: `1.500`, want: `1.5`},
		"minus zero is zero":                              {data: `-0`, want: `0`},
		"minus zero as a fraction is zero":                {data: `-0.0e5`, want: `0`},
		"an exponent is written out":                      {data: `1.5e3`, want: `1500`},
		"a small number has an exponent":                  {data: `0.0000001`, want: `1e-7`},
		"a number too small for float64 is zero":          {data: `-1e-400`, want: `0`},
		"the smallest number":                             {data: `5e-324`, want: `5e-324`},
		"the shortest form of a number":                   {data: `0.1000000000000000055511151231257827`, want: `0.1`},
		"the largest safe integer":                        {data: `9007199254740991`, want: `9007199254740991`},
		"the smallest safe integer":                       {data: `-9007199254740991`, want: `-9007199254740991`},
		"the largest safe integer with a fraction":        {data: `9007199254740991.0`, want: `9007199254740991`},
		"the next integer is refused":                     {data: `9007199254740992`, wantErr: "write it as a string"},
		"the next negative integer is refused":            {data: `-9007199254740992`, wantErr: "write it as a string"},
		"an integer that rounds to a safe one is refused": {data: `9007199254740993`, wantErr: "write it as a string"},
		"an unsafe integer inside a value is refused": {
			data:    `{"a":[9007199254740992]}`,
			wantErr: "write it as a string",
		},
		"beyond safe integers a fraction keeps its kind":  {data: `9007199254740993.0`, want: `9.007199254740992e+15`},
		"beyond safe integers an exponent keeps its kind": {data: `1e20`, want: `1e+20`},
		"1e21":                               {data: `1E21`, want: `1e+21`},
		"the largest number":                 {data: `1.7976931348623157e308`, want: `1.7976931348623157e+308`},
		"a number beyond float64 is refused": {data: `1e400`, wantErr: "does not fit"},
		"a negative one too":                 {data: `[-1e309]`, wantErr: "does not fit"},
		"a long integer is refused":          {data: strings.Repeat("9", 400), wantErr: "does not fit"},
		"32 arrays":                          {data: nested("[", "]", MaxDepth, "1"), want: nested("[", "]", MaxDepth, "1")},
		"32 objects": {
			data: nested(`{"a":`, "}", MaxDepth, "1"),
			want: nested(`{"a":`, "}", MaxDepth, "1"),
		},
		"33 arrays are refused":               {data: nested("[", "]", MaxDepth+1, ""), wantErr: "nested deeper than 32"},
		"33 objects are refused":              {data: nested(`{"a":`, "}", MaxDepth, "{}"), wantErr: "nested deeper than 32"},
		"a million arrays are refused":        {data: strings.Repeat("[", 1_000_000), wantErr: "not a JSON value"},
		"nothing is refused":                  {data: ``, wantErr: "not a JSON value"},
		"white space alone is refused":        {data: " \n", wantErr: "not a JSON value"},
		"two values are refused":              {data: `1 2`, wantErr: "something follows"},
		"a stray bracket is refused":          {data: `{}}`, wantErr: "something follows"},
		"an unfinished value is refused":      {data: `{"a":`, wantErr: "not a JSON value"},
		"a leading zero is refused":           {data: `01`, wantErr: "something follows"},
		"NaN is refused":                      {data: `NaN`, wantErr: "not a JSON value"},
		"a comment is refused":                {data: `{/**/}`, wantErr: "not a JSON value"},
		"a byte order mark is refused":        {data: "\ufeff1", wantErr: "not a JSON value"},
		"a raw control character is refused":  {data: "\"\x01\"", wantErr: "not a JSON value"},
		"a trailing comma is refused":         {data: `[1,]`, wantErr: "not a JSON value"},
		"white space after a value is spared": {data: "1\n\n", want: `1`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Canonical([]byte(tc.data))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf(
						"a value that not every reader can read is published: got %s, error %v, want an error with %q",
						got,
						err,
						tc.wantErr,
					)
				}
				return
			}
			if err != nil {
				t.Fatalf("a good value is refused: %v", err)
			}
			if string(got) != tc.want {
				t.Errorf("the same value would be published as other bytes: got %s, want %s", got, tc.want)
			}
		})
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":1,"a":[1.0,-0,1e20,9007199254740993.0,"<\u2028\ud800"]}`, `1e400`, `[[[]]]`, `"\ud83d\ude00"`, `-0.0`, "\"\xff\"", `5e-324`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := Canonical(data)
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		if err != nil {
			t.Fatalf("the canonical form of %q, %s, is refused: %v", data, once, err)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("the canonical form of %q is not final: %s, then %s", data, once, twice)
		}
		if again := sortedJSON(t, once); !bytes.Equal(once, again) {
			t.Fatalf("the canonical form of %q is %s, and sorted %s", data, once, again)
		}
		sameNumbers(t, data, once)
	})
}

// sameNumbers checks that no number changes its value.
func sameNumbers(t *testing.T, data, canonical []byte) {
	t.Helper()
	var before, after float64
	if json.Unmarshal(data, &before) != nil {
		return // It is not a number.
	}
	if err := json.Unmarshal(canonical, &after); err != nil || math.Abs(before) != math.Abs(after) {
		t.Fatalf("the number %s becomes %s", data, canonical)
	}
}

// sortedJSON is data as encoding/json writes maps: keys sorted, no white space. Numbers keep their text.
func sortedJSON(t *testing.T, data []byte) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s is no JSON: %v", data, err)
	}
	sorted, err := marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return sorted
}
