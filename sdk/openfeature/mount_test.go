// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// mount is a directory into which kubelet mounts a ConfigMap. It takes kubelet's steps in kubelet's order: the files of
// a revision in a directory of their own, the link ..data replaced by a rename, then the links beside it, and last the
// old directory removed.
type mount struct {
	tb  testing.TB
	dir string
	n   int
}

func newMount(tb testing.TB) *mount {
	tb.Helper()
	return &mount{tb: tb, dir: tb.TempDir()}
}

// swap brings the files of a new revision.
func (m *mount) swap(files map[string][]byte) {
	m.tb.Helper()
	m.prepare(files)()
}

// prepare writes the files of a new revision, and returns what makes them visible.
func (m *mount) prepare(files map[string][]byte) (commit func()) {
	m.tb.Helper()
	m.n++
	next := fmt.Sprintf("..2026_11_22_10_20_30.%09d", m.n)
	m.must(os.Mkdir(filepath.Join(m.dir, next), 0o755))
	for name, data := range files {
		m.must(os.WriteFile(filepath.Join(m.dir, next, name), data, 0o644))
	}
	return func() {
		m.tb.Helper()
		link := filepath.Join(m.dir, "..data")
		old, err := os.Readlink(link)
		first := err != nil
		m.must(os.Symlink(next, link+"_tmp"))
		m.must(os.Rename(link+"_tmp", link))
		for name := range files {
			if _, err := os.Lstat(filepath.Join(m.dir, name)); err != nil {
				m.must(os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
			}
		}
		if first {
			return
		}
		before, err := os.ReadDir(filepath.Join(m.dir, old))
		m.must(err)
		for _, entry := range before {
			if _, stays := files[entry.Name()]; !stays {
				m.must(os.Remove(filepath.Join(m.dir, entry.Name())))
			}
		}
		m.must(os.RemoveAll(filepath.Join(m.dir, old)))
	}
}

func (m *mount) must(err error) {
	m.tb.Helper()
	if err != nil {
		m.tb.Fatal(err)
	}
}

// plain is the files of a document that is not compressed.
func plain(tb testing.TB, document *datafile.Document) map[string][]byte {
	tb.Helper()
	return map[string][]byte{datafile.FileName: encode(tb, document)}
}

// compressed is the files of a compressed document.
func compressed(tb testing.TB, document *datafile.Document) map[string][]byte {
	tb.Helper()
	zipped, err := datafile.Compress(encode(tb, document))
	if err != nil {
		tb.Fatal(err)
	}
	header := document.Header
	header.Compressed = datafile.CompressedFileName
	return map[string][]byte{datafile.FileName: datafile.EncodeHeader(header), datafile.CompressedFileName: zipped}
}

func encode(tb testing.TB, document *datafile.Document) []byte {
	tb.Helper()
	contents := &datafile.Contents{}
	put := func(section *datafile.Section, key string, value any) {
		part, err := datafile.NewPart(key, value)
		if err != nil {
			tb.Fatal(err)
		}
		section.Put(part)
	}
	for key, flag := range document.Flags {
		put(&contents.Flags, key, flag)
	}
	for name, audience := range document.Audiences {
		put(&contents.Audiences, name, audience)
	}
	for key, event := range document.Events {
		put(&contents.Events, key, event)
	}
	return contents.Encode(document.Header)
}

// document makes a document of shop/production.
func document(revision int64, flags map[string]*datafile.Flag) *datafile.Document {
	return &datafile.Document{
		Header: datafile.Header{Project: "shop", Environment: "production", Revision: revision},
		Flags:  flags,
	}
}

// constant makes a flag that serves one value to everybody.
func constant(flagType datafile.FlagType, value string) *datafile.Flag {
	return &datafile.Flag{
		Type: flagType, Enabled: true, DefaultVariation: "only",
		Variations: []datafile.Variation{{Key: "only", Value: json.RawMessage(value)}},
	}
}

// revisionFlag makes a document whose flag "revision" serves the document's revision.
func revisionFlag(revision int64) *datafile.Document {
	return document(
		revision,
		map[string]*datafile.Flag{"revision": constant(datafile.Number, strconv.FormatInt(revision, 10))},
	)
}

// bind sets the provider in an API of its own, which ends with the test.
func bind(tb testing.TB, provider openfeature.FeatureProvider) (*openfeature.Client, error) {
	tb.Helper()
	api := isolated.NewAPI()
	tb.Cleanup(func() {
		if err := api.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	err := api.SetProviderAndWait(tb.Context(), provider)
	return api.NewClient(), err
}
