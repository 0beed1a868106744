// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	header := Header{Environment: "production", Project: "shop", Revision: 42, SchemaVersion: SchemaVersion}
	contents := fullContents(t)
	data := contents.Encode(header)
	gotHeader, got, err := Decode(data)
	if err != nil {
		t.Fatalf("our own document is refused: %v", err)
	}
	if diff := diff.Diff(header, gotHeader); diff != "" {
		t.Errorf("the header changes on the way (-want +got):\n%s", diff)
	}
	if diff := diff.Diff(contents, got); diff != "" {
		t.Errorf("the contents change on the way, so that last good forms are not what was published (-want +got):\n%s", diff)
	}
	if again := got.Encode(gotHeader); !bytes.Equal(data, again) {
		t.Errorf("a document that was read and written again is not the same:\n got %s\nwant %s", again, data)
	}
	if got.Digest() != contents.Digest() {
		t.Error("a document that was read has another digest, so a restart of the operator would publish it again")
	}
	document, err := Read(data)
	if err != nil {
		t.Fatalf("our own document is refused: %v", err)
	}
	rewritten := &Contents{}
	for key, flag := range document.Flags {
		put(t, &rewritten.Flags, key, flag)
	}
	for name, audience := range document.Audiences {
		put(t, &rewritten.Audiences, name, audience)
	}
	for key, event := range document.Events {
		put(t, &rewritten.Events, key, event)
	}
	if again := rewritten.Encode(document.Header); !bytes.Equal(data, again) {
		t.Errorf("a field is lost between the document in memory and its bytes:\n got %s\nwant %s", again, data)
	}
}

func put(t *testing.T, section *Section, key string, value any) {
	t.Helper()
	part, err := NewPart(key, value)
	if err != nil {
		t.Fatal(err)
	}
	section.Put(part)
}

func TestRead(t *testing.T) {
	const flag = `{"defaultVariation":"off","enabled":false,"type":"Boolean","variations":[{"key":"off","value":false}]}`
	tests := map[string]struct {
		data      string
		wantFlags []string
		wantErr   string
		wantIs    error
	}{
		"a document": {
			data:      `{"flags":{"a":` + flag + `},"schemaVersion":"1.0"}`,
			wantFlags: []string{"a"},
		},
		"a newer minor version": {
			data:      `{"flags":{"a":` + flag + `},"later":{"x":[1]},"schemaVersion":"1.7"}`,
			wantFlags: []string{"a"},
		},
		"an unknown field of a flag": {
			data:      `{"flags":{"a":{"later":1,` + flag[1:] + `},"schemaVersion":"1.1"}`,
			wantFlags: []string{"a"},
		},
		"no sections": {data: `{"schemaVersion":"1.0"}`},
		"null sections are empty": {
			data: `{"audiences":null,"events":null,"flags":null,"schemaVersion":"1.0"}`,
		},
		"empty objects beyond measure": {
			data:   `{"flags":{"a":{"rules":[` + strings.Repeat("{},", MaxObjects) + `{}]}},"schemaVersion":"1.0"}`,
			wantIs: ErrTooLarge,
		},
		"elements beyond measure": {
			data:   `{"flags":{"a":{"rules":[` + strings.Repeat("1,", MaxElements) + `1]}},"schemaVersion":"1.0"}`,
			wantIs: ErrTooLarge,
		},
		"an unknown major version":              {data: `{"schemaVersion":"2.0"}`, wantIs: ErrUnknownVersion},
		"a major version of another form":       {data: `{"flags":[],"schemaVersion":"2.0"}`, wantIs: ErrUnknownVersion},
		"a major version that begins like ours": {data: `{"schemaVersion":"10.0"}`, wantIs: ErrUnknownVersion},
		"a major version of which all is unknown": {
			data:   `{"flags":{"a":{}},"schemaVersion":"2"}`,
			wantIs: ErrUnknownVersion,
		},
		"no version": {data: `{"flags":{}}`, wantErr: "no schemaVersion"},
		"null":       {data: `null`, wantErr: "no schemaVersion"},
		"nothing":    {data: ``, wantErr: "read datafile"},
		"an array":   {data: `[]`, wantErr: "read datafile"},
		"two documents": {
			data:    `{"schemaVersion":"1.0"}{"schemaVersion":"1.0"}`,
			wantErr: "read datafile",
		},
		"a truncated document": {
			data:    `{"flags":{"a":` + flag + `},"schemaVers`,
			wantErr: "read datafile",
		},
		"a version that is a number":    {data: `{"schemaVersion":1}`, wantErr: "read datafile"},
		"a revision that is no integer": {data: `{"revision":1.5,"schemaVersion":"1.0"}`, wantErr: "read datafile"},
		"a revision beyond 64 bits": {
			data:    `{"revision":99999999999999999999,"schemaVersion":"1.0"}`,
			wantErr: "read datafile",
		},
		"flags in an array": {data: `{"flags":[],"schemaVersion":"1.0"}`, wantErr: "read datafile"},
		"a flag that is null": {
			data:    `{"flags":{"a":null},"schemaVersion":"1.0"}`,
			wantErr: `flag "a" is no object`,
		},
		"an audience that is null": {
			data:    `{"audiences":{"a":null},"schemaVersion":"1.0"}`,
			wantErr: `audience "a" is no object`,
		},
		"an event that is null": {
			data:    `{"events":{"a":null},"schemaVersion":"1.0"}`,
			wantErr: `event "a" is no object`,
		},
		"a flag that is a string": {
			data:    `{"flags":{"a":"on"},"schemaVersion":"1.0"}`,
			wantErr: `flag "a" is no object`,
		},
		"a flag of the wrong form": {
			data:    `{"flags":{"a":{"enabled":"yes"}},"schemaVersion":"1.0"}`,
			wantErr: `flag "a"`,
		},
		"an audience of the wrong form": {
			data:    `{"audiences":{"a":{"members":1}},"schemaVersion":"1.0"}`,
			wantErr: `audience "a"`,
		},
		"an event of the wrong form": {
			data:    `{"events":{"a":{"type":1}},"schemaVersion":"1.0"}`,
			wantErr: `event "a"`,
		},
		"traffic beyond 32 bits": {
			data:    `{"flags":{"a":{"rules":[{"traffic":4294967296}]}},"schemaVersion":"1.0"}`,
			wantErr: `flag "a"`,
		},
		"only a header": {
			data:    string(EncodeHeader(Header{Compressed: CompressedFileName})),
			wantErr: "the whole is in datafile.json.gz",
		},
		"nesting without end": {
			data:    `{"flags":{"a":` + strings.Repeat(`{"a":`, 1_000_000),
			wantErr: "read datafile",
		},
		"nesting in an unknown field": {
			data:    `{"later":` + nested("[", "]", 20_000, "") + `,"schemaVersion":"1.1"}`,
			wantErr: "read datafile",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			document, err := Read([]byte(tc.data))
			switch {
			case tc.wantIs != nil:
				if !errors.Is(err, tc.wantIs) {
					t.Errorf("a reader cannot tell why it must keep its last good document: error %v, want %v", err, tc.wantIs)
				}
			case tc.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("what is no datafile would replace a good one: error %v, want one with %q", err, tc.wantErr)
				}
				if errors.Is(err, ErrUnknownVersion) {
					t.Errorf("what is no datafile counts as one of a newer operator: %v", err)
				}
			case err != nil:
				t.Errorf("a good document is refused: %v", err)
			default:
				var flags []string
				for key, flag := range document.Flags {
					flags = append(flags, key)
					if flag.DefaultVariation != "off" || len(flag.Variations) != 1 {
						t.Errorf("the flag %q is not read: %+v", key, flag)
					}
				}
				if diff := diff.Diff(tc.wantFlags, flags); diff != "" {
					t.Errorf("flags are missing (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestDecodeReadsAHeaderAlone(t *testing.T) {
	want := Header{
		Compressed:    CompressedFileName,
		Environment:   "production",
		Project:       "shop",
		Revision:      7,
		SchemaVersion: SchemaVersion,
	}
	header, contents, err := Decode(EncodeHeader(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := diff.Diff(want, header); diff != "" {
		t.Errorf("a reader does not learn where the whole document is (-want +got):\n%s", diff)
	}
	if contents.Flags.Len()+contents.Audiences.Len()+contents.Events.Len() != 0 {
		t.Error("a header has parts")
	}
}

func TestDecodeRefusesWhatIsTooLarge(t *testing.T) {
	if _, _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a document over the limit is read: error %v", err)
	}
}

func TestCompressGivesTheSameBytesEveryTime(t *testing.T) {
	data := fullContents(t).Encode(Header{})
	first, err := Compress(data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Compress(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("compressing twice gives different bytes, so a datafile is written though nothing changed")
	}
	plain, err := Decompress(first)
	if err != nil || !bytes.Equal(plain, data) {
		t.Errorf("a compressed document is not what it was: error %v", err)
	}
}

// zeros is a reader of n zero bytes that are never held.
type zeros int

func (z *zeros) Read(data []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(len(data), int(*z))
	clear(data[:n])
	*z -= zeros(n)
	return n, nil
}

// bomb packs so many zeros, in members of 1 MiB, of which a file may have many: with the race detector it takes a minute to
// pack all of them. Level is that of compress/flate.
func bomb(t *testing.T, size, level int) []byte {
	t.Helper()
	member := func(size int) []byte {
		var buffer bytes.Buffer
		writer, err := gzip.NewWriterLevel(&buffer, level)
		if err != nil {
			t.Fatal(err)
		}
		from := zeros(size)
		if _, err := io.Copy(writer, &from); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		return buffer.Bytes()
	}
	return append(bytes.Repeat(member(1<<20), size>>20), member(size%(1<<20))...)
}

func TestDecompress(t *testing.T) {
	good, err := Compress([]byte(`{"schemaVersion":"1.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)-8] ^= 1 // The checksum.
	tests := map[string]struct {
		data   []byte
		wantIs error
	}{
		"nothing":                 {data: nil, wantIs: io.EOF},
		"no gzip":                 {data: []byte("{\"schemaVersion\":\"1.0\"}"), wantIs: gzip.ErrHeader},
		"a truncated file":        {data: good[:len(good)-1], wantIs: io.ErrUnexpectedEOF},
		"a damaged file":          {data: damaged, wantIs: gzip.ErrChecksum},
		"one byte over the limit": {data: bomb(t, MaxSize+1, gzip.NoCompression), wantIs: ErrTooLarge},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Decompress(tc.data); !errors.Is(err, tc.wantIs) {
				t.Errorf("error %v, want %v", err, tc.wantIs)
			}
		})
	}
	t.Run("exactly the limit", func(t *testing.T) {
		if plain, err := Decompress(bomb(t, MaxSize, gzip.NoCompression)); err != nil || len(plain) != MaxSize {
			t.Errorf("%d bytes, error %v", len(plain), err)
		}
	})
}

func TestDecompressHoldsNoBomb(t *testing.T) {
	honest := bomb(t, 4*MaxSize, gzip.BestSpeed)
	binary.LittleEndian.PutUint32(honest[len(honest)-4:], 4*MaxSize)
	modest := append(slices.Clone(honest[:len(honest)-4]), 1, 0, 0, 0) // It says that it has one byte.
	for name, data := range map[string][]byte{"its size is as declared": honest, "it declares one byte": modest} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decompress(data)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v, want %v", err, ErrTooLarge)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8*MaxSize {
				t.Errorf("a small file makes its reader allocate %d MiB", allocated>>20)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fullContents(f).Encode(Header{Environment: "production", Project: "shop", Revision: 42}))
	for _, seed := range []string{`{"flags":{"a":null},"schemaVersion":"1.0"}`, `{"FLAGS":{"a":{}},"schemaVersion":"1.9"}`, `{"schemaVersion":"2.0"}`, `null`, `{"flags":{"a":{},"a":{"x":1}},"schemaVersion":"1."}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		document, err := Read(data)
		if err != nil {
			return
		}
		for key, flag := range document.Flags {
			if flag == nil {
				t.Fatalf("flag %q is nil", key)
			}
		}
		header, contents, err := Decode(data)
		if err != nil {
			t.Fatalf("Read takes what Decode refuses: %v", err)
		}
		written := contents.Encode(header)
		_, again, err := Decode(written)
		if err != nil {
			t.Fatalf("%q was read and then written as %q, which is refused: %v", data, written, err)
		}
		if contents.Digest() != again.Digest() {
			t.Fatalf("%q was read and then written as %q, which has other parts", data, written)
		}
	})
}
