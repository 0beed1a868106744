// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

var (
	both       = []v1alpha1.DatafileFormat{v1alpha1.DatafileFormatNative, v1alpha1.DatafileFormatFlagd}
	nativeOnly = both[:1]
	flagdOnly  = both[1:]
	header     = datafile.Header{Project: "shop", Environment: "production", Revision: 7}
)

// emptyDocument stands for contents whose parts are no flags at all.
func emptyDocument() *datafile.Document { return &datafile.Document{} }

// contentOf has one part of about the given sizes each for the native document and for flagd. Text does not compress
// where random is set.
func contentOf(t *testing.T, nativeBytes, flagdBytes int, random bool) Content {
	t.Helper()
	const pieces = 20
	content := Content{Contents: &datafile.Contents{}, Flagd: &datafile.Section{}, Document: emptyDocument}
	source := rand.NewChaCha8([32]byte{})
	part := func(i, size int) datafile.Part {
		text := make([]byte, size)
		for j := range text {
			text[j] = 'a'
			if random {
				text[j] = ' ' + 1 + byte(source.Uint64()%90)
			}
		}
		data, err := json.Marshal(
			map[string]string{"x": strings.NewReplacer(`"`, "a", `\`, "b", "<", "c", ">", "d", "&", "e").Replace(string(text))},
		)
		if err != nil {
			t.Fatal(err)
		}
		return datafile.RawPart(fmt.Sprintf("flag-%02d", i), data)
	}
	for i := range pieces {
		content.Contents.Flags.Put(part(i, nativeBytes/pieces+i))
		content.Flagd.Put(part(i, flagdBytes/pieces))
	}
	return content
}

func TestLayoutRefusesWhatNoReaderTakes(t *testing.T) {
	flag := func(prerequisites ...datafile.Prerequisite) *datafile.Flag {
		return &datafile.Flag{
			Type: datafile.Boolean, Enabled: true, DefaultVariation: "off", Prerequisites: prerequisites,
			Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
		}
	}
	chain := map[string]*datafile.Flag{"f0": flag()}
	for i := range evaluate.MaxPrerequisiteDepth {
		chain[fmt.Sprint("f", i+1)] = flag(datafile.Prerequisite{Flag: fmt.Sprint("f", i), Variations: []string{"on"}})
	}
	expressions := flag()
	for i := range 201 {
		expressions.Rules = append(expressions.Rules, datafile.Rule{Variation: "on", Conditions: []datafile.Condition{
			{Attribute: "a", Operator: datafile.Matches, Values: []string{fmt.Sprint(i, strings.Repeat("a{999}", 5))}},
		}})
	}
	for want, flags := range map[string]map[string]*datafile.Flag{
		"chain of more than 10000 prerequisites": chain, `flag "long": rule "": condition 1: the regular expressions`: {"long": expressions},
	} {
		content := Content{Contents: &datafile.Contents{}, Flagd: &datafile.Section{}}
		content.Document = func() *datafile.Document { return &datafile.Document{Flags: flags} }
		for key, flag := range flags {
			part, err := datafile.NewPart(key, flag)
			if err != nil {
				t.Fatal(err)
			}
			content.Contents.Flags.Put(part)
		}
		if _, _, err := Layout(
			header,
			content,
			v1alpha1.Datafile{Formats: both},
			Files{},
		); !HasReason(err, v1alpha1.DatafileUnreadableReason) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestLayout(t *testing.T) {
	const kib = 1 << 10
	old := Files{Text: map[string]string{datafile.FileName: "{}", flagd.FileName: "the last good flagd file"}}
	tests := map[string]struct {
		native, flagd  int
		random         bool
		compression    v1alpha1.Compression
		formats        []v1alpha1.DatafileFormat
		wantCompressed bool
		wantIncomplete bool
		wantFlagd      string // Empty means the new file, "-" none.
		wantTooLarge   bool
	}{
		"small":                               {native: kib, flagd: kib, formats: both},
		"small, native only":                  {native: kib, flagd: kib, formats: nativeOnly, wantFlagd: "-"},
		"small, flagd only":                   {native: kib, flagd: kib, formats: flagdOnly},
		"just below the limit of compression": {native: 450 * kib, flagd: 440 * kib, formats: both},
		"together above the limit of compression": {
			native:         450 * kib,
			flagd:          455 * kib,
			formats:        both,
			wantCompressed: true,
		},
		"alone below the limit of compression": {
			native:    880 * kib,
			flagd:     455 * kib,
			formats:   nativeOnly,
			wantFlagd: "-",
		},
		"alone above the limit of compression": {
			native:         905 * kib,
			formats:        nativeOnly,
			wantCompressed: true,
			wantFlagd:      "-",
		},
		"always compressed": {
			native:         kib,
			flagd:          kib,
			compression:    v1alpha1.CompressionAlways,
			formats:        both,
			wantCompressed: true,
		},
		"never compressed": {
			native:      500 * kib,
			flagd:       480 * kib,
			compression: v1alpha1.CompressionNever,
			formats:     both,
		},
		"never compressed, flagd does not fit": {
			native:         600 * kib,
			flagd:          480 * kib,
			compression:    v1alpha1.CompressionNever,
			formats:        both,
			wantIncomplete: true,
			wantFlagd:      "old",
		},
		"compressed, flagd does not fit": {
			native:         600 * kib,
			flagd:          1100 * kib,
			formats:        both,
			wantCompressed: true,
			wantIncomplete: true,
			wantFlagd:      "old",
		},
		"flagd that does not fit is not asked for": {
			native:    600 * kib,
			flagd:     1100 * kib,
			formats:   nativeOnly,
			wantFlagd: "-",
		},
		"never compressed, nothing fits": {
			native:       1100 * kib,
			flagd:        kib,
			compression:  v1alpha1.CompressionNever,
			formats:      both,
			wantTooLarge: true,
		},
		"compressed, nothing fits": {
			native:       1500 * kib,
			flagd:        kib,
			random:       true,
			formats:      both,
			wantTooLarge: true,
		},
		"nothing fits, native only": {
			native:       1500 * kib,
			random:       true,
			formats:      nativeOnly,
			wantTooLarge: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := contentOf(t, tc.native, tc.flagd, tc.random)
			files, complete, err := Layout(
				header,
				content,
				v1alpha1.Datafile{Formats: tc.formats, Compression: tc.compression},
				old,
			)
			if HasReason(err, v1alpha1.DatafileTooLargeReason) != tc.wantTooLarge || err != nil && !tc.wantTooLarge {
				t.Fatalf("error %v, want one about size: %t", err, tc.wantTooLarge)
			}
			if err != nil {
				return
			}
			if files.Bytes() > datafile.MaxConfigMapBytes {
				t.Errorf("the API server refuses %d bytes", files.Bytes())
			}
			if files.Compressed() != tc.wantCompressed {
				t.Errorf("compressed: %t, want %t", files.Compressed(), tc.wantCompressed)
			}
			native, err := files.Native()
			if err != nil {
				t.Fatal(err)
			}
			if want := string(content.Contents.Encode(header)); string(native) != want {
				t.Error("the native document is not what was compiled")
			}
			if tc.wantCompressed {
				only, _, err := datafile.Decode([]byte(files.Text[datafile.FileName]))
				if err != nil || only.Compressed != datafile.CompressedFileName || only.Revision != header.Revision {
					t.Errorf("who mounts the native document by its key is not told where it is: %+v, error %v", only, err)
				}
			}
			want := string(flagd.Encode(header, content.Flagd))
			switch tc.wantFlagd {
			case "-":
				want = ""
			case "old":
				want = old.Text[flagd.FileName]
			}
			if got := files.Text[flagd.FileName]; got != want {
				t.Errorf("the flagd file has %d bytes, want %d", len(got), len(want))
			}
			if complete == tc.wantIncomplete {
				t.Errorf("the flagd file is reported as complete: %t", complete)
			}
		})
	}
}

func TestLayoutWithoutAnEarlierFlagdFile(t *testing.T) {
	files, complete, err := Layout(header, contentOf(t, 1<<10, 1100<<10, false), v1alpha1.Datafile{Formats: both}, Files{})
	if err != nil || complete {
		t.Fatalf("complete %t, error %v", complete, err)
	}
	if _, found := files.Text[flagd.FileName]; found {
		t.Error("there is a flagd file though none ever fitted")
	}
}

func TestTooLargeNamesTheLargestFlags(t *testing.T) {
	_, _, err := Layout(header, contentOf(t, 1500<<10, 0, true), v1alpha1.Datafile{Formats: both}, Files{})
	if err == nil {
		t.Fatal("what no ConfigMap holds is published")
	}
	message := err.Error()
	for _, want := range []string{"1048576", "split the project", "flag-19 (", "flag-10 ("} {
		if !strings.Contains(message, want) {
			t.Errorf("the message does not say %q: %s", want, message)
		}
	}
	if strings.Contains(message, "flag-09") || strings.Index(message, "flag-19") > strings.Index(message, "flag-18") {
		t.Errorf("the message does not name the ten largest flags, largest first: %s", message)
	}
}

func TestFiles(t *testing.T) {
	plain := Files{Text: map[string]string{datafile.FileName: "native", flagd.FileName: "flagd"}}
	compressed := Files{
		Text:   map[string]string{datafile.FileName: "header", flagd.FileName: "flagd"},
		Binary: map[string][]byte{datafile.CompressedFileName: []byte("gzip")},
	}
	tests := map[string]struct {
		files   Files
		formats []v1alpha1.DatafileFormat
		want    Files
	}{
		"both":             {plain, both, plain},
		"native only":      {plain, nativeOnly, Files{Text: map[string]string{datafile.FileName: "native"}}},
		"flagd only":       {plain, flagdOnly, Files{Text: map[string]string{flagd.FileName: "flagd"}}},
		"both, compressed": {compressed, both, compressed},
		"native, compressed": {
			compressed,
			nativeOnly,
			Files{Text: map[string]string{datafile.FileName: "header"}, Binary: compressed.Binary},
		},
		"flagd of compressed": {compressed, flagdOnly, Files{Text: map[string]string{flagd.FileName: "flagd"}}},
		"of nothing, nothing": {Files{}, both, Files{}},
		"flagd that is absent": {
			Files{Text: map[string]string{datafile.FileName: "native"}},
			both,
			Files{Text: map[string]string{datafile.FileName: "native"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.files.Only(tc.formats)
			if !got.Equal(tc.want) || !tc.want.Equal(got) {
				t.Errorf("other files are served than asked for: %v, want %v", got, tc.want)
			}
		})
	}
	for name, other := range map[string]Files{
		"another text":   {Text: map[string]string{datafile.FileName: "header", flagd.FileName: "edited"}, Binary: compressed.Binary},
		"another key":    {Text: map[string]string{datafile.FileName: "header", flagd.FileName: "flagd", "x": ""}, Binary: compressed.Binary},
		"a missing key":  {Text: map[string]string{datafile.FileName: "header"}, Binary: compressed.Binary},
		"another binary": {Text: compressed.Text, Binary: map[string][]byte{datafile.CompressedFileName: []byte("edited")}},
		"no binary":      {Text: compressed.Text},
	} {
		if compressed.Equal(other) {
			t.Errorf("files with %s count as the same, so an edit by hand stays", name)
		}
	}
}

func TestContentDigest(t *testing.T) {
	content, other := contentOf(t, 100, 100, false), contentOf(t, 100, 200, false)
	if content.Digest(both) == other.Digest(both) {
		t.Error("a changed flagd definition is not published")
	}
	if content.Digest(nativeOnly) != other.Digest(nativeOnly) {
		t.Error("a flagd definition that is not published makes a revision")
	}
	if content.Digest(both) == content.Digest(nativeOnly) {
		t.Error("a format that is asked for anew is not published")
	}
}

// What compresses well takes little of a ConfigMap and much of the memory of every replica, and whoever may not publish
// makes drafts of it.
func TestDraftsAreBoundedBeforeCompressionToo(t *testing.T) {
	production := builders.MakeEnvironment("production", "shop").Production().Defaulted().Obj()
	production.Spec.Datafile.Formats = []v1alpha1.DatafileFormat{v1alpha1.DatafileFormatNative}
	for size, want := range map[int]bool{2 << 20: true, maxDraftedBytes: false} {
		content := small(strings.Repeat("x", size))
		if content.LeavesRoom(production) != want {
			t.Errorf("%d bytes that compress to nothing leave room: %t", size, !want)
		}
		staging := builders.MakeEnvironment("staging", "shop").Defaulted().Obj()
		if !content.LeavesRoom(staging) {
			t.Error("drafts are bounded where whoever makes them may publish")
		}
	}
}

// A served flagd file stays where the next does not fit, and takes of the room that the native document has.
func TestWhatFitsLeavesTheServedFlagdFile(t *testing.T) {
	production := builders.MakeEnvironment("production", "shop").Production().Defaulted().Obj()
	production.Spec.Datafile.Formats = both
	served := Files{Text: map[string]string{flagd.FileName: strings.Repeat("a", 400_000)}}
	for size, want := range map[int]bool{300_000: true, 1_000_000: false} {
		content := contentOf(t, size, 900_000, true)
		if !content.Fits(production, Files{}, false) {
			t.Errorf("%d bytes do not fit beside nothing", size)
		}
		if got := content.Fits(production, served, false); got != want {
			t.Errorf("%d bytes fit beside a flagd file of 400000: %t, want %t", size, got, want)
		}
		_, _, err := Layout(header, content, production.Spec.Datafile, served)
		if laidOut := err == nil; laidOut != want {
			t.Errorf("%d bytes are laid out beside it: %t, want %t (%v)", size, laidOut, want, err)
		}
	}
}

// One publish of staged changes took the flagd file away from everybody who reads it, though each alone fits.
func TestWhatMakesTheFlagdFileIncompleteDoesNotFit(t *testing.T) {
	served := Files{Text: map[string]string{flagd.FileName: strings.Repeat("a", 400_000)}}
	for name, tc := range map[string]struct {
		flagdBytes int
		formats    []v1alpha1.DatafileFormat
		served     Files
		complete   bool
		want       bool
	}{
		"a flagd file that fits":            {700_000, both, served, true, true},
		"one that does not":                 {900_000, both, served, true, false},
		"one that is not asked for":         {900_000, nativeOnly, served, true, true},
		"one that has not fitted before":    {900_000, both, served, false, true},
		"one that has never been published": {900_000, both, Files{}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			production := builders.MakeEnvironment("production", "shop").Production().Defaulted().Obj()
			production.Spec.Datafile.Formats = tc.formats
			content := contentOf(t, 300_000, tc.flagdBytes, true)
			if got := content.Fits(production, tc.served, tc.complete); got != tc.want {
				t.Errorf("it fits: %t, want %t", got, tc.want)
			}
		})
	}
}
