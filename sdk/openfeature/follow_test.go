// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

// watched is a provider bound to the SDK, and what it tells.
type watched struct {
	*openfeature.Client
	t      *testing.T
	loads  chan Load
	events chan told
	// err is what initialization said.
	err error
}

type told struct {
	Type     openfeature.EventType
	Changes  []string
	Revision any
}

func watchDirectory(t *testing.T, dir string) *watched {
	t.Helper()
	w := &watched{t: t, loads: make(chan Load, 10_000), events: make(chan told, 10_000)}
	provider, err := NewProvider(dir, OnLoad(func(load Load) { w.loads <- load }))
	if err != nil {
		t.Fatal(err)
	}
	w.Client, w.err = bind(t, provider)
	for _, eventType := range []openfeature.EventType{
		openfeature.ProviderReady, openfeature.ProviderConfigChange, openfeature.ProviderStale, openfeature.ProviderError,
	} {
		callback := func(details openfeature.EventDetails) {
			w.events <- told{Type: eventType, Changes: details.FlagChanges, Revision: details.EventMetadata[MetadataRevision]}
		}
		w.AddHandler(eventType, &callback)
	}
	// A handler is called at once with the state that there is.
	await(t, w.events)
	return w
}

// loaded expects the next load to serve the revision.
func (w *watched) loaded(revision int64) {
	w.t.Helper()
	load := await(w.t, w.loads)
	if load.Err != nil || load.Revision != revision || w.revision() != revision {
		w.t.Fatalf("loaded %+v and serves revision %d, want %d", load, w.revision(), revision)
	}
}

// refused expects the next load to be refused while the revision goes on being served.
func (w *watched) refused(revision int64) error {
	w.t.Helper()
	load := await(w.t, w.loads)
	if load.Err == nil || load.Revision != revision || w.revision() != revision {
		w.t.Fatalf("loaded %+v and serves revision %d, want an error and %d", load, w.revision(), revision)
	}
	return load.Err
}

// told expects the events to be the next ones, in any order, because the SDK calls each handler in a goroutine of its
// own.
func (w *watched) told(want ...told) {
	w.t.Helper()
	var got []told
	for range want {
		got = append(got, await(w.t, w.events))
	}
	byType := func(a, b told) int { return strings.Compare(string(a.Type), string(b.Type)) }
	slices.SortFunc(got, byType)
	slices.SortFunc(want, byType)
	if diff := diff.Diff(want, got); diff != "" {
		w.t.Fatalf("events (-want +got):\n%s", diff)
	}
}

func (w *watched) revision() int64 {
	return w.Int(context.Background(), "revision", 0, openfeature.EvaluationContext{})
}

func TestFollowsKubelet(t *testing.T) {
	m := newMount(t)
	m.swap(plain(t, revisionFlag(1)))
	w := watchDirectory(t, m.dir)
	if w.err != nil {
		t.Fatal(w.err)
	}
	w.loaded(1)
	for i, files := range []map[string][]byte{
		plain(t, revisionFlag(2)), compressed(t, revisionFlag(3)), compressed(t, revisionFlag(4)), plain(t, revisionFlag(5)),
	} {
		m.swap(files)
		w.loaded(int64(i + 2))
		w.told(told{Type: openfeature.ProviderConfigChange, Changes: []string{"revision"}, Revision: int64(i + 2)})
	}
	if w.State() != openfeature.ReadyState {
		t.Errorf("state is %s", w.State())
	}
}

// folder is a path below a volume, where the directory itself is a link that kubelet leaves alone.
type folder struct {
	volume string
	n      int
}

func (f *folder) dir() string { return filepath.Join(f.volume, "shop") }

func (f *folder) swap(t *testing.T, files map[string][]byte) {
	t.Helper()
	f.n++
	next := filepath.Join(f.volume, fmt.Sprintf("..2026_11_22_10_20_30.%d", f.n))
	link := filepath.Join(f.volume, dataLink)
	old, _ := filepath.EvalSymlinks(link)
	must(t, os.MkdirAll(filepath.Join(next, "shop"), 0o755))
	for name, data := range files {
		must(t, os.WriteFile(filepath.Join(next, "shop", name), data, 0o644))
	}
	must(t, os.Symlink(filepath.Base(next), link+"_tmp"))
	must(t, os.Rename(link+"_tmp", link))
	if err := os.Symlink("..data/shop", f.dir()); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if old != "" {
		must(t, os.RemoveAll(old))
	}
}

func TestFollowsAProjectedFolder(t *testing.T) {
	f := &folder{volume: t.TempDir()}
	f.swap(t, plain(t, revisionFlag(1)))
	w := watchDirectory(t, f.dir())
	w.loaded(1)
	for revision := int64(2); revision < 6; revision++ {
		f.swap(t, plain(t, revisionFlag(revision)))
		w.loaded(revision)
	}
}

// TestInitDuringSwaps begins again and again while one good revision follows the other, each of two files.
func TestInitDuringSwaps(t *testing.T) {
	m, f := newMount(t), &folder{volume: t.TempDir()}
	for name, mounted := range map[string]struct {
		dir  string
		swap func(map[string][]byte)
	}{
		"a volume":           {m.dir, m.swap},
		"a folder of volume": {f.dir(), func(files map[string][]byte) { f.swap(t, files) }},
	} {
		t.Run(name, func(t *testing.T) {
			mounted.swap(compressed(t, revisionFlag(1)))
			stop := make(chan struct{})
			var begun sync.WaitGroup
			begun.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					provider, err := NewProvider(mounted.dir)
					if err == nil {
						err = provider.Init(openfeature.EvaluationContext{})
						provider.Shutdown()
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
			for revision, end := int64(2), time.Now().Add(time.Second); time.Now().Before(end); revision++ {
				mounted.swap(compressed(t, revisionFlag(revision)))
			}
			close(stop)
			begun.Wait()
		})
	}
}

// TestEverySwapIsServed swaps as fast as it can be followed, and then faster, while many evaluate.
func TestEverySwapIsServed(t *testing.T) {
	const swaps = 150
	// Both flags say the revision, and an audience decides one of them: all three must come from the same document.
	doc := func(revision int64) *datafile.Document {
		d := revisionFlag(revision)
		d.Flags["same"] = constant(datafile.JSON, fmt.Sprintf(`{"a":%d,"b":%d}`, revision, revision))
		d.Flags["even"] = onOff(datafile.Rule{Name: "even", Audiences: []string{"even"}, Variation: "on"})
		d.Audiences = map[string]*datafile.Audience{"even": {}}
		if revision%2 == 0 {
			d.Audiences["even"].Members = []string{"u"}
		}
		return d
	}
	form := func(revision int64) map[string][]byte {
		if revision%3 == 0 {
			return compressed(t, doc(revision))
		}
		return plain(t, doc(revision))
	}
	m := newMount(t)
	m.swap(form(1))
	w := watchDirectory(t, m.dir)
	w.loaded(1)

	var evaluations atomic.Int64
	stop := make(chan struct{})
	var evaluating sync.WaitGroup
	for range 4 {
		evaluating.Go(func() {
			subject := openfeature.NewEvaluationContext("u", nil)
			for last := int64(0); ; evaluations.Add(1) {
				select {
				case <-stop:
					return
				default:
				}
				revision, err := w.IntValue(context.Background(), "revision", 0, subject)
				if err != nil || revision < last {
					t.Errorf("revision %d after %d, error %v", revision, last, err)
					return
				}
				last = revision
				value, err := w.ObjectValue(context.Background(), "same", nil, subject)
				if object, isObject := value.(map[string]any); err != nil || !isObject || object["a"] != object["b"] {
					t.Errorf("torn: %v, error %v", value, err)
					return
				}
				if _, err := w.BooleanValue(context.Background(), "even", false, subject); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for revision := int64(2); revision <= swaps; revision++ {
		m.swap(form(revision))
		w.loaded(revision)
		if even := w.Boolean(
			t.Context(),
			"even",
			false,
			openfeature.NewEvaluationContext("u", nil),
		); even != (revision%2 == 0) {
			t.Fatalf("revision %d serves another one's audience", revision)
		}
	}
	// Without waiting, revisions may be passed over, and the last one may not.
	for revision := int64(swaps + 1); revision <= 2*swaps; revision++ {
		m.swap(form(revision))
	}
	for load := await(t, w.loads); load.Revision != 2*swaps; load = await(t, w.loads) {
		if load.Err != nil {
			t.Fatalf("a swap looked like a mistake: %v", load.Err)
		}
	}
	close(stop)
	evaluating.Wait()
	t.Logf("%d swaps, %d rounds of evaluations", 2*swaps, evaluations.Load())
}

func TestKeepsTheLastGoodDatafile(t *testing.T) {
	whole := encode(t, revisionFlag(2))
	zipped := compressed(t, revisionFlag(2))
	cycle := revisionFlag(2)
	for key, other := range map[string]string{"a": "b", "b": "a"} {
		cycle.Flags[key] = constant(datafile.Boolean, "true")
		cycle.Flags[key].Prerequisites = []datafile.Prerequisite{{Flag: other, Variations: []string{"only"}}}
	}
	only := func(data []byte) map[string][]byte { return map[string][]byte{datafile.FileName: data} }
	for name, tc := range map[string]struct {
		files map[string][]byte
		want  error
	}{
		"no file":                  {files: map[string][]byte{"flagd.json": []byte("{}")}, want: fs.ErrNotExist},
		"an empty file":            {files: only(nil)},
		"a truncated file":         {files: only(whole[:len(whole)-20])},
		"another kind of file":     {files: only([]byte(`{"flags":{}}`))},
		"an unknown major version": {files: only(bytes.Replace(whole, []byte(`"schemaVersion":"1.0"`), []byte(`"schemaVersion":"2.0"`), 1)), want: datafile.ErrUnknownVersion},
		"a flag of another shape":  {files: only(bytes.Replace(whole, []byte(`"enabled":true`), []byte(`"enabled":"yes"`), 1))},
		"an unknown variation":     {files: only(bytes.Replace(whole, []byte(`"defaultVariation":"only"`), []byte(`"defaultVariation":"x"`), 1))},
		"a cycle":                  {files: plain(t, cycle)},
		"deep nesting":             {files: only([]byte(strings.Repeat("[", 100_000)))},
		"a header alone":           {files: only(zipped[datafile.FileName])},
		"a broken gzip":            {files: map[string][]byte{datafile.FileName: zipped[datafile.FileName], datafile.CompressedFileName: zipped[datafile.CompressedFileName][:30]}},
		"a header of another revision": {files: map[string][]byte{
			datafile.FileName: compressed(t, revisionFlag(3))[datafile.FileName], datafile.CompressedFileName: zipped[datafile.CompressedFileName],
		}},
		"a header that names another file": {files: map[string][]byte{
			datafile.FileName: datafile.EncodeHeader(datafile.Header{Compressed: "../../etc/passwd"}), datafile.CompressedFileName: zipped[datafile.CompressedFileName],
		}},
		"a file that decompresses to too much": {files: map[string][]byte{
			datafile.FileName: zipped[datafile.FileName], datafile.CompressedFileName: bomb(t),
		}, want: datafile.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			m.swap(plain(t, revisionFlag(1)))
			w := watchDirectory(t, m.dir)
			w.loaded(1)
			m.swap(tc.files)
			if err := w.refused(1); tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("refused with %v, want %v", err, tc.want)
			}
			w.told(told{Type: openfeature.ProviderStale, Revision: int64(1)})
			if w.State() != openfeature.StaleState {
				t.Errorf("state is %s", w.State())
			}
			m.swap(plain(t, revisionFlag(3)))
			w.loaded(3)
			w.told(
				told{Type: openfeature.ProviderReady, Revision: int64(3)},
				told{Type: openfeature.ProviderConfigChange, Changes: []string{"revision"}, Revision: int64(3)})

			// The same mistake at the start leaves nothing to serve, and it is over as soon as there is something.
			m.swap(tc.files)
			late := watchDirectory(t, m.dir)
			if late.err == nil || tc.want != nil && !errors.Is(late.err, tc.want) {
				t.Errorf("initialization says %v, want %v", late.err, tc.want)
			}
			_ = late.refused(0)
			if late.State() != openfeature.ErrorState {
				t.Errorf("state is %s", late.State())
			}
			m.swap(plain(t, revisionFlag(4)))
			late.loaded(4)
			late.told(told{Type: openfeature.ProviderReady, Revision: int64(4)})
			if late.State() != openfeature.ReadyState {
				t.Errorf("state is %s", late.State())
			}
		})
	}
}

// bomb decompresses to more than a datafile may have. Its members are the same and not compressed, which takes a minute
// with the race detector.
func bomb(t *testing.T) []byte {
	t.Helper()
	var member bytes.Buffer
	writer, err := gzip.NewWriterLevel(&member, gzip.NoCompression)
	must(t, err)
	_, err = writer.Write(bytes.Repeat([]byte(" "), 1<<20))
	must(t, err)
	must(t, writer.Close())
	return bytes.Repeat(member.Bytes(), datafile.MaxSize>>20+1)
}

// TestDirectoryComesLater begins before anything is mounted or generated.
func TestDirectoryComesLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "flags")
	w := watchDirectory(t, dir)
	if !errors.Is(w.err, ErrNoDatafile) || !errors.Is(w.err, fs.ErrNotExist) {
		t.Errorf("initialization says %v", w.err)
	}
	_ = w.refused(0)
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, datafile.FileName), encode(t, revisionFlag(1)), 0o644))
	w.loaded(1)
	w.told(told{Type: openfeature.ProviderReady, Revision: int64(1)})
}

// TestDevelopment changes files as people and generators do, without kubelet.
func TestDevelopment(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "flags")
	file := filepath.Join(dir, datafile.FileName)
	write := func(path string, revision int64) {
		t.Helper()
		must(t, os.WriteFile(path, encode(t, revisionFlag(revision)), 0o644))
	}
	must(t, os.Mkdir(dir, 0o755))
	write(file, 1)
	w := watchDirectory(t, dir)
	w.loaded(1)
	write(file, 2)
	w.loaded(2)
	write(file+".tmp", 3)
	must(t, os.Rename(file+".tmp", file))
	w.loaded(3)
	must(t, os.Remove(file))
	_ = w.refused(3)
	write(file, 4)
	w.loaded(4)
	// Another directory at the same path, and again, so that the watch is seen to follow.
	for revision := int64(5); revision < 8; revision++ {
		next := filepath.Join(base, strconv.FormatInt(revision, 10))
		must(t, os.Mkdir(next, 0o755))
		write(filepath.Join(next, datafile.FileName), revision*10)
		must(t, os.Rename(dir, filepath.Join(base, fmt.Sprint("old", revision))))
		must(t, os.Rename(next, dir))
		for load := await(t, w.loads); load.Revision != revision*10; load = await(t, w.loads) {
			// Between the two renames there is nothing.
		}
		write(file, revision*10+1)
		w.loaded(revision*10 + 1)
	}
	// Header first, then the file that it names.
	next := compressed(t, revisionFlag(90))
	must(t, os.WriteFile(file, next[datafile.FileName], 0o644))
	must(t, os.WriteFile(filepath.Join(dir, datafile.CompressedFileName), next[datafile.CompressedFileName], 0o644))
	w.loaded(90)
}

// unwatched makes a provider on which the kernel bestows no watch.
func unwatched(t *testing.T, dir string) (*Provider, chan Load) {
	t.Helper()
	loads := make(chan Load, 100)
	provider, err := NewProvider(dir, OnLoad(func(load Load) { loads <- load }), func(p *Provider) {
		p.watch = func() (*watcher, error) { return nil, errors.New("too many open files") }
	})
	must(t, err)
	return provider, loads
}

// TestLooksWithoutAWatch is the safety net: every swap is served within lookInterval, whatever the watch does.
func TestLooksWithoutAWatch(t *testing.T) {
	m := newMount(t)
	synctest.Test(t, func(t *testing.T) {
		m.swap(plain(t, revisionFlag(1)))
		provider, loads := unwatched(t, m.dir)
		must(t, provider.Init(openfeature.EvaluationContext{}))
		defer provider.Shutdown()
		<-loads
		for revision := int64(2); revision < 5; revision++ {
			m.swap(plain(t, revisionFlag(revision)))
			if load := <-loads; load.Revision != revision || load.Err != nil {
				t.Fatalf("loaded %+v, want revision %d", load, revision)
			}
			event := <-provider.EventChannel()
			if event.EventType != openfeature.ProviderConfigChange || !slices.Equal(event.FlagChanges, []string{"revision"}) {
				t.Fatalf("event %+v", event)
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
